"""The audit trail: it may write, sees what its insights need, and never records its own writing.

Each check is a function of the templates that names its findings, so that a test can show it finding something.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from config.settings import Settings, load
from templates.shared.limits import BuildError
from tests.templates.walking import Stack, stacks_of, walk

Stacks = dict[str, Stack]

ARN = {"Fn::Sub": "arn:${AWS::Partition}:cloudtrail:${AWS::Region}:${AWS::AccountId}:trail/iot-audit-trail-dev"}
CLOUDTRAIL = {"Service": "cloudtrail.amazonaws.com"}
CONTEXT = "kms:EncryptionContext:aws:cloudtrail:arn"


def settings_of(environment: str = "manufacturing", **audit: object) -> Settings:
    settings = load(environment, {})
    changed = {"enabled": True, **audit}
    return settings.model_copy(update={"audit": settings.audit.model_copy(update=changed)})


def stacks(**audit: object) -> Stacks:
    return {stack.name: stack for stack in stacks_of(settings_of(**audit), "manufacturing")}


def resource(found: Stacks, stack: str, title: str) -> dict[str, Any]:
    properties: dict[str, Any] = found[stack].body["Resources"][title]["Properties"]
    return properties


def trail(found: Stacks) -> dict[str, Any]:
    return resource(found, "audit", "AuditTrail")


def granted(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What CloudTrail may do by action, with the conditions (`StringEquals` alone counts)."""
    return {
        action: statement.get("Condition", {}).get("StringEquals", {})
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow" and statement["Principal"] == CLOUDTRAIL
        for action in statement["Action"]
    }


def faults_of_key(found: Stacks) -> set[str]:
    """CloudTrail needs the key for this trail and no other; `Decrypt` because of the bucket key."""
    allowed = granted(resource(found, "security", "DataKey")["KeyPolicy"])
    files = {"aws:SourceArn": ARN, CONTEXT: ARN}
    needed = {
        "kms:DescribeKey": {"aws:SourceArn": ARN},
        "kms:GenerateDataKey": files,
        "kms:GenerateDataKeyWithoutPlaintext": files,
        "kms:Decrypt": files,
    }
    faults = {action for action, conditions in needed.items() if allowed.get(action) != conditions}
    if any(isinstance(value, dict) and "AuditTrail" in str(value) for value in walk(found["security"].body)):
        faults.add("cycle")
    return faults


def faults_of_bucket(found: Stacks) -> set[str]:
    """CloudTrail looks at the bucket and writes a file into it while the trail is created."""
    allowed = granted(resource(found, "audit", "TrailBucketPolicy")["PolicyDocument"])
    needed = {
        "s3:GetBucketAcl": {"aws:SourceArn": ARN},
        "s3:PutObject": {"aws:SourceArn": ARN, "s3:x-amz-acl": "bucket-owner-full-control"},
    }
    faults = {action for action, conditions in needed.items() if allowed.get(action) != conditions}
    if found["audit"].body["Resources"]["AuditTrail"].get("DependsOn") != "TrailBucketPolicy":
        faults.add("order")
    return faults


def records(selector: dict[str, Any], event: dict[str, str]) -> bool:
    """Whether CloudTrail's rules select the event: every field has to match one of its values."""
    return all(
        any(event[field["Field"]] == value for value in field.get("Equals", []))
        or any(event[field["Field"]].startswith(value) for value in field.get("StartsWith", []))
        for field in selector["FieldSelectors"]
    )


def plain(value: Any) -> Any:
    """A template's value with its references as text, so that names can be compared."""
    if isinstance(value, dict) and "Fn::Sub" in value:
        text, values = value["Fn::Sub"]
        return text.replace("${AWS::Partition}", "aws").replace("${Bucket}", values["Bucket"]["Ref"])
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def recorded(found: Stacks, **event: str) -> bool:
    return any(records(selector, event) for selector in plain(trail(found)["AdvancedEventSelectors"]))


def put(bucket: str) -> dict[str, str]:
    arn = f"arn:aws:s3:::{bucket}/key"
    return {"eventCategory": "Data", "resources.type": "AWS::S3::Object", "resources.ARN": arn, "readOnly": "false"}


def faults_of_selectors(found: Stacks) -> set[str]:
    """Insights need the management events; what the trail and the access logs write must not be recorded."""
    own = ("TrailBucket", "AccessLogsBucketName", "RawBucketName-of-another-system")
    faults = {bucket for bucket in own if recorded(found, **put(bucket))}
    for read_only in ("true", "false"):
        if not recorded(found, eventCategory="Management", readOnly=read_only):
            faults.add(f"management events with readOnly {read_only}")
    insights = {item["InsightType"] for item in trail(found)["InsightSelectors"]}
    return faults | ({"ApiCallRateInsight", "ApiErrorRateInsight"} - insights)


@pytest.mark.parametrize("data_events", ["none", "write", "all"])
def test_trap_2_cloudtrail_may_use_the_key_and_the_bucket_for_this_trail_only(data_events):
    found = stacks(data_events=data_events)

    assert faults_of_key(found) == set()
    assert faults_of_bucket(found) == set()


@pytest.mark.parametrize("data_events", ["none", "write", "all"])
def test_trap_34_insights_have_their_events_and_the_trail_does_not_feed_itself(data_events):
    assert faults_of_selectors(stacks(data_events=data_events)) == set()


Mutation = Callable[[Stacks], object]


def statements(found: Stacks, stack: str, title: str, document: str) -> dict[str, dict[str, Any]]:
    listed = resource(found, stack, title)[document]["Statement"]
    return {statement["Sid"]: statement for statement in listed if "Sid" in statement}


def of_key(found: Stacks) -> dict[str, dict[str, Any]]:
    return statements(found, "security", "DataKey", "KeyPolicy")


def of_bucket(found: Stacks) -> dict[str, dict[str, Any]]:
    return statements(found, "audit", "TrailBucketPolicy", "PolicyDocument")


def objects(found: Stacks) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = trail(found)["AdvancedEventSelectors"][1]["FieldSelectors"]
    return fields


@pytest.mark.parametrize(
    ("mutate", "fault"),
    [
        (lambda found: of_key(found)["EncryptTrail"]["Action"].remove("kms:Decrypt"), "kms:Decrypt"),
        (lambda found: of_key(found)["DescribeForTrail"]["Action"].clear(), "kms:DescribeKey"),
        (lambda found: of_key(found)["EncryptTrail"]["Condition"]["StringEquals"].pop(CONTEXT), "kms:GenerateDataKey"),
        (lambda found: of_key(found)["EncryptTrail"]["Condition"]["StringEquals"].pop("aws:SourceArn"), "kms:Decrypt"),
        (lambda found: of_key(found)["EncryptTrail"].update(Resource=[{"Ref": "AuditTrail"}]), "cycle"),
    ],
)
def test_trap_2_a_key_policy_that_says_less_or_something_else_is_found(mutate: Mutation, fault):
    found = copy.deepcopy(stacks())
    mutate(found)

    assert fault in faults_of_key(found)


@pytest.mark.parametrize(
    ("mutate", "fault"),
    [
        (lambda found: of_bucket(found)["LookAtBucket"]["Action"].clear(), "s3:GetBucketAcl"),
        (lambda found: of_bucket(found)["WriteTrail"]["Condition"]["StringEquals"].pop("s3:x-amz-acl"), "s3:PutObject"),
        (
            lambda found: of_bucket(found)["WriteTrail"]["Condition"]["StringEquals"].pop("aws:SourceArn"),
            "s3:PutObject",
        ),
        (lambda found: found["audit"].body["Resources"]["AuditTrail"].pop("DependsOn"), "order"),
    ],
)
def test_trap_2_a_bucket_that_cannot_be_written_in_time_is_found(mutate: Mutation, fault):
    found = copy.deepcopy(stacks())
    mutate(found)

    assert fault in faults_of_bucket(found)


@pytest.mark.parametrize(
    ("mutate", "fault"),
    [
        (lambda found: objects(found).pop(2), "TrailBucket"),
        (lambda found: objects(found)[2].update(StartsWith=["arn:aws:s3:::"]), "AccessLogsBucketName"),
        (lambda found: objects(found)[2].update(StartsWith=["arn:aws:s3:::RawBucketName"]), "RawBucketName-of-another"),
        (lambda found: trail(found)["AdvancedEventSelectors"].pop(0), "management events with readOnly false"),
        (
            lambda found: trail(found)["AdvancedEventSelectors"][0]["FieldSelectors"].append(
                {"Field": "readOnly", "Equals": ["false"]}
            ),
            "management events with readOnly true",
        ),
        (lambda found: trail(found)["InsightSelectors"].pop(), "ApiErrorRateInsight"),
    ],
)
def test_trap_34_selectors_that_miss_or_feed_are_found(mutate: Mutation, fault):
    found = copy.deepcopy(stacks(data_events="all"))
    mutate(found)

    assert any(item.startswith(fault) for item in faults_of_selectors(found))


@pytest.mark.parametrize(
    ("data_events", "writes", "reads"), [("none", False, False), ("write", True, False), ("all", True, True)]
)
def test_data_events_are_those_of_the_data_buckets_that_the_settings_ask_for(data_events, writes, reads):
    found = stacks(data_events=data_events)

    for bucket in ("RawBucketName", "ProcessedBucketName"):
        assert recorded(found, **put(bucket)) is writes
        assert recorded(found, **{**put(bucket), "readOnly": "true"}) is reads


@pytest.mark.parametrize("multi_region", [True, False])
def test_the_trail_is_complete_encrypted_verifiable_and_logged(multi_region):
    found = stacks(multi_region=multi_region)
    properties = trail(found)

    assert properties["TrailName"] == "iot-audit-trail-dev"
    assert properties["IsLogging"] is properties["EnableLogFileValidation"] is True
    assert properties["IncludeGlobalServiceEvents"] is True
    assert properties["IsMultiRegionTrail"] is multi_region
    assert properties["KMSKeyId"] == {"Ref": "KeyArn"}
    assert properties["CloudWatchLogsLogGroupArn"] == {"Fn::GetAtt": ["TrailLogs", "Arn"]}
    assert properties["CloudWatchLogsRoleArn"] == {"Fn::GetAtt": ["TrailLogsRole", "Arn"]}


def test_the_bucket_is_encrypted_with_the_key_logged_and_kept_as_long_as_the_settings_say():
    found = stacks(retention_days=400, noncurrent_days=9)
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
    found = {stack.name: stack for stack in stacks_of(load("dev", {}), "dev")}

    assert "audit" not in found
    assert granted(resource(found, "security", "DataKey")["KeyPolicy"]) == {}
    assert "trail" not in str(resource(found, "storage", "AccessLogsBucketPolicy"))


def test_an_output_for_a_trail_that_is_not_there_is_refused():
    with pytest.raises(BuildError, match=r"outputs\.CloudtrailName repeats 'TrailName'"):
        stacks(enabled=False)
