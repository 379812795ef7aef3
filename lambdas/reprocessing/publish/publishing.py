"""The commit of a run: everything checked first, then one Iceberg snapshot for the whole range, then the quarantine."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec
from pyiceberg.table import Table

from compaction.age import refuse_old
from compaction.ahead import ahead
from compaction.committing import commit
from compaction.errors import FileMismatch, ResultMismatch
from compaction.footers import verify_footers
from compaction.lake_table import LakeTable, history
from compaction.runs import Snapshot
from compaction.store import Store
from optimization.errors import FilesReplaced
from optimization.live import entries, live_files, refuse_partitioning
from reprocessing.causes import causes, lost
from reprocessing.errors import FewerReadings
from reprocessing.keys import committed_key, plan_key
from reprocessing.manifests import Committed, DecodedObject, Plan
from reprocessing.marks import mark
from reprocessing.merge_manifests import planned_on
from reprocessing.publish.checking import Decoded, Merged, verify_decoded, verify_merged
from reprocessing.request import publishes
from reprocessing.runs import decoded, missing_objects, read_plan
from reprocessing.scope import may_overlap
from reprocessing.snapshots import MERGE_ID_PROPERTY, RUN_ID_PROPERTY, others_since, published, undone
from sensors.times import iso_ms


class Publisher:
    """Commits runs whose manifests are in `store` to `table`.

    `orphan_days` is when files that no snapshot names are deleted, `now` when the function was called. `hold` makes
    sure that a run still holds its range, or raises RangeHeld.
    """

    def __init__(
        self,
        store: Store,
        table: LakeTable,
        orphan_days: int,
        now: datetime,
        hold: Callable[[Plan], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._table = table
        self._orphan_days = orphan_days
        self._now = now
        self._hold = hold
        self._sleep = sleep

    def commit(self, run_id: str, merge_id: str) -> Committed:
        """Publish a merge of a run, if that is what the run is for; what of it is done already is left as it is.

        A run that is in the table is so with one merge, whichever is asked for. Raises ResultMissing, ResultMismatch,
        CountsDoNotBalance, RulesChanged, FileMismatch or RunTooOld when the run cannot be trusted, FewerReadings,
        RangeHeld, FilesReplaced or RowsDeleted when the table is no longer the one that was merged, and CommitConflict
        when others were faster at every attempt. Nothing is published then.
        """
        body = self._store.read(committed_key(run_id))
        if body is not None:
            return msgspec.json.decode(body, type=Committed)
        plan = read_plan(self._store, run_id)
        publishing = publishes(plan.request)
        merge_id = (publishing and self._published_merge(plan)) or merge_id
        found = verify_decoded(self._store, plan)
        merged = verify_merged(self._store, plan, merge_id, found.staged, publishes=publishing)
        answer = self._answer(plan, merge_id, merged)
        if publishing:
            answer = self._publish(plan, merged, answer)
            self._publish_rejects(plan, found)  # though nothing else may be new
        if answer.snapshot_id is not None:
            mark(self._store, plan.run_id, found.resolved, "archive")
        self._store.write(committed_key(run_id), msgspec.json.encode(answer))
        return answer

    def _published_merge(self, plan: Plan) -> str | None:
        """The merge with which the run is in the table already."""
        table = self._found(plan)
        snapshot = published(table, plan.run_id) if table else None
        return None if snapshot is None else snapshot.summary[MERGE_ID_PROPERTY]

    def _found(self, plan: Plan) -> Table | None:
        """The table as it is now."""
        return commit(f"Run {plan.run_id}", self._table.find, self._sleep)

    def _answer(self, plan: Plan, merge_id: str, merged: Merged) -> Committed:
        return Committed(
            run_id=plan.run_id,
            merge_id=merge_id,
            snapshot_before=None,
            snapshot_id=None,
            rows_replaced=merged.replaced,
            rows_written=merged.written,
            files_replaced=len(merged.sources),
            files_written=len(merged.files),
            fewer_by=self._causes(plan, merged) if merged.vanished else {},
        )

    def _causes(self, plan: Plan, merged: Merged) -> dict[str, int]:
        return causes(merged.vanished, missing_objects(self._store, plan.run_id), self._objects(plan))

    def _objects(self, plan: Plan) -> Iterator[DecodedObject]:
        for _, result in decoded(self._store, plan):
            yield from result.objects

    def _publish(self, plan: Plan, merged: Merged, answer: Committed) -> Committed:
        """The answer with the snapshots before and after, if the run has anything to change in the table."""
        if not merged.sources and not merged.files:
            self._hold(plan)
            self._refuse_changed(self._found(plan), plan, answer.merge_id)
            return answer
        snapshot = commit(f"Run {plan.run_id}", lambda: self._publish_once(plan, merged, answer), self._sleep)
        before = snapshot.parent_snapshot_id
        return msgspec.structs.replace(
            answer,
            snapshot_id=str(snapshot.snapshot_id),
            snapshot_before=None if before is None else str(before),
        )

    def _publish_once(self, plan: Plan, merged: Merged, answer: Committed) -> Snapshot:
        """One attempt, on the table as it is now: whoever commits in between makes it fail, and all is checked anew."""
        table = self._table.find()
        snapshot = published(table, plan.run_id) if table else None
        if snapshot is not None:  # by an attempt whose answer was lost, or a call before this one
            return snapshot
        if table and undone(table, plan.run_id):
            raise ResultMismatch(f"Run {plan.run_id} was undone, so it is not published again. Start a new run.")
        _refuse_fewer(plan, merged, answer)
        self._hold(plan)
        refuse_old(self._store, plan_key(plan.run_id), self._orphan_days, self._now)
        refuse_partitioning(merged.files, self._table.partition_by)
        if table is None:
            if merged.sources:
                raise FilesReplaced("There is no table any more. Start a new run once there is one.")
            table = self._table.load()
        self._refuse_changed(table, plan, answer.merge_id)
        location = f"s3://{self._store.bucket}/"
        paths = [location + file.key for file in merged.files]
        if not merged.sources:
            _refuse_standing(table, paths)
        replaced = live_files(table, location, merged.sources)
        verify_footers(table.io, location, merged.files)
        self._table.replace(table, replaced, paths, _properties(plan, answer))
        return history(table)[0]

    def _refuse_changed(self, table: Table | None, plan: Plan, merge_id: str) -> None:
        """Raise FilesReplaced where another run was published or undone in the range since the merge was planned.

        Of groups that keep their files it is not looked whether these are there: whatever the upkeep makes of them has
        the same rows. What a run makes of them may have others.
        """
        snapshot_id = planned_on(merge_id)
        if snapshot_id is None:
            return
        others = others_since(table, snapshot_id, plan.run_id) if table else None
        if others is None:
            raise FilesReplaced(f"The table's history does not go back to that of merge {merge_id}. Plan it anew.")
        for other in sorted(others):
            if may_overlap(read_plan(self._store, other).request.scope, plan.request.scope):
                raise FilesReplaced(f"Run {other} has changed the range since merge {merge_id}, or was undone.")

    def _publish_rejects(self, plan: Plan, found: Decoded) -> None:
        """Put what was set aside where the quarantine is.

        What the compaction has set aside is left out, unless another run may have stored it since that was looked up:
        this one may have taken the reading out again.
        """
        table = self._found(plan)
        only_new = table is not None and others_since(table, plan.snapshot_id, plan.run_id) == set()
        rejects = found.new_rejects if only_new else found.rejects
        for (source, target), copied in ahead(lambda pair: self._store.copy(*pair), rejects):
            if not copied:
                raise FileMismatch(
                    f"{source}, which becomes {target}, is gone; the run is published all the same. Bring it back, or "
                    "start a new run over the same range: it sets the same records aside."
                )


def _refuse_fewer(plan: Plan, merged: Merged, answer: Committed) -> None:
    gone = lost(merged.before, merged.after, answer.fewer_by)
    if gone <= 0 or plan.request.allow_fewer:
        return
    said = ", ".join(f"{count:,} {cause}" for cause, count in answer.fewer_by.items())
    raise FewerReadings(
        f"The range has {merged.before:,} readings and would have {merged.after:,}; {gone:,} would be lost. "
        f"Readings that would be gone, by cause: {said}. Nothing is published. Look at the quarantine and the report; "
        'if it is as it should be, start again with "allow_fewer": true.'
    )


def _refuse_standing(table: Table, paths: list[str]) -> None:
    """The snapshot of a run may have expired before its commit was repeated; its files would be there twice then."""
    new = set(paths)
    standing = next((entry.data_file.file_path for entry in entries(table) if entry.data_file.file_path in new), None)
    if standing is not None:
        raise FilesReplaced(f"{standing} is in the table already, by a snapshot that has expired. Plan the merge anew.")


def _properties(plan: Plan, answer: Committed) -> dict[str, str]:
    scope = plan.request.scope
    names = ("rows_replaced", "rows_written", "files_replaced", "files_written")
    return {
        RUN_ID_PROPERTY: plan.run_id,
        MERGE_ID_PROPERTY: answer.merge_id,
        "sensorkeep.from": iso_ms(scope.start_ms),
        "sensorkeep.to": iso_ms(scope.end_ms),
        "sensorkeep.rules": plan.rules,
        **{f"sensorkeep.{name.replace('_', '-')}": str(getattr(answer, name)) for name in names},
    }
