"""Waiting for messages: ends when every store holds what was sent, or says what is missing."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from local.demo import settling
from local.fleet.message import Kind, Message, Tally


class Store:
    """Counts as it is told; the last figure stays."""

    def __init__(self, *figures: int) -> None:
        self._figures: Iterator[int] = iter(figures)
        self.last = 0

    def count(self) -> int:
        self.last = next(self._figures, self.last)
        return self.last

    estimate = count


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "POLL_S", 0.0)
    monkeypatch.setattr(settling, "QUIET_S", 0.05)


def settle(archive: Store, hot: Store, quarantine: Store) -> None:
    tally = Tally()
    for number in range(10):
        reason = "not_json" if number >= 8 else None
        tally.acknowledge(Message("machine-0001", 0.0, b"", Kind.GARBAGE if reason else Kind.NORMAL, reason))
    settling.settle(tally, archive, hot, quarantine, Console(file=io.StringIO()))  # type: ignore[arg-type]


def test_it_ends_when_every_store_holds_what_was_sent() -> None:
    archive = Store(0, 4, 10)

    settle(archive, Store(8), Store(0, 0, 1, 2))

    assert archive.last == 10


def test_more_than_was_sent_is_left_to_the_books() -> None:
    settle(Store(11), Store(8), Store(2))


def test_what_is_missing_is_named_when_nothing_changes_any_more() -> None:
    with pytest.raises(settling.UnsettledError, match=r"archived: 1 of 10 are missing; hot table: 8 of 8 are missing"):
        settle(Store(9), Store(0), Store(2))
