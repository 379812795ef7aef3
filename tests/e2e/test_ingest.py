"""Topic rules, Kinesis and Firehose on the embedded AWS, with the very statements that the templates use."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local import process
from tests.e2e.resources import bucket, eventually, objects, role, stream

pytestmark = pytest.mark.e2e

TOPIC = "plant/readings"
READINGS = "SELECT *, topic(3) AS topic_device_id, timestamp() AS received_at FROM 'plant/readings/+/data'"
RAW = "SELECT encode(*, 'base64') AS payload_b64, topic(3) AS topic_device_id FROM 'plant/readings/+/data'"
ARCHIVE = "plant-archive"


@pytest.fixture(scope="module")
def ingest(emulator: process.Running) -> Iterator[None]:
    """Two complementary rules into a stream, and Firehose from there to a bucket."""
    archive, source = bucket(ARCHIVE), stream("plant")
    iot_role = role("plant-iot", "iot", ("kinesis:PutRecord", source), ("s3:PutObject", f"{archive}/errors/*"))
    firehose_role = role("plant-firehose", "firehose", ("kinesis:*", source), ("s3:PutObject", f"{archive}/raw-data/*"))
    boto3.client("firehose").create_delivery_stream(
        DeliveryStreamName="plant",
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": source, "RoleARN": firehose_role},
        ExtendedS3DestinationConfiguration={
            "RoleARN": firehose_role,
            "BucketARN": archive,
            "Prefix": "raw-data/year=!{timestamp:yyyy}/hour=!{timestamp:HH}/",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1},
            "CompressionFormat": "GZIP",
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "AppendDelimiterToRecord",
                        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                    }
                ],
            },
        },
    )
    rule("plant_readings", f"{READINGS} WHERE NOT isUndefined(timestamp)", iot_role, "plant")
    rule("plant_raw", f"{RAW} WHERE isUndefined(timestamp)", iot_role, "plant")
    yield
    boto3.client("firehose").delete_delivery_stream(DeliveryStreamName="plant")


def rule(name: str, sql: str, role_arn: str, stream_name: str) -> None:
    kinesis: Any = {"kinesis": {"roleArn": role_arn, "streamName": stream_name, "partitionKey": "${topic(3)}"}}
    errors: Any = {
        "s3": {"roleArn": role_arn, "bucketName": ARCHIVE, "key": "errors/rules/${topic(3)}/${newuuid()}.json"}
    }
    payload: Any = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [kinesis], "errorAction": errors}
    boto3.client("iot").create_topic_rule(ruleName=name, topicRulePayload=payload)


def publish(device: str, payload: bytes) -> None:
    boto3.client("iot-data").publish(topic=f"{TOPIC}/{device}/data", qos=1, payload=payload)


def archived(device: str) -> list[dict[str, Any]]:
    lines = [line for body in objects(ARCHIVE, "raw-data/").values() for line in body.splitlines()]
    return [found for line in lines if (found := json.loads(line))["topic_device_id"] == device]


def test_a_reading_is_archived_with_its_topic_and_arrival(ingest: None) -> None:
    publish("press-1", b'{"timestamp": 5, "temperature": 1.5}')

    (reading,) = eventually(lambda: archived("press-1"))

    assert reading.pop("received_at") > 1_700_000_000_000
    assert reading == {"timestamp": 5, "temperature": 1.5, "topic_device_id": "press-1"}


@pytest.mark.parametrize(
    "payload",
    [b"not json", b"\xff\xfe\x00", b"[1, 2]", b"{}", b"", b'"text"', b'{"timestamp": 1, "x": NaN}', b"[" * 100_000],
    ids=lambda payload: repr(payload[:20]),
)
def test_whatever_is_no_object_with_a_timestamp_is_archived_byte_by_byte(ingest: None, payload: bytes) -> None:
    device = f"odd-{abs(hash(payload))}"
    publish(device, payload)

    (envelope,) = eventually(lambda: archived(device))

    assert base64.b64decode(envelope["payload_b64"]) == payload


def test_a_null_timestamp_is_a_timestamp(ingest: None) -> None:
    publish("press-null", b'{"timestamp": null}')

    (reading,) = eventually(lambda: archived("press-null"))

    assert reading["timestamp"] is None


def test_an_archive_object_is_named_as_firehose_names_it(ingest: None) -> None:
    publish("press-2", b'{"timestamp": 1}')
    eventually(lambda: archived("press-2"))

    name = re.compile(r"raw-data/year=\d{4}/hour=\d\d/plant-1-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9a-f-]{36}\.gz")
    assert all(name.fullmatch(key) for key in objects(ARCHIVE, "raw-data/"))


def test_an_action_that_fails_is_written_by_the_error_action(ingest: None) -> None:
    allowed = role(
        "plant-lost", "iot", ("kinesis:PutRecord", "*"), ("s3:PutObject", f"arn:aws:s3:::{ARCHIVE}/errors/*")
    )
    rule("plant_lost", f"{READINGS} WHERE lost = 1", allowed, "no-such-stream")

    publish("press-lost", b'{"timestamp": 1, "lost": 1}')

    (error,) = eventually(lambda: objects(ARCHIVE, "errors/rules/press-lost/")).values()
    document = json.loads(error)
    assert document["failures"][0]["failedAction"] == "KinesisAction"
    assert base64.b64decode(document["base64OriginalPayload"]) == b'{"timestamp": 1, "lost": 1}'


def test_a_rule_whose_role_may_not_put_records_fails_with_access_denied(ingest: None) -> None:
    refused = role("plant-refused", "iot", ("s3:PutObject", f"arn:aws:s3:::{ARCHIVE}/errors/*"))
    rule("plant_refused", f"{READINGS} WHERE refused = 1", refused, "plant")

    publish("press-refused", b'{"timestamp": 1, "refused": 1}')

    (error,) = eventually(lambda: objects(ARCHIVE, "errors/rules/press-refused/")).values()
    assert "AccessDenied" in json.loads(error)["failures"][0]["errorMessage"]


def test_direct_puts_are_buffered_into_one_object(ingest: None) -> None:
    target = bucket("direct-puts")
    boto3.client("firehose").create_delivery_stream(
        DeliveryStreamName="direct",
        ExtendedS3DestinationConfiguration={
            "RoleARN": role("direct", "firehose", ("s3:PutObject", f"{target}/*")),
            "BucketARN": target,
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1},
        },
    )
    records: list[Any] = [{"Data": b"one"}, {"Data": b"two"}]
    boto3.client("firehose").put_record_batch(DeliveryStreamName="direct", Records=records)

    ((key, body),) = eventually(lambda: objects("direct-puts")).items()

    assert body == b"onetwo"
    assert re.match(r"\d{4}/\d\d/\d\d/\d\d/direct-1-", key)
