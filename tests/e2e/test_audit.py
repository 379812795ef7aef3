"""The audit trail of a deployed system: what it records and where, and what changed settings make of it."""

import dataclasses
from pathlib import Path
from typing import Any

import boto3
import pytest

import build
from config import settings as config
from config.settings import Settings
from local import process
from local.deploy import deploy

pytestmark = pytest.mark.e2e
SUFFIX = "audit"
TRAIL = "iot-audit-trail-audit"
ARTIFACTS = "audit-artifacts"
MANAGEMENT = [{"Field": "eventCategory", "Equals": ["Management"]}]
INSIGHTS = ["ApiCallRateInsight", "ApiErrorRateInsight"]


@dataclasses.dataclass(frozen=True)
class System:
    """The system `manufacturing`, deployed."""

    settings: Settings
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=self.settings.region)

    @property
    def trail(self) -> dict[str, Any]:
        trail: dict[str, Any] = self.client("cloudtrail").get_trail(Name=self.outputs["CloudtrailName"])["Trail"]
        return trail


def deployed(settings: Settings, out: Path) -> System:
    """Build the system with these settings, and bring its stack to them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "load", lambda _: settings)
        built = build.build("manufacturing", out, target="host", bucket=ARTIFACTS)
    cloudformation = boto3.client("cloudformation", region_name=settings.region)
    template = built.root_template.read_text(encoding="utf-8")
    outputs = deploy(cloudformation, settings.stack_name, template, build.stack_tags(settings), lambda _: None)
    return System(settings, outputs)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def system(emulator: process.Running, out: Path) -> System:
    settings = config.load("manufacturing", {"ENVIRONMENT_SUFFIX": SUFFIX})
    place = {"LocationConstraint": settings.region}
    boto3.client("s3", region_name=settings.region).create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration=place)
    return deployed(settings, out)


def test_the_trail_is_there_under_its_output_and_logs(system):
    assert system.outputs["CloudtrailName"] == system.outputs["TrailName"] == TRAIL

    trail, status = system.trail, system.client("cloudtrail").get_trail_status(Name=TRAIL)
    assert status["IsLogging"] is True
    assert status["StartLoggingTime"]
    assert trail["HomeRegion"] == system.settings.region
    assert trail["IsMultiRegionTrail"] is trail["IncludeGlobalServiceEvents"] is True
    assert trail["LogFileValidationEnabled"] is True
    assert trail["KmsKeyId"] == system.outputs["KeyArn"]


def test_the_trail_records_all_management_events_and_both_insights(system):
    cloudtrail = system.client("cloudtrail")

    (selector,) = cloudtrail.get_event_selectors(TrailName=TRAIL)["AdvancedEventSelectors"]
    insights = cloudtrail.get_insight_selectors(TrailName=TRAIL)["InsightSelectors"]
    assert selector["FieldSelectors"] == MANAGEMENT
    assert [insight["InsightType"] for insight in insights] == INSIGHTS


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


def test_the_trail_changes_with_the_settings_and_goes_with_them(system, out):
    cloudtrail, trail = system.client("cloudtrail"), system.trail
    recording = system.settings.audit.model_copy(update={"data_events": "all", "multi_region": False})
    changed = deployed(system.settings.model_copy(update={"audit": recording}), out)

    assert changed.trail == {**trail, "IsMultiRegionTrail": False, "HasCustomEventSelectors": True}
    _, objects = cloudtrail.get_event_selectors(TrailName=TRAIL)["AdvancedEventSelectors"]
    (names,) = [field["StartsWith"] for field in objects["FieldSelectors"] if field["Field"] == "resources.ARN"]
    data = (system.outputs["RawBucketName"], system.outputs["ProcessedBucketName"])
    assert names == [f"arn:aws:s3:::{bucket}/" for bucket in data]

    silent = system.settings.audit.model_copy(update={"enabled": False})
    outputs = {alias: name for alias, name in system.settings.outputs.items() if name != "TrailName"}
    without = deployed(system.settings.model_copy(update={"audit": silent, "outputs": outputs}), out)

    assert "CloudtrailName" not in without.outputs
    assert cloudtrail.describe_trails(trailNameList=[TRAIL])["trailList"] == []
