"""Everything that holds data is kept, encrypted, private and tidied."""

import itertools

import pytest

from config.settings import environments, load
from tests.templates.walking import Stack, all_stacks, stacks_named, stacks_of, stacks_with

HOLDS_DATA = ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Glue::Database")
NAMED = (
    "AliasName",
    "BucketName",
    "TableName",
    "FunctionName",
    "StateMachineName",
    "LogGroupName",
    "TopicName",
    "DeliveryStreamName",
    "ThingTypeName",
    "PolicyName",
    "TemplateName",
    "RuleName",
    "TrailName",
    "DashboardName",
    "AlarmName",
    "Name",
)

buckets = pytest.mark.parametrize(
    "stack", stacks_with("AWS::S3::Bucket"), ids=lambda stack: f"{stack.environment}-{stack.name}"
)
storage = pytest.mark.parametrize("stack", stacks_named("storage"), ids=lambda stack: stack.environment)


def data_buckets(stack: Stack) -> list[dict]:
    buckets = stack.properties("AWS::S3::Bucket")
    assert set(buckets) == {"RawBucket", "ProcessedBucket", "AccessLogsBucket"}
    return [buckets["RawBucket"], buckets["ProcessedBucket"]]


def test_data_outlives_its_stack():
    held = [item for stack in all_stacks() for item in stack.resources(*HOLDS_DATA).values()]

    # key, three buckets, table, database, and the bucket of a trail
    assert len(held) == len(environments()) * 6 + len(stacks_named("audit"))
    for item in held:
        assert item["DeletionPolicy"] in ("Retain", "RetainExceptOnCreate")
        assert item["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("stack", stacks_named("security"), ids=lambda stack: stack.environment)
def test_the_key_rotates(stack):
    assert stack.only("AWS::KMS::Key")["EnableKeyRotation"] is True


@buckets
def test_every_bucket_is_private_and_versioned(stack):
    for bucket in stack.properties("AWS::S3::Bucket").values():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


@buckets
def test_every_bucket_refuses_plain_http(stack):
    policies = stack.properties("AWS::S3::BucketPolicy")

    assert {policy["Bucket"]["Ref"] for policy in policies.values()} == set(stack.resources("AWS::S3::Bucket"))
    for policy in policies.values():
        denied = [item for item in policy["PolicyDocument"]["Statement"] if item["Effect"] == "Deny"]
        assert [item["Condition"] for item in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]
        assert len(denied[0]["Resource"]) == 2  # the bucket and its objects


@storage
def test_data_buckets_are_encrypted_with_the_key_and_logged(stack):
    for bucket in data_buckets(stack):
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["BucketKeyEnabled"] is True
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "KeyArn"}}
        assert bucket["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogsBucket"}


@storage
def test_a_bucket_logs_only_when_its_logs_are_accepted(stack):
    for title in ("RawBucket", "ProcessedBucket"):
        assert stack.body["Resources"][title]["DependsOn"] == "AccessLogsBucketPolicy"


@storage
def test_a_bucket_that_outlives_its_stack_keeps_its_policy(stack):
    for policy in stack.resources("AWS::S3::BucketPolicy").values():
        assert policy["DeletionPolicy"] == "RetainExceptOnCreate"
        assert policy["UpdateReplacePolicy"] == "Retain"


@storage
def test_the_bucket_of_access_logs_does_not_log_itself(stack):
    assert "LoggingConfiguration" not in stack.properties("AWS::S3::Bucket")["AccessLogsBucket"]


@storage
def test_the_hot_table_is_encrypted_recoverable_and_forgets(stack):
    table = stack.only("AWS::DynamoDB::Table")

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KeyArn"}}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["DeletionProtectionEnabled"] is (stack.environment != "local")


def test_the_hot_tables_of_both_systems_have_their_own_keys():
    tables = {stack.environment: stack.only("AWS::DynamoDB::Table") for stack in stacks_named("storage")}
    kinds = {
        name: {item["AttributeName"]: item["AttributeType"] for item in table["AttributeDefinitions"]}
        for name, table in tables.items()
    }

    assert kinds["manufacturing"] == {"device_id": "S", "timestamp": "N"}
    assert kinds["iot-processing"] == {"sensor_id": "S", "timestamp": "S", "sensor_type_shard": "S"}


def test_the_index_by_sensor_type_is_spread_over_shards():
    (stack,) = [stack for stack in stacks_named("storage") if stack.environment == "iot-processing"]
    (index,) = stack.only("AWS::DynamoDB::Table")["GlobalSecondaryIndexes"]

    assert index["IndexName"] == "SensorTypeIndex"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["sensor_type_shard", "timestamp"]
    assert index["Projection"] == {"ProjectionType": "ALL"}


def names(stack: Stack) -> set[str]:
    """Names that a second deployment in the account would collide with. Saved queries may share theirs."""
    return {
        f"{item['Type']} {item['Properties'][field]}"
        for item in stack.body["Resources"].values()
        if item["Type"] != "AWS::Athena::NamedQuery"
        for field in NAMED
        if isinstance(item["Properties"].get(field), str | dict)
        and not (isinstance(item["Properties"][field], dict) and "Ref" in item["Properties"][field])
    }


@pytest.mark.parametrize("environment", environments())
def test_two_suffixes_of_one_system_share_no_name(environment):
    one, other = (
        {
            name
            for stack in stacks_of(load(environment, {"ENVIRONMENT_SUFFIX": suffix}), environment)
            for name in names(stack)
        }
        for suffix in ("one", "other")
    )

    assert len(one) > 20
    assert one & other == set()


def test_systems_with_the_same_suffix_share_no_name_in_a_region():
    by_environment = {
        name: {found for stack in stacks_of(load(name, {"ENVIRONMENT_SUFFIX": "dev"}), name) for found in names(stack)}
        for name in ("dev", "iot-processing")
    }

    for one, other in itertools.combinations(by_environment.values(), 2):
        assert one & other == set()


def test_log_groups_are_encrypted_and_kept_as_long_as_the_settings_say():
    groups = [(stack, group) for stack in all_stacks() for group in stack.properties("AWS::Logs::LogGroup").values()]

    # Firehose, topic rules, eighteen functions, four state machines; a network, a trail, and the rotation of a secret
    optional = sum(len(stacks_named(name)) for name in ("network", "audit", "notifications"))
    assert len(groups) == len(environments()) * 24 + optional
    for stack, group in groups:
        assert group["KmsKeyId"] == {"Ref": "KeyArn"}
        assert group["RetentionInDays"] == stack.settings.log_retention_days
