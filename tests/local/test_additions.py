"""The additions piece by piece, against what AWS documents."""

import datetime
import gzip
import re
import time
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import iot, lambda_svc

from local.additions import firehose, iot_actions, on_failure, retention, rule_sql, services
from local.additions.batches import Answer, Part, Record
from local.additions.mapped_shard import MappedShard

SCOPE = ("000000000000", "eu-central-1")
MAPPING = {
    "UUID": "11111111-2222-3333-4444-555555555555",
    "FunctionName": "reader",
    "FunctionArn": "arn:aws:lambda:eu-central-1:000000000000:function:reader",
    "EventSourceArn": "arn:aws:kinesis:eu-central-1:000000000000:stream/readings",
}
NOON = datetime.datetime(2026, 11, 21, 12, 0, 5, tzinfo=datetime.UTC)


def stream_record(sequence: int, arrived_at: float = 0.0) -> dict[str, Any]:
    return {
        "SequenceNumber": f"{sequence:030d}",
        "ApproximateArrivalTimestamp": arrived_at,
        "Data": "e30=",
        "PartitionKey": "key",
    }


def a_stream(*shards: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "RetentionPeriodHours": 24,
        "shards": {f"shardId-{number}": {"records": records} for number, records in enumerate(shards)},
    }


# Firehose


@pytest.mark.parametrize(
    ("processors", "expected"),
    [
        ([], b""),
        ([{"Type": "AppendDelimiterToRecord"}], b"\n"),
        (
            [
                {
                    "Type": "AppendDelimiterToRecord",
                    "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                }
            ],
            b"\n",
        ),
        (
            [
                {
                    "Type": "AppendDelimiterToRecord",
                    "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "|"}],
                }
            ],
            b"|",
        ),
    ],
)
def test_the_delimiter_is_the_one_of_the_processor(processors: list[dict[str, Any]], expected: bytes) -> None:
    assert firehose.delimiter({"ProcessingConfiguration": {"Enabled": True, "Processors": processors}}) == expected
    assert firehose.delimiter({"ProcessingConfiguration": {"Enabled": False, "Processors": processors}}) == b""


def test_an_object_lies_under_the_arrival_time_of_its_oldest_record() -> None:
    config = {
        "Prefix": "raw-data/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"
    }

    key = firehose.object_key({"name": "archive", "version": 2}, config, NOON.timestamp(), ".gz")

    assert re.fullmatch(
        r"raw-data/year=2026/month=11/day=21/hour=12/archive-2-2026-11-21-12-00-05-[0-9a-f-]{36}\.gz", key
    )


class Delivered:
    """A delivery stream with one destination, and what arrived in its bucket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, megabytes: int = 1, seconds: int = 300) -> None:
        self.objects: list[bytes] = []
        self.refusing = False
        monkeypatch.setattr(services, "demand", lambda *_: None)
        monkeypatch.setattr(services, "put_object", self._put)
        config = {
            "BucketARN": "arn:aws:s3:::archive",
            "RoleARN": "arn:aws:iam::000000000000:role/archive",
            "BufferingHints": {"SizeInMBs": megabytes, "IntervalInSeconds": seconds},
            "CompressionFormat": "GZIP",
        }
        arn = "arn:aws:firehose:eu-central-1:000000000000:deliverystream/archive"
        stream = {"name": "archive", "arn": arn, "type": "DirectPut", "version": 1}
        self.buffer = firehose.Buffer(stream, {"id": "1", "type": "ExtendedS3", "config": config})

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        if self.refusing:
            raise services.RefusedError("AccessDenied")
        self.objects.append(gzip.decompress(body))


def test_a_buffer_is_due_when_it_has_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = Delivered(monkeypatch).buffer
    buffer.add(bytes(1024 * 1024 - 1), 0.0)
    assert not buffer.is_due()

    buffer.add(b"x", 0.0)
    assert buffer.is_due()


def test_a_buffer_is_due_when_it_has_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = Delivered(monkeypatch, seconds=60).buffer
    buffer.add(b"x", 0.0)
    assert not buffer.is_due()

    buffer.opened_at -= 60
    assert buffer.is_due()


def test_a_delivery_that_is_refused_is_made_again_with_the_same_records(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered = Delivered(monkeypatch, seconds=0)
    delivered.buffer.add(b"one", 0.0)
    delivered.refusing = True
    delivered.buffer.flush()
    assert not delivered.buffer.is_due(), "not at once"

    delivered.refusing = False
    delivered.buffer.add(b"two", 0.0)
    delivered.buffer.flush()

    assert delivered.objects == [b"onetwo"]
    assert delivered.buffer.records == []


# Kinesis


def test_only_records_past_their_retention_expire() -> None:
    now = time.time()
    old, young = stream_record(1, now - 25 * 3600), stream_record(2, now)
    stream = a_stream([old, young], [young])

    retention.expire(stream)

    assert [shard["records"] for shard in stream["shards"].values()] == [[young], [young]]


# Topic rules


@pytest.mark.parametrize("payload", [b"[" * 100_000, b'{"a": NaN}', b'{"a": -Infinity}', b"{'a': 1}"])
def test_what_is_not_json_is_text(payload: bytes) -> None:
    assert rule_sql.message(payload) == payload.decode()


def test_invalid_utf_8_is_no_value() -> None:
    assert rule_sql.message(b"\xff") is iot._MISSING


def test_an_action_writes_compact_json() -> None:
    assert iot_actions.content({"a": [1, "é"]}) == b'{"a":[1,"\\u00e9"]}'
    assert iot_actions.content("text") == b"text"
    assert iot_actions.content(b"\xff") == b"\xff"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${topic(3)}", "press-1"),
        ("errors/${topic(3)}/${line.number}.json", "errors/press-1/7.json"),
        ("${nothing}", "undefined"),
        ("plain", "plain"),
    ],
)
def test_a_template_is_filled_in_from_the_message(template: str, expected: str) -> None:
    message = iot_actions.Message("plant/readings/press-1/data", b'{"line": {"number": 7}}', None)
    token = iot_actions._message.set(message)
    try:
        assert iot_actions.substitute(template) == expected
    finally:
        iot_actions._message.reset(token)


# Event source


def test_an_on_failure_object_has_the_name_that_lambda_gives_it() -> None:
    key = on_failure.object_key("mapping", "shardId-000000000001", NOON)

    assert re.fullmatch(r"aws/lambda/mapping/shardId-000000000001/2026/11/21/2026-11-21T12\.00\.05-[0-9a-f-]{36}", key)


def test_an_invocation_record_holds_the_batch_and_why_it_was_given_up() -> None:
    records = [Record("5", "a", "e30=", NOON.timestamp() - 2.5), Record("9", "b", "e30=", NOON.timestamp())]
    part = Part(records, failures=3, invocations=4, answer=Answer(error="boom"))
    event = {"Records": ["…"]}

    document = on_failure.invocation_record(MAPPING, "shardId-1", part, "RetryAttemptsExhausted", event, NOON)

    assert document["requestContext"].pop("requestId")
    assert document == {
        "requestContext": {
            "functionArn": MAPPING["FunctionArn"],
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 4,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-11-21T12:00:05.000Z",
        "KinesisBatchInfo": {
            "shardId": "shardId-1",
            "startSequenceNumber": "5",
            "endSequenceNumber": "9",
            "approximateArrivalOfFirstRecord": "2026-11-21T12:00:02.500Z",
            "approximateArrivalOfLastRecord": "2026-11-21T12:00:05.000Z",
            "batchSize": 2,
            "streamArn": MAPPING["EventSourceArn"],
        },
        "payload": event,
    }


def test_records_that_were_never_sent_have_no_response() -> None:
    part = Part([Record("5", "a", "e30=", 0.0)])

    document = on_failure.invocation_record(MAPPING, "shardId-1", part, "RecordAgeExceeded", {}, NOON)

    assert "responseContext" not in document


class TestStartingPosition:
    @pytest.fixture(autouse=True)
    def _in_a_scope(self) -> Any:
        with request_scope(*SCOPE):
            yield
            lambda_svc._kinesis_positions.clear()

    def mapped(self, stream: dict[str, Any], shard: int = 0, **mapping: Any) -> MappedShard:
        return MappedShard(SCOPE, MAPPING | {"StartingPosition": "TRIM_HORIZON"} | mapping, stream, f"shardId-{shard}")

    def test_trim_horizon_is_the_first_record(self) -> None:
        assert self.mapped(a_stream([stream_record(7)])).starting_position(0) == 0

    def test_latest_is_after_what_every_shard_holds_now(self) -> None:
        stream = a_stream([stream_record(7)], [stream_record(8)], [])
        starts = [self.mapped(stream, shard, StartingPosition="LATEST").starting_position(0) for shard in range(3)]
        assert starts == [7, 8, 0]

    def test_a_shard_that_comes_later_is_read_whole(self) -> None:
        stream = a_stream([stream_record(7)])
        self.mapped(stream, StartingPosition="LATEST").starting_position(0)
        stream["shards"]["shardId-1"] = {"records": [stream_record(9)]}

        assert self.mapped(stream, 1, StartingPosition="LATEST").starting_position(0) == 0

    def test_a_checkpoint_is_where_it_goes_on(self) -> None:
        mapped = self.mapped(a_stream([stream_record(7)]))
        mapped.starting_position(0)
        mapped.checkpoint(0, 5)

        assert self.mapped(a_stream([stream_record(7)])).starting_position(0) == 5

    def test_another_number_of_lanes_goes_on_from_the_one_that_is_least_far(self) -> None:
        stream = a_stream([stream_record(7)])
        two = self.mapped(stream, ParallelizationFactor=2)
        assert two.starting_position(0) == two.starting_position(1) == 0
        two.checkpoint(0, 3)
        two.checkpoint(1, 6)

        three = self.mapped(stream, ParallelizationFactor=3)

        assert [three.starting_position(lane) for lane in range(3)] == [3, 3, 3]
