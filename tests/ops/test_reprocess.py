"""The command `reprocess`, against a state machine of its name that answers at once."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from ops.__main__ import main
from reprocessing.keys import report_key
from tests.lake import Lake, client
from tests.ops.reprocessed import ANSWER, REPORT


def call(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, dict[str, Any]]:
    code = main([*shlex.split(line), "--json"])
    return code, json.loads(capsys.readouterr().out)


RANGE = "reprocess --from 2026-03-01 --to 2026-04-01"


def test_a_run_is_started_with_what_was_asked_and_by_whom(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    code, started = call(capsys, f"{RANGE} --devices 'press-*' --detach")

    execution = client("stepfunctions").describe_execution(executionArn=started["execution_arn"])
    assert (code, started["status"]) == (0, "RUNNING")
    assert json.loads(execution["input"]) == {
        "from": "2026-03-01",
        "to": "2026-04-01",
        "devices": ["press-*"],
        "source": "archive",
        "targets": ["table", "hot"],
        "mode": "dry_run",
        "note": "dry run",
        "by": client("sts").get_caller_identity()["Arn"],
    }


def test_a_run_is_followed_to_its_report_which_programs_get_whole(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = call(capsys, RANGE)

    assert code == 0
    places = {name: ANSWER[name] for name in ("report", "page")}
    how = {"status": "SUCCEEDED", "taken_back": None} | {name: answer[name] for name in ("seconds", "execution")}
    assert answer == REPORT | places | how


def test_people_are_told_what_has_changed_where_the_report_is_and_how_to_take_it_back(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")

    assert main(shlex.split(RANGE)) == 0

    told = capsys.readouterr().out
    for text in (
        "reprocessing of 5 min: applied",
        "2026-03-01 00:00 to 2026-04-01 00:00; press-*, pump-7; for table and hot",
        "1,200 objects, 64.0 MB; 3 outside the hours of arrival; 2 not compacted yet; 4 frozen (9.0 kB)",
        "2,400 = 2,390 stored + 6 duplicate + 4 quarantined (bad_metric 4)",
        "2,380 before, 2,390 after: 10 changed, 14 added, 4 gone (quarantined: bad_metric 4)",
        "temperature 10 changed, 1 appeared by up to 5.25",
        "0 before, 2 after; no alert was sent",
        "snapshot 7: 2 files replaced by 1",
        "24 items written, 2,300 already right, 1 newer there, 65 past their time",
        "4 objects, 9.0 kB, up to 12 h 0 min, about $0.0011; 1 cannot be restored by this tier",
        "about $0.0123",
        "The report is s3://processed/runs/reprocess/first/report.html\n",
        "To open it:  python -m ops reprocess --follow manual-",
        "To take it back:  python -m ops reprocess --undo first",
    ):
        assert text in told


def test_nothing_that_is_to_be_copied_is_cut_off_in_a_narrow_window(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    assert main(shlex.split(RANGE)) == 0

    told = capsys.readouterr().out
    assert f"The report is {ANSWER['page']}\n" in told
    assert "…" not in told


def test_a_refused_run_names_the_error_the_report_and_the_same_command_again(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(f"{RANGE} --apply --note 'too strict'")) == 1

    said = capsys.readouterr().err
    assert "FewerReadings: 3 readings would be gone." in said
    assert "--allow-fewer" in said
    assert "  python -m ops runs manual-" in said
    assert f"  python -m ops {RANGE} --apply --note 'too strict'\n" in said


@pytest.mark.parametrize(
    ("rows", "so"),
    [(10, "Nothing was changed. To do it:"), (0, "No row of the table would change. To do it nonetheless:")],
)
def test_a_dry_run_ends_with_whether_it_is_worth_to_be_applied(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str], rows: int, so: str
) -> None:
    written = {"rows_replaced": rows, "rows_written": rows, "files_replaced": 0, "files_written": 0}
    report = REPORT | {"mode": "dry_run", "outcome": "looked", "written": written}
    lake_with_runs.store.write(report_key("first"), json.dumps(report).encode())

    assert main(shlex.split(RANGE)) == 0

    assert f"{so}  python -m ops {RANGE} --apply --note WHY\n" in capsys.readouterr().out


def test_a_dry_run_that_has_found_no_reading_offers_nothing_to_apply(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    none = {part: dict.fromkeys(REPORT[part], 0) for part in ("readings", "records", "found")}
    none["readings"]["vanished_by"] = none["records"]["by_reason"] = {}
    report = REPORT | none | {"mode": "dry_run", "outcome": "looked"}
    lake_with_runs.store.write(report_key("first"), json.dumps(report).encode())

    assert main(shlex.split(RANGE)) == 0

    told = capsys.readouterr().out
    assert "There is nothing to apply: no reading is of this range and these devices." in told
    assert "--apply" not in told


def test_an_unknown_option_is_answered_with_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(shlex.split(f"{RANGE} --aply"))

    said = capsys.readouterr().err
    assert "--apply" in said
    assert said.endswith("reprocess: error: unrecognized arguments: --aply\n")


def test_the_report_is_opened_in_a_browser(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri) or True)
    code, _ = call(capsys, f"{RANGE} --open")

    assert code == 0
    (uri,) = opened
    assert Path(uri.removeprefix("file://")).read_text() == "<title>first</title>"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("reprocess", "--from: missing. Write a time like"),
        ("reprocess --from soon", "--from: 'soon' is not an ISO-8601 time"),
        ("reprocess --from 2026-04-01 --to 2026-03-01", "--from: .* is not before 'to'"),
        (f"{RANGE} --apply", "--note: missing. Write why the run is made"),
        (f"{RANGE} --devices 'press 7'", "--devices: 'press 7' can be no device"),
        (f"{RANGE} --devices 'press-[12'", r"--devices: 'press-\[12' can be no device"),
        (f"{RANGE} --source attic", "--source: 'attic' is unknown. Write one of archive, quarantine"),
        (f"{RANGE} --reasons not_json", "--reasons: only records of the quarantine have one"),
        (f"{RANGE} --targets attic", "--targets: 'attic' is unknown"),
        (f"{RANGE} --alerts send", "--alerts: 'send' goes with mode 'apply' only"),
        (f"{RANGE} --max-rate 0", "--max-rate: 0 is out of bounds"),
        (f"{RANGE} --restore-days 0", "--restore-days: 0 is out of bounds"),
        (f"{RANGE} --backtest missing.toml", "--backtest: missing.toml cannot be read"),
        ("reprocess --undo 'no run'", "--undo: 'no run' is no run"),
        ("reprocess --undo first --apply", "--undo: it takes back what first has done, all of it"),
        ("reprocess --follow first --devices a", "--follow: first is a run that has been asked for"),
        (f"{RANGE} --detach --open", "--detach: it does not wait"),
        ("runs --limit 0", "--limit: 0 is not from 1 to 1,000"),
    ],
)
def test_a_mistake_is_said_of_its_option_before_anything_is_started(
    capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    assert main(shlex.split(line)) == 1

    assert re.search(message, capsys.readouterr().err)
