"""What `reprocess --undo` answers: what was put back, or why there is nothing to take back, before it is asked for."""

import json
import re
import shlex
from typing import Any

import pytest

from ops.__main__ import main
from ops.errors import OpsError
from ops.reprocess_runs import refuse_needless_undo
from reprocessing.keys import ledger_key, plan_key
from tests.lake import Lake
from tests.ops.reprocessed import REPORT, TAKEN
from tests.ops.stacks import MACHINE_ARN, stack_of

RANGE = "reprocess --from 2026-03-01 --to 2026-04-01"


def call(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, dict[str, Any]]:
    code = main([*shlex.split(line), "--json"])
    return code, json.loads(capsys.readouterr().out)


def enter(lake: Lake, mode: str = "apply", outcome: str = "applied", **changes: Any) -> None:
    """Have the ledger say this of the run `first`."""
    line = {"request": REPORT["request"] | {"mode": mode}, "outcome": outcome, "snapshot_id": None, "undone": None}
    lake.store.write(ledger_key("first"), json.dumps(line | changes).encode())


def test_a_run_is_undone_and_what_was_put_back_is_told(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(lake_with_runs, snapshot_id="7")

    assert main(["reprocess", "--undo", "first", "--note", "too early"]) == 0

    told = capsys.readouterr().out
    assert "2,390 rows in 1 file taken out, 2,380 rows in 2 files put back" in told
    assert "left as it is" in told


def test_of_a_run_that_was_undone_before_is_said_when_and_by_whom_and_no_advice_to_do_it_again(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(lake_with_runs, outcome="undone", undone=TAKEN)

    assert main(["reprocess", "--undo", "first"]) == 0
    undone = capsys.readouterr().out
    assert main(shlex.split(RANGE)) == 0
    reported = capsys.readouterr().out

    assert "undone before, nothing was changed now" in undone
    assert ["2026-11-21 09:00 by bob" in told for told in (undone, reported)] == [True, True]
    assert "--undo" not in reported


def test_a_program_is_told_whether_a_run_was_undone_before(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(lake_with_runs, outcome="undone", undone=TAKEN)

    code, answer = call(capsys, "reprocess --undo first")

    assert (code, answer["already"]) == (0, TAKEN)


@pytest.mark.parametrize(
    ("mode", "outcome", "why"),
    [
        ("dry_run", "looked", "was a dry run"),
        ("backtest", "looked", "was a back-test"),
        ("apply", "refused", "was refused"),
        ("apply", "applied", "had nothing to change in the table"),
    ],
)
def test_a_run_that_has_published_nothing_cannot_be_taken_back(
    memory_lake: Lake, mode: str, outcome: str, why: str
) -> None:
    enter(memory_lake, mode, outcome)

    with pytest.raises(OpsError, match=re.escape(f"--undo: first {why}. There is nothing to take back.")):
        refuse_needless_undo(stack_of(memory_lake), MACHINE_ARN, "first")


def test_a_dry_run_that_has_not_got_as_far_as_the_ledger_is_known_by_its_plan(memory_lake: Lake) -> None:
    for mode in ("apply", "dry_run"):
        plan = {"request": REPORT["request"] | {"mode": mode}}
        memory_lake.store.write(plan_key(mode), json.dumps(plan).encode())

    refuse_needless_undo(stack_of(memory_lake), MACHINE_ARN, "apply")
    with pytest.raises(OpsError, match="was a dry run"):
        refuse_needless_undo(stack_of(memory_lake), MACHINE_ARN, "dry_run")


def test_a_name_that_is_of_no_run_starts_nothing_and_what_it_is_of_is_said(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    carrying, undoing = (call(capsys, f"{line} --detach")[1]["run_id"] for line in (RANGE, "reprocess --undo first"))

    code, answer = call(capsys, f"reprocess --undo {carrying}0")
    assert (code, f"Did you mean {carrying}" in answer["error"]) == (1, True)
    assert f"{carrying} has carried on the run first" in call(capsys, f"reprocess --undo {carrying}")[1]["error"]
    assert f"{undoing} is the undo of first" in call(capsys, f"reprocess --undo {undoing}")[1]["error"]
    assert len(call(capsys, "runs")[1]["runs"]) == 2
