"""What a report says may be done next."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from reprocessing.ledger import Taken
from reprocessing.parsing import parse
from reprocessing.report.contents import Found, Hot, Readings, Written
from reprocessing.report.next_steps import input_of, next_steps
from reprocessing.request import Request, Scope
from sensors.settings import Reprocessing
from tests.lambdas.report_reprocess import sample

SETTINGS = Reprocessing(hot_writers=1, max_rate=77, restore_tier="Standard", restore_days=7)
LOOK: dict[str, Any] = {"outcome": "looked", "mode": "dry_run", "snapshot_id": None, "hot": None}
DRY = replace(sample.report().request, mode="dry_run")
NO_MORE = Found(5, 5, 0, 0, 0, 0, 0)


def request(**fields: Any) -> Request:
    usual: dict[str, Any] = {"source": "archive", "targets": ("table",), "mode": "apply", "max_rate": 77, "note": "a"}
    return Request(scope=Scope(0, 1500), restore_tier="Bulk", restore_days=3, **(usual | fields))


def parsed(text: str) -> Request:
    return parse(json.loads(text), SETTINGS)


@pytest.mark.parametrize(
    "asked",
    [
        sample.report().request,
        DRY,
        request(failed_tasks_of="run-1", alerts="send"),
        request(source="quarantine", targets=("hot",), max_rate=9, reasons=("not_json",), allow_fewer=True),
    ],
)
def test_the_input_that_is_told_asks_for_the_same(asked: Request) -> None:
    known = asked if "hot" in asked.targets else replace(asked, max_rate=77)

    assert parse(input_of(asked), SETTINGS) == replace(known, by=None)


def test_a_dry_run_is_followed_by_the_run_that_applies_it() -> None:
    changed = Readings(before=5, after=5, changed=5)

    (step,) = next_steps(sample.report(request=DRY, readings=changed, found=NO_MORE, **LOOK))

    assert step.command == "python -m ops reprocess --follow again"
    assert parsed(step.run_input) == replace(DRY, mode="apply", by=None)


def test_a_dry_run_without_a_difference_has_nothing_to_apply_unless_something_is_frozen() -> None:
    same = {"request": replace(DRY, targets=("table",)), "written": Written(0, 0, 0, 0), **LOOK}

    (step,) = next_steps(sample.report(found=NO_MORE, **same))
    left_out, apply = next_steps(sample.report(found=replace(NO_MORE, frozen=2), **same))

    assert step.sentence.startswith("There is nothing to apply")
    assert left_out.sentence.startswith("Left out: 2 frozen objects.")
    assert apply.sentence.startswith("To apply it")


def test_a_dry_run_that_has_decoded_nothing_for_the_hot_table_has_nothing_to_apply_to_it() -> None:
    dry = {"request": DRY, "found": NO_MORE, "written": Written(0, 0, 0, 0), **LOOK}
    (nothing,), (apply,) = (
        next_steps(sample.report(records=replace(sample.report().records, for_hot=rows), **dry)) for rows in (0, 1)
    )

    assert nothing.sentence.startswith("There is nothing to apply")
    assert apply.sentence.startswith("To apply it")


def test_a_dry_run_is_applied_too_where_no_value_differs_and_rows_do() -> None:
    (step,) = next_steps(
        sample.report(request=DRY, readings=Readings(before=5, after=5, same=5), found=NO_MORE, **LOOK)
    )

    assert step.sentence.startswith("To apply it")


def test_a_dry_run_says_that_applying_it_would_be_refused() -> None:
    fewer = sample.report(request=DRY, readings=Readings(before=5, after=3, vanished=2), **LOOK)
    allowed = replace(fewer, request=replace(DRY, allow_fewer=True))

    assert "would be refused: 2 readings would be lost" in next_steps(fewer)[0].sentence
    assert "refused" not in "".join(step.sentence for step in next_steps(allowed))


def test_an_applied_run_is_followed_by_its_undo() -> None:
    (step,) = next_steps(sample.report())

    assert step.command == "python -m ops reprocess --undo reprocess-2026-11-28 --note WHY"
    assert json.loads(step.run_input) == {"undo": "reprocess-2026-11-28", "note": "why"}


def test_where_nothing_was_published_there_is_nothing_to_take_back() -> None:
    refused, nothing = next_steps(sample.report(snapshot_id=None, hot=Hot(5, 0, 0, 0, refused=1)))
    (left,) = next_steps(sample.report(snapshot_id=None, request=replace(DRY, mode="apply", targets=("hot",))))

    assert refused.sentence.startswith("The hot table has refused readings")
    assert (nothing.sentence.startswith("There was nothing to change in the table"), nothing.run_input) == (True, "")
    assert left.sentence.startswith("Nothing was published to the table")


def test_a_refused_run_is_followed_by_one_that_may_end_with_fewer() -> None:
    (step,) = next_steps(sample.refused())

    assert parsed(step.run_input) == replace(sample.refused().request, allow_fewer=True, by=None)


def test_a_run_that_was_taken_back_says_by_whom_and_why() -> None:
    (step,) = next_steps(sample.report(outcome="undone", taken_back=Taken("kim", "too early", "", "undo-1", "7")))

    assert "by kim with the execution undo-1: too early." in step.sentence
