"""What the commands print, on terminals of any width."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from ops import compact, last_runs, optimize, status
from ops.machines import MACHINES
from ops.partitions import Partition, worth_showing
from ops.reprocess_report import did, show_report
from tests.ops.reprocessed import ANSWER, REPORT, UNDONE

COMPACT_DRY_RUN = {
    "tasks": 3,
    "objects": 1200,
    "bytes": 64_000_000,
    "oldest_hour": "2026-11-20T07:00:00+00:00",
    "until": "2026-11-21T09:00:00+00:00",
    "estimated": {"rows": 2_400_000, "files": 3, "cost_usd": 0.0123},
}
COMPACT_REPORT = {
    "run_id": "the-run",
    "seconds": 61.5,
    "tasks": 3,
    "objects": 1200,
    "archive_bytes": 64_000_000,
    "records": 2_400_000,
    "stored": 2_399_000,
    "late": 17,
    "duplicate": 900,
    "quarantined": 100,
    "quarantined_by_reason": {"not_json": 60, "bad_metric": 40},
    "files": 4,
    "bytes": 80_000_000,
}
PLANNED = {
    "tasks": 2,
    "groups": 1,
    "files": 12,
    "rows": 3_000_000,
    "bytes": 34_000_000,
    "skipped_files": 3,
    "partitions": [
        {"partition": "measured_at_day=2026-11-20", "files": 12, "bytes": 34_000_000, "reason": "small"},
        {"partition": "measured_at_day=2026-11-20", "files": 3, "bytes": 9_000, "reason": "left alone: deletes"},
    ],
}
EXPIRABLE = {"expired": 1, "kept": 10, "snapshots": [{"id": "7317", "time": 1_795_251_600_000}]}
ORPHANS = {
    "files": 2,
    "bytes": 5_000_000,
    "waiting_files": 1,
    "waiting_bytes": 900,
    "keys": ["warehouse/readings/data/measured_at_day=2026-11-01/00000.parquet"],
}
OPTIMIZE_DRY_RUN = {"rewrite": PLANNED, "expire": EXPIRABLE, "sweep": ORPHANS}
OPTIMIZE_REPORT = {
    "run_id": "the-run",
    "seconds": 30.0,
    "rewritten": {
        "files_before": 12,
        "files_after": 2,
        "bytes_before": 34_000_000,
        "bytes_after": 31_000_000,
        "rows_before": 3_000_000,
        "rows_after": 2_999_999,
        "duplicates": 1,
        "snapshot_id": "5",
    },
    "expired": {"expired": 3, "kept": 10},
    "swept": {name: value for name, value in ORPHANS.items() if name != "keys"},
}
NOTHING_OPTIMIZED = OPTIMIZE_REPORT | {
    "rewritten": None,
    "expired": {"expired": 0, "kept": 4},
    "swept": dict.fromkeys(("files", "bytes", "waiting_files", "waiting_bytes"), 0),
}
STATUS = {
    "stack": {"name": "sensorkeep-dev", "status": "CREATE_COMPLETE", "region": "eu-central-1"},
    "stream": {"name": "readings", "status": "ACTIVE", "shards": 2},
    "hot_table": {"name": "readings", "items": 5},
    "archive": {"closed": COMPACT_DRY_RUN, "open": {"objects": 1, "bytes": 20}, "oldest_age_s": 7300},
    "table": {
        "name": "lake.readings",
        "snapshots": 11,
        "rows": 3_000_000,
        "files": 12,
        "bytes": 34_000_000,
        "partitions": 400,
        "some_partitions": [
            Partition("measured_at_day=2026-11-20", 12, 3_000_000, 34_000_000, 900, 2_000_000, 9_000_000)._asdict()
            | {"rewrite": "small"}
        ],
        "optimize": PLANNED,
    },
    "runs": {
        "compact": [
            {"machine": "compact", "run_id": "the-run", "status": "SUCCEEDED",
             "started_at": "2026-11-21T09:00:00+00:00", "seconds": 61.5,
             "error": None, "did": COMPACT_REPORT},
            {"machine": "compact", "run_id": "now", "status": "RUNNING",
             "started_at": "2026-11-21T09:30:00+00:00", "seconds": None,
             "error": None, "did": None},
        ],
        "optimize": [
            {"machine": "optimize", "run_id": "failed", "status": "FAILED",
             "started_at": "2026-11-21T03:50:00+00:00", "seconds": 2.0,
             "error": "CommitConflict", "did": None},
        ],
        "reprocess": [],
    },
}  # fmt: skip


def printed(shown: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def status_text(capsys: pytest.CaptureFixture[str]) -> str:
    status._show(STATUS)
    return capsys.readouterr().out


def test_a_dry_run_of_compact_tells_objects_bytes_hours_tasks_rows_files_and_cost() -> None:
    told = printed(compact.DRY_RUN.show(COMPACT_DRY_RUN))

    for text in ("1,200 objects, 64.0 MB", "2026-11-20 07:00 until 2026-11-21 09:00", "2,400,000", "$0.0123"):
        assert text in told


def test_a_dry_run_of_optimize_tells_what_would_be_rewritten_and_why_expired_and_deleted() -> None:
    told = printed(optimize.DRY_RUN.show(OPTIMIZE_DRY_RUN))

    for text in (
        "12 files, 34.0 MB, 3,000,000 rows, in 2 tasks; 3 files cannot be",
        "small",
        "1 snapshot, and keep 10",
        "7317",
        "2026-11-21 09:00",
        "2 orphan files, 5.0 MB; 1 file, 900 B not old enough",
        "delete, among others",
        "00000.parquet",
    ):
        assert text in told


def test_the_reasons_of_a_partition_are_told_together() -> None:
    assert optimize.reasons(PLANNED) == {"measured_at_day=2026-11-20": "small; left alone: deletes"}


def test_where_there_is_nothing_to_do_no_empty_table_is_shown() -> None:
    planned = PLANNED | {"tasks": 0, "skipped_files": 0, "partitions": []}
    nothing = {"rewrite": planned, "expire": EXPIRABLE | {"snapshots": []}, "sweep": ORPHANS | {"keys": []}}

    assert "rewrite, among others" not in printed(optimize.DRY_RUN.show(OPTIMIZE_DRY_RUN))
    assert "because" not in printed(optimize.DRY_RUN.show(nothing))
    assert "rewrite │ nothing " in printed(optimize.DRY_RUN.show(nothing))


def test_an_optimized_table_is_told_with_what_it_was_before() -> None:
    told = printed(optimize.MACHINE.show_report(OPTIMIZE_REPORT))

    for text in (
        "12 files, now 2",
        "34.0 MB, now 31.0 MB",
        "2,999,999, and 1 duplicate left out",
        "3 expired, 10 kept",
    ):
        assert text in told
    assert optimize.did(OPTIMIZE_REPORT) == "12 files, now 2, 3 snapshots expired, 2 orphans deleted"
    assert optimize.did(NOTHING_OPTIMIZED) == "nothing to rewrite"


def test_status_tells_the_backlog_the_partitions_and_the_last_runs_of_both_machines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = status_text(capsys)

    for text in (
        "1,200 objects, 64.0 MB to compact, 3 tasks",
        "began 2 h 1 min ago",
        "the newest and the worst of 400 partitions",
        "last runs of compact",
        "running",
        "last runs of optimize",
        "CommitConflict",
    ):
        assert text in told


@pytest.mark.parametrize("width", [1, 12, 40])
def test_a_narrow_terminal_shows_it_too(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = (
        compact.DRY_RUN.show(COMPACT_DRY_RUN),
        compact.MACHINE.show_report(COMPACT_REPORT),
        optimize.DRY_RUN.show(OPTIMIZE_DRY_RUN),
        optimize.MACHINE.show_report(OPTIMIZE_REPORT),
    )

    assert status_text(capsys)
    for one in shown:
        assert printed(one, width)


def test_the_newest_the_fullest_and_the_worst_partitions_are_worth_showing() -> None:
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(100)]
    found = [Partition(f"{day:%Y-%m-%d}", 100 - number, 1, 1, 1, 1, 1) for number, day in enumerate(days)]

    shown = [one.partition for one in worth_showing(found, ["2026-02-01", "gone"])]

    assert shown[:5] == ["2026-04-10", "2026-04-09", "2026-04-08", "2026-04-07", "2026-04-06"]
    assert shown[5] == "2026-02-01"
    assert shown[6:] == ["2026-01-05", "2026-01-04", "2026-01-03", "2026-01-02", "2026-01-01"]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_runs_are_listed_with_what_came_of_them_first_and_names_that_can_be_copied(width: int) -> None:
    ids = [f"3f0f7ad2-6b0c-4d2c-9a3e-4b7b4c2f1a0{number}" for number in range(2)]
    run = {"machine": "reprocess", "started_at": "2026-11-22T12:05:00+00:00", "seconds": 301, "error": None}
    runs = [
        run | {"run_id": ids[0], "status": "SUCCEEDED", "did": ANSWER},
        run | {"run_id": ids[1], "status": "FAILED", "error": "FewerReadings", "did": None},
    ]

    lines = printed(last_runs.run_table("runs", runs, MACHINES), width).splitlines()

    assert max(map(len, lines)) <= width
    assert [line.strip() for line in lines if line.strip() in ids] == ids, "each on a line of its own"
    first, second = (line for line in lines if line.startswith("11-22 12:05"))
    assert first.split()[2:6] == ["reprocess", "succeeded", "5", "min"]
    assert "applied: 10 changed" in first
    assert second.split()[-1] == "FewerReadings"


def test_the_name_of_a_run_is_whole_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    name = "x" * 80
    status._show(STATUS | {"runs": STATUS["runs"] | {"compact": [STATUS["runs"]["compact"][1] | {"run_id": name}]}})

    assert name in capsys.readouterr().out


def test_a_run_that_goes_on_has_no_end_and_did_nothing_yet() -> None:
    began = datetime(2026, 11, 21, 9, tzinfo=UTC)
    item: dict[str, Any] = {"executionArn": "arn", "name": "the-run", "status": "RUNNING", "startDate": began}

    run = last_runs.run_of(item | {"stopDate": None})

    assert (run["started_at"], run["seconds"], run["did"]) == ("2026-11-21T09:00:00+00:00", None, None)


def test_a_back_test_shows_what_was_tried_so_that_a_misspelt_metric_is_seen() -> None:
    rules = {"vibraton": [{"severity": "critical", "above": 0.05, "below": None}], "temperature": []}
    report = REPORT | {"mode": "backtest", "outcome": "looked", "request": REPORT["request"] | {"rules": rules}}

    told = printed(show_report(report))

    assert "vibraton above 0.05 (critical); temperature without a threshold" in told
    assert "when applied" not in told


def test_devices_that_have_no_readings_are_not_told_as_unchanged() -> None:
    readings = REPORT["readings"] | dict.fromkeys(("before", "after", "changed", "added", "vanished"), 0)

    assert "none of the range and devices" in printed(show_report(REPORT | {"readings": readings}))


def test_a_line_about_a_run_says_whether_it_was_applied_and_which_one_was_undone() -> None:
    assert did(ANSWER) == "applied: 10 changed, 14 added, 4 gone"
    assert did(ANSWER | {"mode": "dry_run", "outcome": "looked"}).startswith("dry run: 10 changed")
    assert did(UNDONE).startswith("undid first: 2,390 rows")
    tested = ANSWER | {"mode": "backtest", "outcome": "looked", "alarms_given": 19}
    assert did(tested) == "back-test: 19 alarms by the given thresholds, 2 by today's"


def test_an_applied_run_without_a_change_says_so() -> None:
    same = dict.fromkeys(("changed", "added", "vanished"), 0)
    report = REPORT | {"snapshot_id": None, "readings": REPORT["readings"] | same}

    assert did(ANSWER | same | {"snapshot_id": None}) == "applied: nothing to change in the table"
    assert did(ANSWER | same) == "applied: nothing differs"
    assert "nothing to change, its files are as they were" in printed(show_report(report))
    assert "nothing to change" not in printed(show_report(report | {"outcome": "refused"}))
