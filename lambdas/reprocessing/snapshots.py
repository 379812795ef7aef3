"""What the table's history says of a run: published, taken back, or neither.

A snapshot that a rollback took out of the history does not count, as in the compaction (`compaction.runs`).
"""

from pyiceberg.table import Table

from compaction.lake_table import history
from compaction.runs import Snapshot
from reprocessing.manifests import Plan

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


def is_first_since(table: Table, plan: Plan) -> bool:
    """Whether no other run has published since this one was planned; not if the history does not go back as far."""
    for one in history(table):
        if str(one.snapshot_id) == plan.snapshot_id:
            return True
        if one.summary.get(RUN_ID_PROPERTY, plan.run_id) != plan.run_id:
            return False
    return False


def _last_word(table: Table, run_id: str, name: str) -> Snapshot | None:
    told = (
        one for one in history(table) if run_id in (one.summary.get(RUN_ID_PROPERTY), one.summary.get(UNDO_PROPERTY))
    )
    last = next(told, None)
    return last if last is not None and last.summary.get(name) == run_id else None
