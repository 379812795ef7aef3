"""Working ahead with a bounded number of calls under way."""

import threading
from collections.abc import Iterator

import pytest

from compaction.ahead import WIDTH, ahead


def test_answers_come_in_the_order_of_the_items_whoever_is_faster() -> None:
    first_may_end = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            first_may_end.wait(10)
        else:
            first_may_end.set()
        return item * 2

    assert list(ahead(work, range(50))) == [(item, item * 2) for item in range(50)]


def test_items_are_taken_no_further_ahead_than_calls_may_be_under_way() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    answers = ahead(abs, items())
    next(answers)

    assert len(taken) == WIDTH


def test_a_call_that_fails_fails_where_its_answer_is_due() -> None:
    answers = ahead(lambda item: 1 // item, [1, 0])

    assert next(answers) == (1, 1)
    with pytest.raises(ZeroDivisionError):
        next(answers)
