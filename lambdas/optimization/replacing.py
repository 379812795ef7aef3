"""The commit of a run: everything checked first, then one Iceberg snapshot that has the new files for the old."""

import time
from collections.abc import Callable
from datetime import datetime

import msgspec

from compaction.age import refuse_old
from compaction.committing import commit
from compaction.errors import ResultMissing
from compaction.footers import verify_footers
from compaction.lake_table import LakeTable, snapshot_of
from compaction.store import Store
from optimization.checking import Replacement, verify_results
from optimization.errors import FilesReplaced
from optimization.live import live_files, refuse_partitioning
from optimization.manifests import RUN_ID_PROPERTY, RewriteTask, Rewritten, plan_key


class Replacer:
    """Commits runs whose manifests are in `store` to `table`.

    `orphan_days` is when files that no snapshot names are deleted, `now` when the function was called.
    """

    def __init__(
        self,
        store: Store,
        table: LakeTable,
        orphan_days: int,
        now: datetime,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._table = table
        self._orphan_days = orphan_days
        self._now = now
        self._sleep = sleep

    def replace(self, run_id: str) -> Rewritten:
        """Put a run's files in the place of those that it has rewritten; done already, it is left as it is.

        Raises ResultMissing, ResultMismatch, CountsDoNotBalance, FileMismatch or RunTooOld when the run cannot be
        trusted, FilesReplaced or RowsDeleted when the table is no longer the one that it has rewritten, and
        CommitConflict when others were faster at every attempt. Nothing is published then.
        """
        lines = self._store.lines(plan_key(run_id))
        if lines is None:
            raise ResultMissing(f"Run {run_id} has no plan, so there is nothing to commit. Start a new run.")
        replacement = verify_results(self._store, run_id, map(msgspec.json.Decoder(RewriteTask).decode, lines))
        answer = _rewritten(replacement)
        snapshot_id = commit(f"Run {run_id}", lambda: self._replace_once(run_id, replacement, answer), self._sleep)
        return msgspec.structs.replace(answer, snapshot_id=str(snapshot_id))

    def _replace_once(self, run_id: str, replacement: Replacement, answer: Rewritten) -> int:
        """One attempt, on the table as it is now: whoever commits in between makes it fail, and all is checked anew."""
        table = self._table.find()
        if table is None:
            raise FilesReplaced("There is no table any more. Start a new run once there is one.")
        published = snapshot_of(table, run_id, RUN_ID_PROPERTY)
        if published is not None:  # by an attempt whose answer was lost, or a call before this one
            return published
        refuse_old(self._store, plan_key(run_id), self._orphan_days, self._now)
        location = f"s3://{self._store.bucket}/"
        refuse_partitioning(replacement.files, self._table.partition_by)
        replaced = live_files(table, location, replacement.sources)
        verify_footers(table.io, location, replacement.files)
        return self._table.replace(
            table, replaced, [location + file.key for file in replacement.files], _properties(run_id, answer)
        )


def _rewritten(replacement: Replacement) -> Rewritten:
    sources, files = replacement.sources, replacement.files
    return Rewritten(
        files_before=len(sources),
        files_after=len(files),
        bytes_before=sum(file.bytes for file in sources),
        bytes_after=sum(file.bytes for file in files),
        rows_before=sum(file.rows for file in sources),
        rows_after=sum(file.rows for file in files),
        duplicates=replacement.duplicates,
        snapshot_id=None,
    )


def _properties(run_id: str, answer: Rewritten) -> dict[str, str]:
    counts = msgspec.to_builtins(answer)
    del counts["snapshot_id"]
    named = {f"sensorkeep.{name.replace('_', '-')}": str(count) for name, count in counts.items()}
    return {RUN_ID_PROPERTY: run_id, **named}
