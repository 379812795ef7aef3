"""The commit of a run: everything checked first, then one Iceberg snapshot, then the ledger, then the report."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from compaction import archive, runs
from compaction.age import refuse_old
from compaction.committing import commit
from compaction.errors import ObjectsAlreadyCommitted, ResultMissing
from compaction.footers import verify_footers
from compaction.hours import Window
from compaction.joining import beside
from compaction.lake_table import LakeTable, committed, snapshot_of
from compaction.ledger import Ledger, in_order
from compaction.manifests import FileResult, PlannedObject, Report, Task, plan_key, report_key
from compaction.store import Store
from compaction.verification import verify_archive, verify_results

_END = datetime(9999, 1, 1, tzinfo=UTC)


class Publication(NamedTuple):
    """The report of a committed run, and whether it was written now or by an earlier call."""

    report: Report
    is_new: bool


class Publisher:
    """Publishes runs whose manifests are in `store` and whose objects are in the raw bucket to `table`.

    `orphan_days` is when files that no snapshot names are deleted, `now` when the function was called.
    """

    def __init__(
        self,
        s3: Any,
        raw_bucket: str,
        store: Store,
        table: LakeTable,
        orphan_days: int,
        now: datetime,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._s3 = s3
        self._raw_bucket = raw_bucket
        self._store = store
        self._ledger = Ledger(store)
        self._table = table
        self._orphan_days = orphan_days
        self._now = now
        self._sleep = sleep

    def publish(self, run_id: str) -> Publication:
        """Commit a run, enter it in the ledger and write its report; what of that is done already is left as it is.

        Raises ResultMissing, ResultMismatch, CountsDoNotBalance, ObjectMissing, ObjectChanged, FileMismatch,
        ObjectsAlreadyCommitted or RunTooOld when the run cannot be trusted, LedgerIncomplete when it cannot be told
        what is in the table, and CommitConflict when others were faster at every attempt. Nothing is published then.
        """
        written = runs.read_report(self._store, run_id)
        if written is not None and written.committed:
            return Publication(written, is_new=False)
        report, files = verify_results(self._store, run_id, self._plan(run_id))
        entry = self._ledger.entry(run_id)
        snapshot_id = self._commit(report, files) if entry is None else entry.snapshot_id
        if entry is None:
            self._ledger.record(run_id, snapshot_id, self._plan(run_id))
        report = msgspec.structs.replace(report, committed=True, snapshot_id=str(snapshot_id))
        self._store.write(report_key(run_id), msgspec.json.encode(report))
        return Publication(report, is_new=True)

    def _plan(self, run_id: str) -> Iterator[Task]:
        plan = runs.read_plan(self._store, run_id)
        if plan is None:
            raise ResultMissing(f"Run {run_id} has no plan, so there is nothing to commit. Start a new run.")
        return plan

    def _commit(self, report: Report, files: Sequence[FileResult]) -> int:
        """Check what nobody else changes, once, and commit; the snapshot's id."""
        what = f"Run {report.run_id}"
        table = commit(what, self._table.load, self._sleep)
        if (published := snapshot_of(table, report.run_id)) is not None:
            return published
        refuse_old(self._store, plan_key(report.run_id), self._orphan_days, self._now)
        verify_archive(in_order(self._plan(report.run_id)), self._archive_from)
        verify_footers(table.io, self._location, files)
        return commit(what, lambda: self._commit_once(report, files), self._sleep)

    def _commit_once(self, report: Report, files: Sequence[FileResult]) -> int:
        """One attempt, on the table as it is now: whoever commits in between makes it fail, and is looked for anew."""
        table = self._table.load()
        if (published := snapshot_of(table, report.run_id)) is not None:  # by an attempt whose answer was lost
            return published
        self._ledger.heal(committed(table))
        self._refuse_overlap(report.run_id)
        return self._table.extend(table, [self._location + file.key for file in files], self._properties(report))

    @property
    def _location(self) -> str:
        return f"s3://{self._store.bucket}/"

    def _refuse_overlap(self, run_id: str) -> None:
        """Raise ObjectsAlreadyCommitted when a run that was committed since the plan holds objects of the plan."""
        both = beside(in_order(self._plan(run_id)), lambda hour: self._ledger.held(Window(hour, _END)))
        taken = (held for _, held in both if held is not None)
        if (example := next(taken, None)) is not None:
            raise ObjectsAlreadyCommitted(
                f"{1 + sum(1 for _ in taken)} object(s) of run {run_id} are in the table already, for example "
                f"{example.key} by run {example.run_id}. Start a new run: it takes what is left."
            )

    def _archive_from(self, hour: datetime) -> Iterator[PlannedObject]:
        return archive.objects(self._s3, self._raw_bucket, Window(hour, _END))

    def _properties(self, report: Report) -> dict[str, str]:
        names = ("tasks", "objects", "archive_bytes", "records", "stored", "duplicate", "quarantined")
        counts = {f"sensorkeep.{name.replace('_', '-')}": str(getattr(report, name)) for name in names}
        settled = runs.settled_by(self._store, report.run_id)
        return {runs.RUN_ID_PROPERTY: report.run_id, **counts, **({runs.SETTLED_PROPERTY: settled} if settled else {})}
