"""What `reprocess --undo` answers: what was put back, or why there is nothing to take back, before it is asked for."""

import json
import shlex
from typing import Any

import pytest

from ops.__main__ import main
from reprocessing.keys import ledger_key, plan_key
from tests.lake import Lake
from tests.ops.reprocessed import REPORT, TAKEN

RANGE = "reprocess --from 2026-03-01 --to 2026-04-01"


def call(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, dict[str, Any]]:
    code = main([*shlex.split(line), "--json"])
    return code, json.loads(capsys.readouterr().out)


def enter(lake: Lake, mode: str, outcome: str, **changes: Any) -> None:
    """Have the ledger say this of the run `first`."""
    line = {"request": REPORT["request"] | {"mode": mode}, "outcome": outcome, "snapshot_id": None, "undone": None}
    lake.store.write(ledger_key("first"), json.dumps(line | changes).encode())


def test_a_run_is_undone_and_what_was_put_back_is_told(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(lake_with_runs, "apply", "applied", snapshot_id="7")

    assert main(["reprocess", "--undo", "first", "--note", "too early"]) == 0

    told = capsys.readouterr().out
    assert "2,390 rows in 1 file taken out, 2,380 rows in 2 files put back" in told
    assert "left as it is" in told


def test_a_run_that_was_undone_before_is_said_to_be_so_and_by_whom(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(lake_with_runs, "apply", "undone", undone=TAKEN)

    code, answer = call(capsys, "reprocess --undo first")
    assert (code, answer["already"]) == (0, TAKEN)
    assert main(["reprocess", "--undo", "first"]) == 0

    told = capsys.readouterr().out
    assert "undone before, nothing was changed now" in told
    assert "2026-11-21 09:00 by bob" in told


def test_a_run_that_was_undone_is_followed_without_the_advice_to_take_it_back(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(lake_with_runs, "apply", "undone", undone=TAKEN)

    assert main(shlex.split(RANGE)) == 0

    told = capsys.readouterr().out
    assert "2026-11-21 09:00 by bob" in told
    assert "--undo" not in told


@pytest.mark.parametrize(
    ("mode", "outcome", "why"),
    [
        ("dry_run", "looked", "was a dry run"),
        ("backtest", "looked", "was a back-test"),
        ("apply", "refused", "was refused"),
        ("apply", "applied", "had nothing to change in the table"),
    ],
)
def test_a_run_that_has_published_nothing_is_not_undone(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str], mode: str, outcome: str, why: str
) -> None:
    enter(lake_with_runs, mode, outcome)

    answer = call(capsys, "reprocess --undo first")

    assert answer == (1, {"error": f"--undo: first {why}. There is nothing to take back."})
    assert call(capsys, "runs")[1] == {"runs": []}, "nothing was started"


def test_a_dry_run_that_has_not_got_as_far_as_the_ledger_is_known_by_its_plan(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = {"request": REPORT["request"] | {"mode": "dry_run"}}
    lake_with_runs.store.write(plan_key("first"), json.dumps(plan).encode())

    assert "was a dry run" in call(capsys, "reprocess --undo first")[1]["error"]


def test_no_run_is_undone_by_a_name_that_none_has(lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    carrying, undoing = (
        call(capsys, f"{line} --detach")[1]["run_id"] for line in (f"{RANGE} --targets table", "reprocess --undo first")
    )

    assert call(capsys, "reprocess --undo nobody")[1]["error"].startswith("There is no run nobody. The last ones:")
    assert f"Did you mean {carrying}" in call(capsys, f"reprocess --undo {carrying}0")[1]["error"]
    assert f"{carrying} has carried on the run first" in call(capsys, f"reprocess --undo {carrying}")[1]["error"]
    assert f"{undoing} is the undo of first" in call(capsys, f"reprocess --undo {undoing}")[1]["error"]
    assert len(call(capsys, "runs")[1]["runs"]) == 2, "nothing was started"
