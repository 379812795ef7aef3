"""The undo of a run: one commit takes its files out and puts those from before it back; every other commit stays.

Files that were taken out of a table are not put in again by their old names. Iceberg's specification advises against
that (https://iceberg.apache.org/spec/#manifest-entry-fields, note 1): who expires snapshots by what they have removed
would delete these files for good. So they are copied, within S3, and their manifest entries with them.
"""

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from pyiceberg.manifest import DataFile

from compaction.ahead import ahead
from compaction.committing import commit
from compaction.errors import InvalidInput, ResultMissing, shown
from compaction.lake_table import LakeTable, history
from compaction.runs import Snapshot
from compaction.store import Store
from reprocessing import fields, parsing
from reprocessing.errors import CannotUndo
from reprocessing.keys import committed_key, ledger_key, undone_key
from reprocessing.ledger import LedgerEntry, Taken
from reprocessing.manifests import Committed, Plan, Undone
from reprocessing.marks import unmark
from reprocessing.request import publishes
from reprocessing.runs import decoded, executions_of, read_plan
from reprocessing.snapshots import UNDO_PROPERTY, published, undone
from reprocessing.undo.origins import copy_path
from reprocessing.undo.reverting import instead, standing_for, swap_of

_FRESH = timedelta(days=1)
"""A copy of an earlier attempt that is no older is used again: files that no snapshot names are kept much longer."""

_FILE_PATH = 1  # its place in a DataFile


class Wish(NamedTuple):
    """Who wants a run undone, and why: `execution` is the name of theirs, `asked_at` when it began, in ISO-8601."""

    run_id: str
    execution: str
    asked_at: str
    note: str
    by: str | None


def wish(run_input: object, execution: str, asked_at: str) -> Wish:
    """What an execution's input asks for. Raises InvalidInput, as `field: reason. What to write.`"""
    given = fields.known("", run_input, ("undo", "note", "by"))
    return Wish(
        run_id=parsing.run_id("undo", fields.needed(given, "undo", "the name of the run that is to be undone")),
        execution=execution,
        asked_at=asked_at,
        note=fields.optional(given, "note", lambda name, value: fields.text(name, value, parsing.MAX_NOTE_CHARS)) or "",
        by=fields.optional(given, "by", lambda name, value: fields.text(name, value, parsing.MAX_NAME_CHARS)),
    )


class Undoer:
    """Undoes runs whose manifests are in `store` and whose readings are in `table`.

    `hold` claims the range of a run for the undo, or raises RangeHeld; `release` gives it back. `now` is when the
    function was called.
    """

    def __init__(
        self,
        store: Store,
        table: LakeTable,
        now: datetime,
        hold: Callable[[Plan], None],
        release: Callable[[], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._table = table
        self._now = now
        self._hold = hold
        self._release = release
        self._sleep = sleep

    def undo(self, wish: Wish) -> Undone:
        """Take back what a run has published; done already, it is left as it is, with the same answer.

        Raises CannotUndo, which says what to do instead, InvalidInput when there is no such run, RangeHeld, and
        CommitConflict when others were faster at every attempt. The table is left as it is then.
        """
        plan = self._plan(wish.run_id)
        if (done := self._done(plan)) is not None:
            self._release()  # of a call that came no further
            return done
        self._hold(plan)
        try:
            answer = commit(f"The undo of run {plan.run_id}", lambda: self._undo_once(plan), self._sleep)
            unmark(self._store, plan, "archive")
            self._withdraw_rejects(plan)
            self._enter(plan, wish, answer)
            self._store.write(undone_key(wish.run_id), msgspec.json.encode(answer))
        finally:
            self._release()
        return answer

    def _plan(self, run_id: str) -> Plan:
        try:
            return read_plan(self._store, run_id)
        except ResultMissing:
            raise InvalidInput(
                f"undo: {shown(run_id)} is no run of reprocess. Write the name of one: `python -m ops runs` lists them."
            ) from None

    def _done(self, plan: Plan) -> Undone | None:
        """What an undo before this one has put back, unless a rollback has made the run come back."""
        body = self._store.read(undone_key(plan.run_id))
        table = commit(f"The undo of run {plan.run_id}", self._table.find, self._sleep) if body else None
        if body is None or (table and published(table, plan.run_id)):
            return None
        return msgspec.json.decode(body, type=Undone)

    def _undo_once(self, plan: Plan) -> Undone:
        """One attempt, on the table as it is now: whoever commits in between makes it fail, and all is checked anew."""
        table = self._table.find()
        done = undone(table, plan.run_id) if table else None
        if done is not None:  # by an attempt whose answer was lost, or a call before this one
            return _undone(plan.run_id, done)
        snapshot = published(table, plan.run_id) if table else None
        if table is None or snapshot is None:
            raise CannotUndo(self._not_there(plan))
        swap = swap_of(table, snapshot, plan)
        standing = standing_for(table, snapshot, swap, plan)
        former = list(self._copies(plan, swap.removed))
        self._table.put_back(table, standing, former, _properties(plan, standing, swap.removed))
        return _undone(plan.run_id, history(table)[0])

    def _not_there(self, plan: Plan) -> str:
        if not publishes(plan.request):
            return f"Run {plan.run_id} has published nothing: it was no run that applies changes to the table."
        body = self._store.read(committed_key(plan.run_id))
        if body is not None and msgspec.json.decode(body, type=Committed).snapshot_id is None:
            return f"Run {plan.run_id} found nothing to change in the table, so there is nothing to take back."
        return (
            f"Run {plan.run_id} has no snapshot in the history of the table: it published nothing, was rolled back, or "
            f"its snapshot has expired. {instead(plan)}"
        )

    def _copies(self, plan: Plan, files: Iterable[DataFile]) -> Iterator[DataFile]:
        """Entries of copies of these files. Raises CannotUndo when one of them is gone."""
        for file, path in ahead(lambda file: self._copy(plan, file), files):
            if path is None:
                raise CannotUndo(f"{file.file_path}, which run {plan.run_id} has replaced, is gone. {instead(plan)}")
            yield _as(file, path)

    def _copy(self, plan: Plan, file: DataFile) -> str | None:
        path = copy_path(file.file_path, plan.run_id)
        source, key = (one.removeprefix(f"s3://{self._store.bucket}/") for one in (file.file_path, path))
        is_fresh = self._store.metadata(key) is not None and self._now - self._store.written_at(key) < _FRESH
        return path if is_fresh or self._store.copy(source, key) else None

    def _withdraw_rejects(self, plan: Plan) -> None:
        """Their records are rows again, by the rules from before the run: what it has set aside is so no longer."""
        for task, result in decoded(self._store, plan):
            if task.to_table and result.quarantine_key:
                self._store.delete(result.quarantine_key)

    def _enter(self, plan: Plan, wish: Wish, answer: Undone) -> None:
        """Say in the ledger that the run was undone, by whom and why."""
        key = ledger_key(plan.run_id)
        body = self._store.read(key)
        entry = self._entry(plan, wish) if body is None else msgspec.json.decode(body, type=LedgerEntry)
        taken = Taken(wish.by, wish.note, wish.asked_at, wish.execution, answer.snapshot_id)
        entry = msgspec.structs.replace(entry, outcome="undone", undone=taken)
        self._store.write(key, msgspec.json.encode(entry))

    def _entry(self, plan: Plan, wish: Wish) -> LedgerEntry:
        """The line of a run that has not come to its report."""
        return LedgerEntry(
            run_id=plan.run_id,
            by=plan.request.by,
            note=plan.request.note,
            request=plan.request,
            started_at=plan.started_at,
            finished_at=wish.asked_at,
            outcome="undone",
            snapshot_id=None,
            executions=executions_of(self._store, plan.run_id),
        )


def _as(file: DataFile, path: str) -> DataFile:
    """The entry of a file for its copy: the same rows and statistics."""
    copied = copy.deepcopy(file)
    copied[_FILE_PATH] = path
    return copied


def _properties(plan: Plan, removed: Sequence[DataFile], restored: Sequence[DataFile]) -> dict[str, str]:
    counts = {
        "rows-removed": sum(file.record_count for file in removed),
        "rows-restored": sum(file.record_count for file in restored),
        "files-removed": len(removed),
        "files-restored": len(restored),
    }
    return {UNDO_PROPERTY: plan.run_id, **{f"sensorkeep.{name}": str(count) for name, count in counts.items()}}


def _undone(run_id: str, snapshot: Snapshot) -> Undone:
    def count(name: str) -> int:
        return int(snapshot.summary[f"sensorkeep.{name}"])

    return Undone(
        run_id=run_id,
        snapshot_id=str(snapshot.snapshot_id),
        rows_removed=count("rows-removed"),
        rows_restored=count("rows-restored"),
        files_removed=count("files-removed"),
        files_restored=count("files-restored"),
    )
