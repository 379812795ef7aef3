"""The audit trail of a deployed system: what it records and where, and what changed settings make of it."""

from collections.abc import Callable
from typing import Any

import pytest

import build
from config import settings as config
from config.settings import Settings
from local import process
from tests.changed import changed
from tests.e2e import systems

pytestmark = pytest.mark.e2e
SUFFIX = "audit"
TRAIL = "iot-audit-trail-audit"
MANAGEMENT = [{"Field": "eventCategory", "Equals": ["Management"]}]
INSIGHTS = ["ApiCallRateInsight", "ApiErrorRateInsight"]


class System(systems.System):
    """The system `manufacturing`, deployed."""

    @property
    def trail(self) -> dict[str, Any]:
        trail: dict[str, Any] = self.client("cloudtrail").get_trail(Name=self.outputs["CloudtrailName"])["Trail"]
        return trail


Deploy = Callable[[Settings], System]
"""Bring the system's stack to these settings."""


@pytest.fixture(scope="module")
def deploy(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    deploy = systems.deployer(emulator, tmp_path_factory.mktemp("audit"))
    return lambda settings: System(settings, deploy(settings).outputs)


@pytest.fixture(scope="module")
def system(deploy: Deploy) -> System:
    return deploy(config.load("manufacturing", {"ENVIRONMENT_SUFFIX": SUFFIX}))


@pytest.mark.promise("manufacturing", "trail")
def test_the_trail_is_there_under_its_output_and_logs(system):
    assert system.outputs["CloudtrailName"] == system.outputs["TrailName"] == TRAIL

    trail, status = system.trail, system.client("cloudtrail").get_trail_status(Name=TRAIL)
    assert status["IsLogging"] is True
    assert status["StartLoggingTime"]
    assert trail["HomeRegion"] == system.settings.region
    assert trail["IsMultiRegionTrail"] is trail["IncludeGlobalServiceEvents"] is True
    assert trail["LogFileValidationEnabled"] is True
    assert trail["KmsKeyId"] == system.outputs["KeyArn"]


@pytest.mark.promise("manufacturing", "trail")
def test_the_trail_records_all_management_events_and_both_insights(system):
    cloudtrail = system.client("cloudtrail")

    (selector,) = cloudtrail.get_event_selectors(TrailName=TRAIL)["AdvancedEventSelectors"]
    insights = cloudtrail.get_insight_selectors(TrailName=TRAIL)["InsightSelectors"]
    assert selector["FieldSelectors"] == MANAGEMENT
    assert [insight["InsightType"] for insight in insights] == INSIGHTS


@pytest.mark.promise("manufacturing", "trail")
def test_the_trails_bucket_is_its_own_and_versioned(system):
    s3, bucket = system.client("s3"), system.outputs["TrailBucketName"]

    assert system.trail["S3BucketName"] == bucket
    assert bucket.startswith("iot-cloudtrail-logs-audit-")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_the_trails_log_group_is_encrypted_and_kept_as_long_as_the_settings_say(system):
    name = f"/aws/cloudtrail/{TRAIL}"
    (group,) = system.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]

    assert system.trail["CloudWatchLogsLogGroupArn"].removesuffix(":*").endswith(f":{name}")
    assert group["retentionInDays"] == system.settings.log_retention_days
    assert group["kmsKeyId"] == system.outputs["KeyArn"]


def test_the_trail_carries_the_tags_of_the_stack(system):
    arn = system.trail["TrailARN"]
    (found,) = system.client("cloudtrail").list_tags(ResourceIdList=[arn])["ResourceTagList"]

    tags = {tag["Key"]: tag["Value"] for tag in found["TagsList"]}
    assert build.stack_tags(system.settings).items() <= tags.items()


def test_the_trail_changes_with_the_settings_and_goes_with_them(system, deploy):
    cloudtrail, trail = system.client("cloudtrail"), system.trail
    recording = deploy(changed(system.settings, audit={"data_events": "all", "multi_region": False}))

    assert recording.trail == {**trail, "IsMultiRegionTrail": False, "HasCustomEventSelectors": True}
    _, objects = cloudtrail.get_event_selectors(TrailName=TRAIL)["AdvancedEventSelectors"]
    (names,) = [field["StartsWith"] for field in objects["FieldSelectors"] if field["Field"] == "resources.ARN"]
    data = (system.outputs["RawBucketName"], system.outputs["ProcessedBucketName"])
    assert names == [f"arn:aws:s3:::{bucket}/" for bucket in data]

    without = deploy(changed(system.settings, audit={"enabled": False}, outputs={"CloudtrailName": None}))

    assert "CloudtrailName" not in without.outputs
    assert cloudtrail.describe_trails(trailNameList=[TRAIL])["trailList"] == []
