"""The writer: several chunks at a time, pauses that grow, and an end before the time is up."""

import threading

import pytest

from backoff import LONGEST_DELAY_S
from process_readings.wire import PassingError, WireError
from process_readings.writing import LANES, Writer


def puts(count):
    return {("pump-1", number): str(number) for number in range(count)}


class TableOf:
    """Answers with what a function says of the put requests."""

    def __init__(self, answer):
        self._answer = answer

    def put(self, put_requests):
        return self._answer(list(put_requests))


def test_chunks_are_written_side_by_side():
    together = threading.Barrier(LANES, timeout=10)  # broken unless as many requests wait at once
    seen = []

    def answer(requests):
        together.wait()
        seen.extend(requests)
        return []

    outcome = Writer(TableOf(answer), identity=None).write(puts(25 * LANES), lambda: 60.0)

    assert (sorted(seen, key=int), outcome.failed) == ([str(number) for number in range(25 * LANES)], {})


def test_an_error_is_raised_once_no_request_is_under_way():
    under_way = []
    failed = threading.Event()

    def answer(requests):
        if requests[0] == "0":
            failed.set()
            raise WireError("AccessDeniedException")
        under_way.append(requests[0])
        failed.wait(10)
        under_way.remove(requests[0])
        return []

    with pytest.raises(WireError):
        Writer(TableOf(answer), identity=None).write(puts(100), lambda: 60.0)
    assert under_way == []


def test_pauses_grow_to_a_bound_and_end_with_the_time():
    pauses = []

    def throttle(_requests):
        raise PassingError("ThrottlingException")

    writer = Writer(TableOf(throttle), identity=None, sleep=pauses.append)
    outcome = writer.write(puts(3), lambda: 30.0 - sum(pauses))

    assert outcome.failed == dict.fromkeys(puts(3), "ThrottlingException")
    assert sum(pauses) < 30.0
    assert max(pauses) <= LONGEST_DELAY_S
    assert sum(pauses[:3]) < sum(pauses[-3:])
