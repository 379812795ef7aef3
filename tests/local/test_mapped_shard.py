"""What the event source makes of MiniStack's shards: where it begins, what expires, what it writes on failure."""

import datetime
import re
import time
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import lambda_svc

from local.additions.delivery import retention
from local.additions.functions import on_failure
from local.additions.functions.batches import Answer, Part, Record
from local.additions.functions.mapped_shard import MappedShard

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


def test_only_records_past_their_retention_expire() -> None:
    now = time.time()
    old, young = stream_record(1, now - 25 * 3600), stream_record(2, now)
    stream = a_stream([old, young], [young])

    retention.expire(stream)

    assert [shard["records"] for shard in stream["shards"].values()] == [[young], [young]]


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
        "payload": '{"Records": ["\\u2026"]}',
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
