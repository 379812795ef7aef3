"""The function that sweeps up orphans and ends the run, on the embedded AWS."""

import json
from pathlib import Path
from typing import Any

import pytest

from optimization.manifests import ledger_key
from sweep_orphans import handler
from tests.lake import Lake, reading

ORPHAN = "warehouse/readings/data/orphan.parquet"
EVENT = {"run_id": "upkeep", "expired": {"expired": 2, "kept": 3}}
REWRITTEN = {
    "files_before": 9,
    "files_after": 1,
    "bytes_before": 900,
    "bytes_after": 100,
    "rows_before": 50,
    "rows_after": 46,
    "duplicates": 4,
    "snapshot_id": "7317436574000000001",
}


@pytest.fixture
def configured(deployed: Lake, settings_file: str) -> Lake:
    """A table, a file that it does not name, and settings by which that is old enough."""
    path = Path(settings_file)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["optimization"]["orphan_days"] = -1  # the settings refuse it: a file of now counts as old
    path.write_text(json.dumps(content), encoding="utf-8")
    deployed.put("a", [reading()])
    deployed.run("run")
    deployed.store.write(ORPHAN, b"12345")
    return deployed


def emitted(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]


def test_the_function_deletes_orphans_and_answers_the_runs_report_which_is_counted_once(
    configured: Lake, context: object, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [handler.handle(EVENT | {"rewritten": REWRITTEN}, context) for _ in range(2)]

    assert answers[0] == answers[1]
    swept = {"files": 1, "bytes": 5, "waiting_files": 0, "waiting_bytes": 0}
    assert answers[0] == EVENT | {"rewritten": REWRITTEN, "swept": swept}
    assert json.loads(configured.store.read(ledger_key("upkeep")) or b"") == answers[0]
    assert configured.store.read(ORPHAN) is None
    assert len(configured.rows()) == 1
    (counted,) = emitted(capsys)
    assert {name: value for name, value in counted.items() if name != "_aws"} == {
        "service": "lake",
        "FilesRewritten": [9.0],
        "BytesRewritten": [900.0],
        "RowsDeduplicated": [4.0],
        "SnapshotsExpired": [2.0],
        "OrphansDeleted": [1.0],
        "OrphanBytesDeleted": [5.0],
    }


def test_a_run_without_anything_to_rewrite_counts_zeros(
    configured: Lake, context: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handler.handle(EVENT, context)["rewritten"] is None

    (counted,) = emitted(capsys)
    assert (counted["FilesRewritten"], counted["OrphansDeleted"]) == ([0.0], [1.0])


def test_a_dry_run_names_what_would_be_deleted_and_deletes_and_emits_nothing(
    configured: Lake, context: object, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = handler.handle({"run_id": "status", "dry_run": True}, context)

    assert (answer["files"], answer["bytes"], answer["keys"]) == (1, 5, [ORPHAN])
    assert configured.store.read(ORPHAN) == b"12345"
    assert list(configured.store.keys("runs/optimize/")) == []
    assert emitted(capsys) == []
