"""A reprocessing that somebody has run: what its execution answered, and its report."""

from typing import Any

ANSWER: dict[str, Any] = {
    "run_id": "first",
    "mode": "apply",
    "outcome": "applied",
    "report": "s3://processed/runs/reprocess/first/report.json",
    "page": "s3://processed/runs/reprocess/first/report.html",
    "snapshot_id": "7",
    "objects": 1200,
    "before": 2380,
    "after": 2390,
    "changed": 10,
    "added": 14,
    "vanished": 4,
    "alarms_before": 0,
    "alarms_after": 2,
    "alarms_given": None,
}
UNDONE = {
    "run_id": "first",
    "undone": {
        "run_id": "first",
        "snapshot_id": "8",
        "rows_removed": 2390,
        "rows_restored": 2380,
        "files_removed": 1,
        "files_restored": 2,
        "hot_table": "left as it is",
    },
}
NO_ALARMS = {"total": 0, "listed": []}
TAKEN = {"by": "bob", "note": "", "at": "2026-11-21T09:00:00+00:00", "execution": "earlier", "snapshot_id": "8"}
REPORT: dict[str, Any] = {
    "run_id": "first",
    "mode": "apply",
    "outcome": "applied",
    "request": {
        "scope": {"start_ms": 1_772_323_200_000, "end_ms": 1_775_001_600_000, "devices": ["press-*", "pump-7"]},
        "source": "archive",
        "targets": ["table", "hot"],
        "mode": "apply",
        "note": "limit of the presses was too strict",
        "max_rate": 500, "restore_tier": "Standard", "restore_days": 1,
    },
    "started_at": "2026-11-21T09:00:00+00:00",
    "finished_at": "2026-11-21T09:05:00+00:00",
    "duration_s": 300,
    "executions": ["first", "second"],
    "snapshot_before": "6",
    "snapshot_id": "7",
    "refused": None,
    "found": {
        "objects": 1200, "bytes": 64_000_000, "waiting": 2, "outside": 3, "missing": 0,
        "frozen": 4, "frozen_bytes": 9_000, "missing_objects": [],
    },
    "records": {
        "records": 2400, "stored": 2390, "duplicate": 6, "quarantined": 4, "outside": 0,
        "by_reason": {"bad_metric": 4}, "late": 17, "ignored_fields": 0,
    },
    "readings": {
        "before": 2380, "before_duplicates": 0, "after": 2390, "same": 2366, "changed": 10, "added": 14, "vanished": 4,
        "attributes_changed": 0, "vanished_by": {"quarantined: bad_metric": 4},
    },
    "days": [], "devices": [], "other_devices": {"devices": 0, "before": 0, "after": 0, "changed": 0},
    "metrics": {"temperature": {"changed": 10, "appeared": 1, "gone": 0, "largest": 5.25}},
    "other_metrics": {"changed": 0, "appeared": 0, "gone": 0, "largest": 0.0},
    "series": [],
    "alarms_before": NO_ALARMS, "alarms_after": {"total": 2, "listed": []}, "alarms_given": None,
    "alerts": {"compared": 2, "new": 2, "sent": 0},
    "hot": {"written": 24, "unchanged": 2300, "newer": 1, "expired": 65, "refused": 0, "refusals": []},
    "written": {
        "rows_replaced": 2380, "rows_written": 2390, "files_replaced": 2, "files_written": 1,
    },
    "estimate": {
        "seconds": 90, "cost_usd": 0.0123,
        "thaw": {"objects": 4, "bytes": 9_000, "hours": 12.0, "cost_usd": 0.0011, "refused": 1},
    },
}  # fmt: skip
