"""The books: balanced they say nothing, and every way not to balance is named."""

import dataclasses
from typing import Any

import pytest

from local.demo.accounts import Accounts
from local.fleet.message import Kind, Message, Tally


def tally(**changes: int) -> Tally:
    sent = Tally(**changes)
    for kind, reason, count in (
        (Kind.NORMAL, None, 90),
        (Kind.DUPLICATE, None, 6),
        (Kind.GARBAGE, "not_json", 3),
        (Kind.CLOCK_AHEAD, "timestamp_in_future", 1),
    ):
        for _ in range(count):
            sent.acknowledge(Message("machine-0001", 0.0, b"", kind, reason, "not_json"))
    return sent


REASONS = {"not_json": 3, "timestamp_in_future": 1}
COMPACTED = {"duplicate": 6, "quarantined_by_reason": REASONS, "files": 1, "bytes": 1000, "late": 0}
BALANCED = Accounts(
    tally=tally(),
    archived=100,
    undelivered=0,
    stored=90,
    quarantined_by_reason=REASONS,
    compacted=COMPACTED,
    table_rows=90,
    objects_before=5,
    bytes_before=5000,
    alerts=2,
    seconds={"up": 10.04, "send": 5.0},
)


def test_balanced_books_have_no_fault() -> None:
    assert BALANCED.faults() == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"archived": 99}, "published 100 ≠ archived 99"),
        ({"stored": 89}, "published 100 ≠ stored 89 + duplicate 6 + quarantined 4"),
        ({"table_rows": 91}, "table_rows 91 ≠ stored 90"),
        ({"quarantined_by_reason": {"not_json": 3}}, "quarantined on the stream {'not_json': 3} ≠ what was sent"),
        ({"compacted": COMPACTED | {"duplicate": 7}}, "duplicate 7 ≠ 6 sent twice"),
        ({"compacted": COMPACTED | {"quarantined_by_reason": {}}}, "quarantined by the compaction {} ≠ on the stream"),
        ({"undelivered": 1}, "1 messages could not be delivered"),
        ({"alerts": 0}, "no alert"),
        ({"tally": tally(refused=2)}, "2 messages were refused"),
        ({"tally": tally(unacknowledged=2)}, "2 messages were never acknowledged"),
    ],
)
def test_each_fault_is_named_with_its_figures(change: dict[str, Any], fault: str) -> None:
    faults = dataclasses.replace(BALANCED, **change).faults()

    assert any(sentence.startswith(fault) for sentence in faults), faults


def test_messages_that_may_have_arrived_twice_are_mentioned_when_the_books_do_not_balance() -> None:
    twice = dataclasses.replace(BALANCED, tally=tally(redelivered=1), archived=101)

    assert dataclasses.replace(BALANCED, tally=tally(redelivered=1)).faults() == []
    assert "1 messages were sent again" in twice.faults()[-1]


def test_the_report_has_the_promised_keys() -> None:
    report = BALANCED.as_dict()

    promised = (
        "published archived stored duplicate quarantined quarantined_by_reason alerts table_rows objects_before "
        "files_after seconds"
    )
    assert set(promised.split()) <= report.keys()
    assert (report["published"], report["quarantined"], report["seconds"]) == (100, 4, 15.0)
