"""The event source on the embedded AWS: a real function from a zip, its role, the on-failure bucket."""

import base64
import json
from typing import Any

import boto3
import pytest

from local import process
from tests.e2e.resources import bucket, eventually, function, objects, role, stream

pytestmark = pytest.mark.e2e

SOURCE = """
import base64, os, boto3

def handle(event, context):
    failed = []
    for record in event["Records"]:
        data = base64.b64decode(record["kinesis"]["data"])
        if data == b"poison":
            failed.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
            break
        boto3.client("s3").put_object(Bucket="seen-" + context.function_name, Key=record["eventID"], Body=data)
    return {"batchItemFailures": failed}
"""


def mapped(name: str, *allowed: tuple[str, str], reading: str = "kinesis:*", retries: int = 1) -> str:
    """A stream, a function that stores what it sees, and the mapping between them; the mapping's id."""
    seen, failures, source = bucket(f"seen-{name}"), bucket(f"failures-{name}"), stream(name, shards=2)
    statements = ((reading, source), ("s3:PutObject", f"{seen}/*"), *allowed)
    function(name, role(name, "lambda", *statements), SOURCE)
    mapping = boto3.client("lambda").create_event_source_mapping(
        FunctionName=name,
        EventSourceArn=source,
        StartingPosition="TRIM_HORIZON",
        BatchSize=100,
        MaximumRetryAttempts=retries,
        BisectBatchOnFunctionError=True,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        DestinationConfig={"OnFailure": {"Destination": failures}},
    )
    return str(mapping["UUID"])


def put(name: str, *data: bytes) -> None:
    records: list[Any] = [{"Data": item, "PartitionKey": "device-1"} for item in data]
    boto3.client("kinesis").put_records(StreamName=name, Records=records)


def result(mapping: str) -> str:
    return str(boto3.client("lambda").get_event_source_mapping(UUID=mapping)["LastProcessingResult"])


@pytest.mark.promise("manufacturing", "failed records are not lost")
def test_a_poison_record_ends_in_the_on_failure_bucket_and_the_others_are_processed(emulator: process.Running) -> None:
    name = "poisoned"
    own = f"arn:aws:s3:::failures-{name}"
    mapping = mapped(name, ("s3:PutObject", f"{own}/*"), ("s3:ListBucket", own))

    put(name, b"one", b"poison", b"two", b"three")

    seen = eventually(lambda: (found := objects(f"seen-{name}")) and len(found) == 3 and found)
    assert sorted(seen.values()) == [b"one", b"three", b"two"]
    ((key, body),) = objects(f"failures-{name}").items()
    document = json.loads(body)
    assert key.startswith(f"aws/lambda/{mapping}/shardId-")
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["KinesisBatchInfo"]["batchSize"] == 1
    (record,) = json.loads(document["payload"])["Records"]
    assert base64.b64decode(record["kinesis"]["data"]) == b"poison"
    assert record["kinesis"]["sequenceNumber"] == document["KinesisBatchInfo"]["startSequenceNumber"]


def test_a_refused_on_failure_destination_shows_in_the_mapping(emulator: process.Running) -> None:
    name = "refused"
    mapping = mapped(name, retries=0)

    put(name, b"poison")

    expected = "PROBLEM: On-failure destination: AccessDenied"
    assert eventually(lambda: result(mapping).startswith(expected)), result(mapping)
    assert "s3:PutObject" in result(mapping)
    assert objects(f"failures-{name}") == {}


def test_a_role_that_may_not_read_the_stream_keeps_the_function_from_being_called(emulator: process.Running) -> None:
    name = "unreadable"
    mapping = mapped(name, reading="kinesis:DescribeStream")

    put(name, b"one")

    assert eventually(lambda: "DescribeStreamSummary" in result(mapping)), result(mapping)
    assert objects(f"seen-{name}") == {}


def test_a_changed_parallelization_loses_nothing(emulator: process.Running) -> None:
    name = "parallel"
    mapping = mapped(name)
    put(name, b"one")
    assert eventually(lambda: len(objects(f"seen-{name}")) == 1)

    boto3.client("lambda").update_event_source_mapping(UUID=mapping, ParallelizationFactor=4)
    put(name, b"two")

    assert eventually(lambda: len(objects(f"seen-{name}")) == 2)


def test_the_function_has_the_permissions_of_its_own_role_and_no_others(emulator: process.Running) -> None:
    bucket("nowhere-nosy")
    function("nosy", role("nosy", "lambda", ("s3:ListAllMyBuckets", "*")), SOURCE.replace("seen-", "nowhere-"))
    record = {"kinesis": {"data": "b25l", "sequenceNumber": "1"}, "eventID": "key"}

    answer = boto3.client("lambda").invoke(FunctionName="nosy", Payload=json.dumps({"Records": [record]}))

    assert "AccessDenied" in json.loads(answer["Payload"].read())["errorMessage"]


def test_publishing_a_batch_takes_the_permission_to_publish(emulator: process.Running) -> None:
    topic = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
    source = f"""
import boto3

def handle(event, context):
    boto3.client("sns").publish_batch(
        TopicArn={topic!r}, PublishBatchRequestEntries=[{{"Id": "1", "Message": "hot"}}])
    return "published"
"""
    function("allowed", role("allowed", "lambda", ("sns:Publish", topic)), source)
    function("denied", role("denied", "lambda", ("sns:Subscribe", topic)), source)

    answers = [boto3.client("lambda").invoke(FunctionName=name)["Payload"].read() for name in ("allowed", "denied")]

    assert json.loads(answers[0]) == "published"
    assert "is not authorized to perform: sns:Publish" in json.loads(answers[1])["errorMessage"]
