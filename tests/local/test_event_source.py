"""The event source against AWS's documented behaviour: in-memory shards, a scripted function, a clock that jumps."""

import base64
import itertools
import threading
from collections.abc import Callable, Sequence

import pytest

from local.additions import event_source
from local.additions.batches import PAYLOAD_BYTES, Answer, Part, Policy, Record, completed, lane_of
from local.additions.event_source import Clock, Lane

NOW = 1_800_000_000.0
FAILED = Answer(error="boom")


class JumpingClock(Clock):
    """Waits take no time, they only move the clock; `at` runs something when a moment is reached."""

    def __init__(self) -> None:
        super().__init__()
        self.time = NOW
        self.events: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds
        due = [event for event in self.events if event[0] <= self.time]
        self.events = [event for event in self.events if event[0] > self.time]
        for _, run in due:
            run()

    def at(self, moment: float, run: Callable[[], None]) -> None:
        self.events.append((moment, run))


class Shard:
    """A shard in memory and the function behind it: `function` gets the keys of a batch and answers for it."""

    def __init__(self, policy: Policy, function: Callable[[list[str]], Answer], clock: Clock) -> None:
        self.parameters = policy
        self.function = function
        self.clock = clock
        self.records: list[Record] = []
        self.batches: list[list[str]] = []
        self.discarded: list[tuple[str, list[str], int]] = []
        self.checkpoints: dict[int, int] = {}

    def put(self, *keys: str, data: str = "e30=") -> None:
        for key in keys:
            self.records.append(Record(str(len(self.records) + 1), key, data, self.clock.now()))

    def policy(self) -> Policy:
        return self.parameters

    def read(self, after: int, limit: int) -> Sequence[Record]:
        return self.records[after : after + limit]

    def invoke(self, records: Sequence[Record]) -> Answer:
        keys = [record.partition_key for record in records]
        self.batches.append(keys)
        return self.function(keys)

    def discard(self, part: Part, condition: str) -> None:
        self.discarded.append((condition, [record.partition_key for record in part.records], part.invocations))

    def checkpoint(self, lane: int, sequence: int) -> None:
        assert sequence > self.checkpoints.get(lane, 0), "a checkpoint never goes back"
        self.checkpoints[lane] = sequence

    def drain(self, index: int = 0, lanes: int = 1) -> None:
        lane = Lane(self, self.clock, self.checkpoints.get(index, 0), index, lanes)
        while lane.work():
            pass

    def failing_at(self, *keys: str) -> Callable[[list[str]], Answer]:
        """A function that reports the sequence numbers of these keys as failed."""

        def function(batch: list[str]) -> Answer:
            sequences = {record.partition_key: record.sequence for record in self.records}
            failures = [{"itemIdentifier": str(sequences[key])} for key in batch if key in keys]
            return Answer(body={"batchItemFailures": failures})

        return function


def always(answer: Answer) -> Callable[[list[str]], Answer]:
    return lambda _: answer


def unless(bad: str) -> Callable[[list[str]], Answer]:
    """A function that fails as a whole when `bad` is in the batch."""
    return lambda batch: FAILED if bad in batch else Answer()


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


def succeed(_: list[str]) -> Answer:
    return Answer()


def shard(clock: Clock, function: Callable[[list[str]], Answer] = succeed, **policy: object) -> Shard:
    return Shard(Policy(**policy), function, clock)  # type: ignore[arg-type]


def test_a_successful_batch_is_checkpointed_at_its_last_record(clock: JumpingClock) -> None:
    source = shard(clock, batch_size=2)
    source.put("a", "b", "c")

    source.drain()

    assert source.batches == [["a", "b"], ["c"]]
    assert source.checkpoints == {0: 3}


def test_a_partial_failure_is_retried_from_its_lowest_sequence_number(clock: JumpingClock) -> None:
    source = shard(clock, report_failures=True)
    source.put("a", "b", "c", "d")
    checkpoints: list[int] = []
    report = source.failing_at("d", "b")

    def once(batch: list[str]) -> Answer:
        checkpoints.append(source.checkpoints.get(0, 0))
        return report(batch) if len(source.batches) == 1 else Answer()

    source.function = once
    source.drain()

    assert source.batches == [["a", "b", "c", "d"], ["b", "c", "d"]]
    assert checkpoints == [0, 1]
    assert source.discarded == []


def test_a_partial_failure_counts_as_success_unless_the_mapping_asks_for_reports(clock: JumpingClock) -> None:
    source = shard(clock)
    source.function = source.failing_at("a")
    source.put("a", "b")

    source.drain()

    assert source.batches == [["a", "b"]]
    assert source.checkpoints == {0: 2}


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


def test_a_whole_failure_is_retried_until_the_retries_are_used_up(clock: JumpingClock) -> None:
    source = shard(clock, always(FAILED), retries=3)
    source.put("a", "b")

    source.drain()

    assert source.batches == [["a", "b"]] * 4
    assert source.discarded == [("RetryAttemptsExhausted", ["a", "b"], 4)]
    assert source.checkpoints == {0: 2}


def test_what_follows_a_discarded_batch_is_processed(clock: JumpingClock) -> None:
    source = shard(clock, unless("bad"), retries=0, batch_size=2)
    source.put("a", "bad", "c")

    source.drain()

    assert source.discarded == [("RetryAttemptsExhausted", ["a", "bad"], 1)]
    assert source.batches[-1] == ["c"]


def test_without_a_limit_a_failing_batch_is_retried_for_as_long_as_it_fails(clock: JumpingClock) -> None:
    source = shard(clock)
    source.function = lambda _: FAILED if len(source.batches) < 50 else Answer()
    source.put("a")

    source.drain()

    assert len(source.batches) == 50
    assert source.discarded == []


def test_retries_wait_longer_each_time_up_to_a_limit(clock: JumpingClock) -> None:
    source = shard(clock, retries=8)
    moments: list[float] = []

    def function(_: list[str]) -> Answer:
        moments.append(clock.now())
        return FAILED

    source.function = function
    source.put("a")
    source.drain()

    waits = [round(later - earlier, 1) for earlier, later in itertools.pairwise(moments)]
    assert waits[:3] == [0.1, 0.2, 0.4]
    assert waits[-1] == event_source.LONGEST_RETRY_S


def test_bisecting_isolates_the_record_that_fails_and_uses_no_retry(clock: JumpingClock) -> None:
    source = shard(clock, unless("bad"), bisect=True, retries=2)
    source.put("a", "b", "bad", "d", "e")

    source.drain()

    assert source.discarded == [("RetryAttemptsExhausted", ["bad"], 5)]
    assert source.batches.count(["bad"]) == 3, "the first attempt alone, and two retries"
    succeeded = [key for batch in source.batches if "bad" not in batch for key in batch]
    assert succeeded == ["a", "b", "d", "e"], "once each, and in order"
    assert source.checkpoints == {0: 5}


def test_bisecting_splits_at_the_reported_record_and_then_in_halves(clock: JumpingClock) -> None:
    source = shard(clock, bisect=True, report_failures=True, retries=1)
    source.function = source.failing_at("bad")
    source.put("a", "bad", "c", "d")

    source.drain()

    assert source.batches == [["a", "bad", "c", "d"], ["bad", "c", "d"], ["bad", "c"], ["bad"], ["bad"], ["c"], ["d"]]
    assert [(condition, keys) for condition, keys, _ in source.discarded] == [("RetryAttemptsExhausted", ["bad"])]


def test_a_throttled_invocation_is_no_attempt(clock: JumpingClock) -> None:
    source = shard(clock, retries=0)
    source.function = lambda _: Answer(throttled=True) if len(source.batches) < 10 else Answer()
    source.put("a")

    source.drain()

    assert len(source.batches) == 10
    assert source.discarded == []


def test_a_record_over_its_age_goes_to_the_destination_without_an_invocation(clock: JumpingClock) -> None:
    source = shard(clock, record_age_s=60)
    source.put("old")
    clock.time += 61
    source.put("new")

    source.drain()

    assert source.discarded == [("RecordAgeExceeded", ["old"], 0)]
    assert source.batches == [["new"]]


def test_a_failing_record_is_given_up_when_it_reaches_its_age(clock: JumpingClock) -> None:
    source = shard(clock, always(FAILED), record_age_s=60)
    source.put("a")

    source.drain()

    (condition, keys, invocations), *others = source.discarded
    assert (condition, keys, others) == ("RecordAgeExceeded", ["a"], [])
    assert invocations == len(source.batches) > 1


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


def test_a_restart_goes_on_from_the_checkpoint(clock: JumpingClock) -> None:
    source = shard(clock, batch_size=2)
    source.put("a", "b", "c")
    Lane(source, clock, after=0).work()
    source.put("d")

    source.drain()

    assert source.batches == [["a", "b"], ["c", "d"]]


def test_a_stop_in_the_middle_of_a_batch_leaves_the_undone_rest_for_the_next_start(clock: JumpingClock) -> None:
    source = shard(clock, report_failures=True)
    source.put("a", "b", "c")
    report = source.failing_at("b")

    def interrupted(batch: list[str]) -> Answer:
        clock.stop()
        return report(batch)

    source.function = interrupted
    Lane(source, clock, after=0).run()
    assert source.checkpoints == {0: 1}

    restarted = JumpingClock()
    source.function = succeed
    Lane(source, restarted, source.checkpoints[0]).work()
    assert source.batches == [["a", "b", "c"], ["b", "c"]]


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
