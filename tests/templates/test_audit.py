"""The audit trail: what it records, where it is kept, and that nothing of it is there when nobody asked for it.

That it may write and never records its own writing is checked with the other traps, in test_traps.py.
"""

from typing import Any

import pytest

from config.settings import load
from templates.shared.limits import BuildError
from tests.changed import changed
from tests.templates.traps import trail
from tests.templates.traps.systems import System, system_of


def system(**audit: object) -> System:
    return system_of(changed(load("manufacturing", {}), audit={"enabled": True, **audit}))


def resource(found: System, stack: str, title: str) -> dict[str, Any]:
    properties: dict[str, Any] = found.stacks[stack].body["Resources"][title]["Properties"]
    return properties


@pytest.mark.parametrize("data_events", ["none", "write", "all"])
def test_the_trail_may_write_and_does_not_feed_itself_whatever_it_records(data_events):
    found = system(data_events=data_events)

    assert trail.faults_of_trail_access(found) == set()
    assert trail.faults_of_selectors(found) == set()


@pytest.mark.parametrize(
    ("data_events", "writes", "reads"), [("none", False, False), ("write", True, False), ("all", True, True)]
)
def test_data_events_are_those_of_the_data_buckets_that_the_settings_ask_for(data_events, writes, reads):
    (found,) = trail.trails(system(data_events=data_events))

    for bucket in ("RawBucketName", "ProcessedBucketName"):
        assert trail.recorded(found, **trail.put_object(bucket)) is writes
        assert trail.recorded(found, **trail.put_object(bucket, read_only="true")) is reads


@pytest.mark.parametrize("multi_region", [True, False])
def test_the_trail_is_complete_encrypted_verifiable_and_logged(multi_region):
    properties = resource(system(multi_region=multi_region), "audit", "AuditTrail")

    assert properties["TrailName"] == "iot-audit-trail-dev"
    assert properties["IsLogging"] is properties["EnableLogFileValidation"] is True
    assert properties["IncludeGlobalServiceEvents"] is True
    assert properties["IsMultiRegionTrail"] is multi_region
    assert properties["KMSKeyId"] == {"Ref": "KeyArn"}
    assert properties["CloudWatchLogsLogGroupArn"] == {"Fn::GetAtt": ["TrailLogs", "Arn"]}
    assert properties["CloudWatchLogsRoleArn"] == {"Fn::GetAtt": ["TrailLogsRole", "Arn"]}


def test_the_bucket_is_encrypted_with_the_key_logged_and_kept_as_long_as_the_settings_say():
    found = system(retention_days=400, noncurrent_days=9)
    bucket = resource(found, "audit", "TrailBucket")

    assert bucket["BucketName"] == {"Fn::Sub": "iot-cloudtrail-logs-dev-${AWS::AccountId}-${AWS::Region}"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "KeyArn"}}
    tidy, expire = bucket["LifecycleConfiguration"]["Rules"]
    assert expire["ExpirationInDays"] == 400
    assert tidy["NoncurrentVersionExpiration"] == {"NoncurrentDays": 9}
    assert bucket["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogsBucketName"}
    accepted = str(resource(found, "storage", "AccessLogsBucketPolicy"))
    assert "iot-cloudtrail-logs-dev-${AWS::AccountId}-${AWS::Region}" in accepted


def test_without_a_trail_nothing_is_there_for_it():
    found = system_of(load("dev", {}))
    (key,) = found.resources("AWS::KMS::Key")

    assert "audit" not in found.stacks
    assert trail.granted(key) == {}
    assert "trail" not in str(resource(found, "storage", "AccessLogsBucketPolicy"))


def test_an_output_for_a_trail_that_is_not_there_is_refused():
    with pytest.raises(BuildError, match=r"outputs\.CloudtrailName repeats 'TrailName'"):
        system(enabled=False)
