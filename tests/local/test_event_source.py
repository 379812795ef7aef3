"""What the event source does about failures, against AWS's documented behaviour."""

import itertools

import pytest

from local.additions.functions import event_source
from local.additions.functions.batches import Answer
from local.additions.functions.event_source import Lane
from tests.local.shard import FAILED, JumpingClock, always, shard, succeed, unless


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


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
