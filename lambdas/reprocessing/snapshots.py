"""What the table's history says of a run: published, taken back, or neither.

A snapshot that a rollback took out of the history does not count, as in the compaction (`compaction.runs`).
"""

from pyiceberg.table import Table

from compaction.lake_table import history
from compaction.runs import Snapshot

RUN_ID_PROPERTY = "sensorkeep.reprocess-run-id"
"""Of a snapshot's summary: the run whose readings it has published."""
MERGE_ID_PROPERTY = "sensorkeep.reprocess-merge-id"
"""Of the same snapshot's summary: the merge that it has published."""
UNDO_PROPERTY = "sensorkeep.undo-of"
"""Of a snapshot's summary: the run whose readings it has taken back."""


def published(table: Table, run_id: str) -> Snapshot | None:
    """The snapshot with which a run was published, None when it was not, or was undone since."""
    return _last_word(table, run_id, RUN_ID_PROPERTY)


def undone(table: Table, run_id: str) -> Snapshot | None:
    """The snapshot with which a run was undone, None when it was not, or was published again since."""
    return _last_word(table, run_id, UNDO_PROPERTY)


def others_since(table: Table, snapshot_id: str | None, run_id: str) -> set[str] | None:
    """Other runs that were published or undone since a snapshot; None if the history does not go back as far."""
    found: set[str] = set()
    for one in history(table):
        if str(one.snapshot_id) == snapshot_id:
            return found - {run_id}
        found.update(one.summary[name] for name in (RUN_ID_PROPERTY, UNDO_PROPERTY) if name in one.summary)
    return None


def _last_word(table: Table, run_id: str, name: str) -> Snapshot | None:
    told = (
        one for one in history(table) if run_id in (one.summary.get(RUN_ID_PROPERTY), one.summary.get(UNDO_PROPERTY))
    )
    last = next(told, None)
    return last if last is not None and last.summary.get(name) == run_id else None
