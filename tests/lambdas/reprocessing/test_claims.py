"""Who has a range, whatever the order in which several ask for it."""

import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from compaction.store import Store
from reprocessing.claims import Claims
from reprocessing.errors import RangeHeld
from reprocessing.request import Scope
from tests.memory_aws import Effects, MemoryS3, MemoryStates

MARCH = Scope(0, 31)
APRIL = Scope(31, 61)
SINCE = "2026-11-21T10:00:00.000Z"


class Aws:
    """A bucket, and executions that run until they are stopped."""

    def __init__(self) -> None:
        self.s3 = MemoryS3(Effects())
        self.s3.create_bucket(Bucket="processed")
        self.states = MemoryStates()

    def claims(self, execution: str, s3: Any = None, sleep: Callable[[float], None] = lambda _: None) -> Claims:
        return Claims(Store(s3 or self.s3, "processed"), self.states, self.states.start(execution), sleep)

    def held(self) -> list[str]:
        return sorted(key.rpartition("/")[2] for key in self.s3.buckets["processed"])


def test_a_second_run_is_told_which_one_has_the_range_and_leaves_nothing_behind():
    aws = Aws()
    aws.claims("one").hold("one", MARCH, SINCE)

    with pytest.raises(RangeHeld, match=rf"Run one has had 1970.* to .* since {SINCE} \(execution arn.*:one\)"):
        aws.claims("two").hold("two", Scope(30, 40, ("pump-*",)), SINCE)

    assert aws.held() == ["one.json"]


def test_ranges_that_do_not_overlap_are_had_side_by_side():
    aws = Aws()
    for execution, scope in {"one": MARCH, "two": APRIL, "three": Scope(61, 70)}.items():
        aws.claims(execution).hold(execution, scope, SINCE)

    assert aws.held() == ["one.json", "three.json", "two.json"]


def test_what_was_given_back_can_be_had_by_the_next():
    aws = Aws()
    one = aws.claims("one")
    one.hold("one", MARCH, SINCE)
    one.release()
    one.release()

    aws.claims("two").hold("two", MARCH, SINCE)

    assert aws.held() == ["two.json"]


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT", "SUCCEEDED", None])
def test_the_claim_of_an_execution_that_does_not_run_does_not_hold(status):
    aws = Aws()
    aws.claims("one").hold("one", MARCH, SINCE)
    aws.states.set("one", status)

    aws.claims("two").hold("two", MARCH, SINCE)

    assert aws.held() == ["two.json"]


def test_a_stopped_execution_has_to_claim_again_when_it_is_redriven():
    aws = Aws()
    one = aws.claims("one")
    one.hold("one", MARCH, SINCE)
    aws.states.set("one", "ABORTED")
    two = aws.claims("two")
    two.hold("two", MARCH, SINCE)
    aws.states.set("one", "RUNNING")

    with pytest.raises(RangeHeld, match="Run two"):
        one.hold("one", MARCH, SINCE)
    two.hold("two", MARCH, SINCE)
    two.release()
    one.hold("one", MARCH, SINCE)

    assert aws.held() == ["one.json"]


def test_an_execution_that_carries_a_run_on_has_its_own_claim_to_it():
    aws = Aws()
    aws.claims("one").hold("run", MARCH, SINCE)

    with pytest.raises(RangeHeld, match=r"Run run .*:one\)"):
        aws.claims("two").hold("run", MARCH, SINCE)


def test_whoever_has_the_range_waits_for_one_that_is_about_to_withdraw():
    aws = Aws()
    one = aws.claims("one")
    one.hold("one", MARCH, SINCE)
    passing = {**aws.s3.buckets["processed"]}
    with pytest.raises(RangeHeld):
        aws.claims("two", s3=Recording(aws.s3, passing)).hold("two", MARCH, SINCE)
    aws.s3.buckets["processed"] = passing
    waited: list[float] = []

    def withdraw(seconds: float) -> None:
        waited.append(seconds)
        del aws.s3.buckets["processed"]["ledger/reprocess/claims/two.json"]

    aws.claims("one", sleep=withdraw).hold("one", MARCH, SINCE)

    assert len(waited) == 1
    assert aws.held() == ["one.json"]


class Recording:
    """S3 as another sees it, while what is put stays elsewhere."""

    def __init__(self, s3: MemoryS3, kept: dict[str, Any]) -> None:
        self._s3 = s3
        self._kept = kept

    def put_object(self, **request: Any) -> Any:
        answer = self._s3.put_object(**request)
        self._kept[request["Key"]] = self._s3.buckets[request["Bucket"]][request["Key"]]
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)


class Turns:
    """S3 for one of several threads, whose every call waits for its turn."""

    def __init__(self, aws: Any, turn: "Turn") -> None:
        self._aws = aws
        self._turn = turn

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._aws, name)
        if name == "get_paginator":
            return lambda operation: SimpleNamespace(paginate=functools.partial(self._list, call(operation)))
        if name == "exceptions":
            return call

        def in_turn(*args: Any, **request: Any) -> Any:
            with self._turn:
                return call(*args, **request)

        return in_turn

    def _list(self, paginator: Any, **request: Any) -> list[Any]:
        with self._turn:
            return list(paginator.paginate(**request))


class Turn:
    """The right to make a call: it goes to the threads in the order of a schedule, and freely once that is over."""

    def __init__(self, schedule: tuple[int, ...]) -> None:
        self._schedule = list(schedule)
        self._changed = threading.Condition()
        self._done: set[int] = set()
        self.me = threading.local()

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._schedule or self._schedule[0] == self.me.number)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            del self._schedule[:1]
            self._skip()

    def over(self, number: int) -> None:
        """A thread makes no call any more."""
        with self._changed:
            self._done.add(number)
            self._skip()

    def _skip(self) -> None:
        while self._schedule and self._schedule[0] in self._done:
            self._schedule.pop(0)
        self._changed.notify_all()


def schedules() -> Iterator[tuple[int, ...]]:
    """Every order in which two can make six calls each: look, put, list, read, ask, delete."""
    for places in itertools.combinations(range(12), 6):
        yield tuple(0 if place in places else 1 for place in range(12))


def test_whatever_the_order_of_their_calls_two_never_both_have_the_range():
    outcomes = set()
    for schedule in schedules():
        aws = Aws()
        turn = Turn(schedule)
        got: list[int] = []

        def ask(number: int, aws: Aws = aws, turn: Turn = turn, got: list[int] = got) -> None:
            turn.me.number = number
            store = Store(Turns(aws.s3, turn), "processed")
            claims = Claims(store, Turns(aws.states, turn), aws.states.start(f"run-{number}"), lambda _: None)
            try:
                claims.hold(f"run-{number}", MARCH, SINCE)
                got.append(number)
            except RangeHeld:
                pass
            finally:
                turn.over(number)

        for number in (0, 1):
            aws.states.start(f"run-{number}")
        threads = [threading.Thread(target=ask, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) < 2, schedule
        assert aws.held() == [f"run-{number}.json" for number in got]
        outcomes.add(tuple(got))
    assert outcomes == {(), (0,), (1,)}
