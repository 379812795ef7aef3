"""The command `runs`: what is known of runs."""

import json
import shlex
from typing import Any

import pytest

from ops.__main__ import main
from reprocessing.keys import ledger_key
from tests.lake import Lake
from tests.ops.reprocessed import ANSWER, REPORT, UNDONE

LEDGER = {
    "run_id": "first",
    "by": "arn:aws:iam::1:user/ann",
    "note": "too strict",
    "executions": ["first", "second"],
    "undone": {"by": "arn:aws:iam::1:user/bob", "at": "2026-11-21T09:00:00+00:00", "note": "it was right"},
}


def call(capsys: pytest.CaptureFixture[str], line: str) -> dict[str, Any]:
    assert main([*shlex.split(line), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_runs_of_all_machines_are_listed_newest_first_and_no_more_than_asked_for(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "reprocess --undo first")
    call(capsys, "reprocess --from 2026-03-01")

    listed = call(capsys, "runs")["runs"]
    assert [one["did"] for one in listed if one["machine"] == "reprocess"] == [ANSWER, UNDONE]
    assert [one["started_at"] for one in listed] == sorted((one["started_at"] for one in listed), reverse=True)
    assert len(call(capsys, "runs --limit 1")["runs"]) == 1


def test_a_run_is_shown_with_all_that_is_known_of_it(lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake_with_runs.store.write(ledger_key("first"), json.dumps(LEDGER).encode())
    name = call(capsys, "reprocess --from 2026-03-01 --to 2026-04-01 --detach")["run_id"]
    call(capsys, f"reprocess --follow {name}")

    found = call(capsys, f"runs {name}")

    assert (found["run_id"], found["execution"], found["status"]) == ("first", name, "SUCCEEDED")
    assert found["input"]["from"] == "2026-03-01"
    assert (found["did"], found["report"], found["ledger"]) == (ANSWER, REPORT, LEDGER)


def test_people_see_who_wanted_it_who_carried_it_on_and_its_report(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run whose execution is forgotten there is what it has written down."""
    monkeypatch.setenv("COLUMNS", "160")
    lake_with_runs.store.write(ledger_key("first"), json.dumps(LEDGER).encode())

    assert main(["runs", "first"]) == 0

    told = capsys.readouterr().out
    for text in (
        "no longer known",
        "arn:aws:iam::1:user/ann",
        "too strict",
        "2026-11-21 09:00 by arn:aws:iam::1:user/bob: it was right",
        "second",
        "10 changed, 14 added, 4 gone",
    ):
        assert text in told


def test_a_failed_run_is_shown_with_its_error(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    name = call(capsys, "reprocess --from 2026-03-01 --apply --note x --detach")["run_id"]
    assert main(["reprocess", "--follow", name]) == 1
    capsys.readouterr()

    assert main(["runs", name]) == 0

    assert "FewerReadings: 3 readings would be gone." in capsys.readouterr().out


def test_a_run_that_there_is_not_is_said_to_be_none(lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "nobody"]) == 1

    assert "There is no run nobody. The last ones: python -m ops runs" in capsys.readouterr().err
