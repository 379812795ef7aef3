"""What docs/reference-systems.md promises of both systems, found in the stacks deployed side by side.

The embedded AWS's CloudFormation leaves out encryption and recovery of the stores that it makes: those are read from
the template that is deployed.
"""

import json
from typing import Any

import pytest

from tests.e2e.printed import SYSTEMS
from tests.e2e.systems import System

pytestmark = pytest.mark.e2e

Properties = dict[str, Any]


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, systems: dict[str, System]) -> System:
    """Each system in turn."""
    return systems[request.param]


@pytest.fixture
def city(systems: dict[str, System]) -> System:
    """The system `iot-processing`."""
    return systems["iot-processing"]


@pytest.fixture
def works(systems: dict[str, System]) -> System:
    """The system `manufacturing`."""
    return systems["manufacturing"]


@pytest.mark.promise("iot-processing", "key")
@pytest.mark.promise("manufacturing", "key")
def test_the_key_rotates_has_its_alias_and_grants_services_under_conditions(system: System) -> None:
    kms = system.client("kms")
    aliases = {"iot-processing": "alias/iot-processing-city", "manufacturing": "alias/iot-manufacturing-works"}
    key = kms.describe_key(KeyId=aliases[system.settings.system])["KeyMetadata"]

    assert key["KeyId"] == system.outputs["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    services = [grant for grant in policy["Statement"] if "Service" in grant["Principal"]]
    assert services
    assert all(grant["Condition"] for grant in services)


@pytest.mark.promise("iot-processing", "raw bucket")
@pytest.mark.promise("iot-processing", "processed bucket")
@pytest.mark.promise("manufacturing", "raw bucket")
@pytest.mark.parametrize(
    ("environment", "title", "start"),
    [
        ("iot-processing", "RawBucket", "iot-raw-data-city-"),
        ("iot-processing", "ProcessedBucket", "iot-processed-data-city-"),
        ("manufacturing", "RawBucket", "iot-sensor-data-works-"),
    ],
)
def test_a_bucket_is_private_versioned_encrypted_and_tidied(
    systems: dict[str, System], environment: str, title: str, start: str
) -> None:
    system = systems[environment]
    s3, bucket = system.client("s3"), system.outputs[f"{title}Name"]

    assert bucket.startswith(start)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    told = system.properties("storage", title)
    (rule,) = told["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Ref": "KeyArn"},
    }
    assert rule["BucketKeyEnabled"] in {True, "true"}
    (tidy,) = [rule for rule in lifecycle(system, title) if rule["ID"] == "Tidy"]
    assert tidy["Status"] == "Enabled"
    assert tidy["NoncurrentVersionExpiration"]["NoncurrentDays"] > 0
    assert tidy["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] > 0


def lifecycle(system: System, title: str) -> list[Properties]:
    bucket = system.outputs[f"{title}Name"]
    found: list[Properties] = system.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    return found


@pytest.mark.promise("manufacturing", "raw bucket")
def test_the_archive_of_manufacturing_moves_to_glacier_after_90_days(works: System) -> None:
    (rule,) = [rule for rule in lifecycle(works, "RawBucket") if "Transitions" in rule]

    assert (rule["Status"], rule["Filter"]) == ("Enabled", {"Prefix": ""})
    assert rule["Transitions"] == [{"StorageClass": "GLACIER", "Days": 90}]


@pytest.mark.promise("iot-processing", "stream")
@pytest.mark.promise("manufacturing", "stream")
@pytest.mark.parametrize(
    ("environment", "name", "mode"),
    [
        ("iot-processing", "iot-data-stream-city", "PROVISIONED"),
        ("manufacturing", "iot-sensor-stream-works", "ON_DEMAND"),
    ],
)
def test_the_stream_keeps_a_day_and_is_encrypted(
    systems: dict[str, System], environment: str, name: str, mode: str
) -> None:
    system = systems[environment]
    stream = system.client("kinesis").describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]

    assert name == system.outputs["KinesisStreamName"]
    assert stream["StreamModeDetails"]["StreamMode"] == mode
    assert stream["RetentionPeriodHours"] == 24
    if mode == "PROVISIONED":
        assert stream["OpenShardCount"] == 10
    encryption = system.properties("ingest", "ReadingsStream")["StreamEncryption"]
    assert encryption == {"EncryptionType": "KMS", "KeyId": {"Ref": "KeyArn"}}


@pytest.mark.promise("iot-processing", "hot table")
@pytest.mark.promise("manufacturing", "hot table")
@pytest.mark.parametrize(
    ("environment", "name", "keys"),
    [
        ("iot-processing", "iot-sensor-data-city", {"sensor_id": "S", "timestamp": "S"}),
        ("manufacturing", "sensor-metrics-works", {"device_id": "S", "timestamp": "N"}),
    ],
)
def test_the_hot_table_is_on_demand_and_has_its_keys(
    systems: dict[str, System], environment: str, name: str, keys: dict[str, str]
) -> None:
    system = systems[environment]
    table = system.client("dynamodb").describe_table(TableName=name)["Table"]
    types = {item["AttributeName"]: item["AttributeType"] for item in table["AttributeDefinitions"]}

    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [key["AttributeName"] for key in table["KeySchema"]] == list(keys)
    assert {key: types[key] for key in keys} == keys
    told = system.properties("storage", "ReadingsTable")
    assert told["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] in {True, "true"}
    assert told["SSESpecification"]["KMSMasterKeyId"] == {"Ref": "KeyArn"}


@pytest.mark.promise("iot-processing", "hot table")
def test_the_index_by_sensor_type_is_spread_over_shards(city: System) -> None:
    table = city.client("dynamodb").describe_table(TableName="iot-sensor-data-city")["Table"]
    (index,) = table["GlobalSecondaryIndexes"]

    assert index["IndexName"] == "SensorTypeIndex"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["sensor_type_shard", "timestamp"]
    assert index["Projection"]["ProjectionType"] == "ALL"


@pytest.mark.promise("iot-processing", "alerts")
def test_alerts_go_to_an_encrypted_topic(city: System) -> None:
    topic = city.client("sns").get_topic_attributes(TopicArn=city.outputs["AlertsTopicArn"])["Attributes"]

    assert topic["TopicArn"].endswith(":iot-anomaly-alerts-city")
    assert city.outputs["SnsTopicName"] == "iot-anomaly-alerts-city"
    assert city.properties("realtime", "AlertsTopic")["KmsMasterKeyId"] == {"Ref": "KeyArn"}


@pytest.mark.promise("iot-processing", "secret")
def test_the_secret_was_generated_and_rotates(city: System) -> None:
    secrets = city.client("secretsmanager")
    secret = secrets.describe_secret(SecretId="iot-api-credentials-city")
    value = json.loads(secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"])

    assert city.outputs["ApiSecretName"] == secret["Name"]
    assert city.outputs["ApiSecretArn"] == secret["ARN"]
    assert value.keys() >= {"api_key", "api_secret"}
    assert secret["RotationEnabled"] is True


@pytest.mark.promise("iot-processing", "function")
@pytest.mark.promise("manufacturing", "function")
@pytest.mark.parametrize(
    ("environment", "name", "memory_mb"),
    [("iot-processing", "iot-processor-city", 512), ("manufacturing", "iot-processor-works", 256)],
)
def test_the_function_has_its_size_its_own_role_and_logs(
    systems: dict[str, System], environment: str, name: str, memory_mb: int
) -> None:
    system = systems[environment]
    functions = system.client("lambda").list_functions()["Functions"]
    (function,) = [one for one in functions if one["FunctionName"] == name]
    (logs,) = log_groups(system, f"/aws/lambda/{name}")

    assert (function["MemorySize"], function["Timeout"]) == (memory_mb, 60)
    assert [one["FunctionName"] for one in functions if one["Role"] == function["Role"]] == [name]
    assert (logs["retentionInDays"], logs["kmsKeyId"]) == (365, system.outputs["KeyArn"])
    assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "INFO"


def log_groups(system: System, prefix: str) -> list[Properties]:
    found: list[Properties] = system.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return found


@pytest.mark.promise("iot-processing", "event source")
@pytest.mark.promise("manufacturing", "function")
@pytest.mark.parametrize(("environment", "parallelization"), [("iot-processing", 2), ("manufacturing", 1)])
def test_the_event_source_retries_bisects_and_sets_aside(
    systems: dict[str, System], environment: str, parallelization: int
) -> None:
    system = systems[environment]
    source = system.client("lambda").get_event_source_mapping(UUID=system.outputs["EventSourceId"])

    assert (source["BatchSize"], source["MaximumBatchingWindowInSeconds"]) == (100, 10)
    assert source["ParallelizationFactor"] == parallelization
    assert source["MaximumRetryAttempts"] == 3
    assert source["BisectBatchOnFunctionError"] is True
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["DestinationConfig"]["OnFailure"]["Destination"].startswith("arn:aws:s3:::")


@pytest.mark.promise("iot-processing", "Firehose")
def test_firehose_delivers_compressed_lines_by_hour(city: System) -> None:
    answer = city.client("firehose").describe_delivery_stream(DeliveryStreamName="iot-firehose-city")
    delivery = answer["DeliveryStreamDescription"]
    (destination,) = delivery["Destinations"]
    to = destination["ExtendedS3DestinationDescription"]

    source = delivery["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"]
    assert source.endswith(":stream/iot-data-stream-city")
    for part in ("raw-data/", "year=", "month=", "day=", "hour="):
        assert part in to["Prefix"]
    assert "!{firehose:error-output-type}" in to["ErrorOutputPrefix"]
    assert to["BufferingHints"] == {"SizeInMBs": 5, "IntervalInSeconds": 300}
    assert to["CompressionFormat"] == "GZIP"
    assert to["BucketARN"].endswith(city.outputs["RawDataBucketName"])
    assert to["EncryptionConfiguration"]["KMSEncryptionConfig"]["AWSKMSKeyARN"] == city.outputs["KeyArn"]
    processors = city.properties("ingest", "ArchiveDelivery")["ExtendedS3DestinationConfiguration"]
    types = [one["Type"] for one in processors["ProcessingConfiguration"]["Processors"]]
    assert types == ["AppendDelimiterToRecord"]
