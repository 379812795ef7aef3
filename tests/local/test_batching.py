"""How the event source makes batches of a shard, against AWS's documented behaviour."""

import base64
import threading
from collections.abc import Sequence

import pytest

from local.additions.functions.batches import PAYLOAD_BYTES, Answer, Policy, Record, completed, lane_of
from tests.local.shard import NOW, JumpingClock, shard, unless


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


RECORDS = [Record("7", "a", "", NOW), Record("8", "b", "", NOW), Record("9", "c", "", NOW)]


@pytest.mark.parametrize(
    ("body", "done"),
    [
        (None, 3),
        ("", 3),
        ({}, 3),
        ({"batchItemFailures": []}, 3),
        ({"batchItemFailures": None}, 3),
        ({"batchItemFailures": [{"itemIdentifier": "9"}, {"itemIdentifier": "8"}]}, 1),
        ({"batchItemFailures": [{"itemIdentifier": "0009"}]}, 2),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, 0),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, 0),
        ({"batchItemFailures": [{"identifier": "9"}]}, 0),
        ({"batchItemFailures": [{"itemIdentifier": "10"}]}, 0),
        ({"batchItemFailures": ["9"]}, 0),
        ("done", 0),
    ],
)
def test_the_answer_says_how_much_of_the_batch_is_done(body: object, done: int) -> None:
    assert completed(Answer(body=body), RECORDS, Policy(report_failures=True)) == done


def test_a_batch_waits_for_its_window_to_end(clock: JumpingClock) -> None:
    source = shard(clock, window_s=5)
    invoked_at: list[float] = []
    source.function = lambda _: invoked_at.append(clock.now()) or Answer()  # type: ignore[func-returns-value]
    source.put("a")
    clock.at(NOW + 4, lambda: source.put("b"))

    source.drain()

    assert source.batches == [["a", "b"]]
    assert invoked_at == [pytest.approx(NOW + 5)]


def test_a_full_batch_does_not_wait_for_its_window(clock: JumpingClock) -> None:
    source = shard(clock, window_s=300, batch_size=2)
    source.put("a")
    clock.at(NOW + 1, lambda: source.put("b"))

    source.drain()

    assert source.batches == [["a", "b"]]
    assert clock.now() < NOW + 2


def test_a_batch_holds_at_most_6_mb(clock: JumpingClock) -> None:
    source = shard(clock, window_s=300, batch_size=10_000)
    megabyte = base64.b64encode(bytes(1_000_000)).decode()
    source.put(*"abcdefgh", data=megabyte)
    clock.at(NOW + 301, clock.stop)

    source.drain()

    assert [len(batch) for batch in source.batches] == [4, 4]
    assert 4 * source.records[0].size_bytes <= PAYLOAD_BYTES < 5 * source.records[0].size_bytes


def test_with_parallelization_every_key_keeps_its_order_and_nothing_is_left_out(clock: JumpingClock) -> None:
    lanes = 4
    source = shard(clock, batch_size=3, parallelization=lanes)
    keys = [f"device-{number % 7}" for number in range(200)]
    source.put(*keys)
    seen: list[tuple[str, int]] = []
    lock = threading.Lock()

    def invoke(records: Sequence[Record]) -> Answer:
        with lock:
            seen.extend((record.partition_key, record.sequence) for record in records)
        return Answer()

    source.invoke = invoke  # type: ignore[method-assign]
    threads = [threading.Thread(target=source.drain, args=(index, lanes)) for index in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for key in set(keys):
        expected = [number + 1 for number, other in enumerate(keys) if other == key]
        assert [sequence for other, sequence in seen if other == key] == expected
    assert len({lane_of(key, lanes) for key in keys}) > 1
    assert source.checkpoints == dict.fromkeys(range(lanes), 200), "a lane is past the records of the others too"


def test_a_lane_that_fails_does_not_hold_up_the_others(clock: JumpingClock) -> None:
    keys = {lane_of(key, 2): key for key in "abcdefgh"}
    source = shard(clock, unless(keys[0]), parallelization=2, retries=1)
    source.put(keys[0], keys[1])

    source.drain(1, 2)

    assert source.batches == [[keys[1]]]
    assert source.checkpoints == {1: 2}


def test_the_parameters_have_the_defaults_of_aws() -> None:
    assert Policy.of({}) == Policy(100, 0, 1, -1, -1, bisect=False, report_failures=False)


def test_the_parameters_are_read_as_cloudformation_may_write_them() -> None:
    policy = Policy.of(
        {
            "BatchSize": "500",
            "MaximumBatchingWindowInSeconds": 5,
            "ParallelizationFactor": "2",
            "MaximumRetryAttempts": "0",
            "MaximumRecordAgeInSeconds": 86400,
            "BisectBatchOnFunctionError": "true",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }
    )
    assert policy == Policy(500, 5, 2, 0, 86400, bisect=True, report_failures=True)
