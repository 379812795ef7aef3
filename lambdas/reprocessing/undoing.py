"""The undo of a run: one commit takes its files out and puts those from before it back; every other commit stays.

Files that were taken out of a table are not put in again by their old names. Iceberg's specification advises against it
(https://iceberg.apache.org/spec/#manifest-entry-fields, note 1): who expires snapshots by their lists of removed files, as
Spark and Athena do, would delete them for good. So they are copied, within S3, and their manifest entries with them.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, DataFileContent, ManifestEntry, ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.types import TimestamptzType

from compaction.ahead import ahead
from compaction.committing import commit
from compaction.lake_table import LakeTable, history
from compaction.runs import RUN_ID_PROPERTY as COMPACT_PROPERTY
from compaction.runs import Snapshot
from compaction.store import Store
from optimization.errors import RowsDeleted
from optimization.live import entries, refuse_deletes
from optimization.manifests import RUN_ID_PROPERTY as OPTIMIZE_PROPERTY
from reprocessing.checking import decoded
from reprocessing.errors import CannotUndo
from reprocessing.manifests import (
    RUN_ID_PROPERTY,
    UNDO_PROPERTY,
    LedgerEntry,
    Plan,
    Undone,
    ledger_key,
    undone_key,
)
from reprocessing.request import Scope
from reprocessing.resolving import unmark
from reprocessing.runs import read_plan
from reprocessing.snapshots import published, undone
from sensors.times import iso_ms

_FRESH = timedelta(days=1)
"""A copy from an earlier attempt is used again when it is no older: files that no snapshot names are kept much longer."""

_MACHINES = {
    COMPACT_PROPERTY: "run {} of compact",
    OPTIMIZE_PROPERTY: "run {} of optimize",
    RUN_ID_PROPERTY: "run {} of reprocess",
    UNDO_PROPERTY: "the undo of run {}",
}


class Wish(NamedTuple):
    """Who wants a run undone, and why: `execution` is the name of theirs, `asked_at` when it began, in ISO-8601."""

    run_id: str
    execution: str
    asked_at: str
    note: str
    by: str | None


class Swap(NamedTuple):
    """Entries of the files that a run has added, and of those that it has removed."""

    added: list[DataFile]
    removed: list[DataFile]


class Undoer:
    """Undoes runs whose manifests are in `store` and whose readings are in `table`.

    `hold` claims a range for the execution, or raises RangeHeld; `release` gives it back. `now` is when the function was
    called.
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

        Raises CannotUndo, which says what to do instead, ResultMissing when there is no such run, RangeHeld, and
        CommitConflict when others were faster at every attempt. The table is left as it is then.
        """
        body = self._store.read(undone_key(wish.run_id))
        if body is not None:
            return msgspec.json.decode(body, type=Undone)
        plan = read_plan(self._store, wish.run_id)
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

    def _undo_once(self, plan: Plan) -> Undone:
        """One attempt, on the table as it is now: whoever commits in between makes it fail, and all is checked anew."""
        table = self._table.find()
        done = undone(table, plan.run_id) if table else None
        if done is not None:  # by an attempt whose answer was lost, or a call before this one
            return _undone(plan.run_id, done)
        snapshot = published(table, plan.run_id) if table else None
        if table is None or snapshot is None:
            raise CannotUndo(_not_there(plan))
        swap = _swap(table, snapshot, plan)
        _refuse_others(table, snapshot, swap, plan)
        former = list(self._copies(plan, swap.removed))
        self._table.put_back(table, swap.added, former, _properties(plan, swap))
        return _undone(plan.run_id, history(table)[0])

    def _copies(self, plan: Plan, files: Iterable[DataFile]) -> Iterator[DataFile]:
        """Entries of copies of these files. Raises CannotUndo when one of them is gone."""
        for file, key in ahead(lambda file: self._copy(plan, file), files):
            if key is None:
                raise CannotUndo(f"{file.file_path}, which run {plan.run_id} has replaced, is gone. {_instead(plan)}")
            yield _as(file, f"s3://{self._store.bucket}/{key}")

    def _copy(self, plan: Plan, file: DataFile) -> str | None:
        source = file.file_path.removeprefix(f"s3://{self._store.bucket}/")
        name = hashlib.sha256(source.encode()).hexdigest()[:16]
        key = f"{source.rpartition('/')[0]}/{plan.run_id}-undone-{name}.parquet"
        is_fresh = self._store.metadata(key) is not None and self._now - self._store.written_at(key) < _FRESH
        return key if is_fresh or self._store.copy(source, key) else None

    def _withdraw_rejects(self, plan: Plan) -> None:
        """Their records are rows again, by the rules from before the run: what it has set aside is so no longer."""
        for task, result in decoded(self._store, plan):
            if task.to_table and result.quarantine_key:
                self._store.delete(result.quarantine_key)

    def _enter(self, plan: Plan, wish: Wish, answer: Undone) -> None:
        """Say in the ledger that the run was undone, by whom and why."""
        key = ledger_key(plan.run_id)
        body = self._store.read(key)
        entry = _entry(plan, wish) if body is None else msgspec.json.decode(body, type=LedgerEntry)
        entry = msgspec.structs.replace(
            entry,
            outcome="undone",
            undone_by=wish.by,
            undone_note=wish.note,
            undone_at=wish.asked_at,
            executions=tuple(dict.fromkeys((*entry.executions, wish.execution))),
        )
        self._store.write(key, msgspec.json.encode(entry))


def _swap(table: Table, snapshot: Snapshot, plan: Plan) -> Swap:
    """What the run has added and removed. Raises CannotUndo when it cannot be brought back."""
    before = snapshot.parent_snapshot_id
    if before is not None and table.snapshot_by_id(before) is None:
        raise CannotUndo(
            f"Snapshot {before}, the table before run {plan.run_id}, has expired, so its files may be gone. {_instead(plan)}"
        )
    swap = Swap([], [])
    for entry in _changes(table, snapshot.snapshot_id):
        if entry.status == ManifestEntryStatus.ADDED:
            swap.added.append(entry.data_file)
        elif entry.status == ManifestEntryStatus.DELETED:
            swap.removed.append(entry.data_file)
    if any(file.spec_id != table.spec().spec_id for file in swap.removed):
        raise CannotUndo(
            f"The table was partitioned otherwise before run {plan.run_id}, so its files do not fit it any more. "
            f"{_instead(plan)}"
        )
    return swap


def _changes(table: Table, snapshot_id: int) -> Iterator[ManifestEntry]:
    """What a snapshot has added and removed."""
    snapshot = table.snapshot_by_id(snapshot_id)
    manifests = snapshot.manifests(table.io) if snapshot else []
    own = [manifest for manifest in manifests if manifest.added_snapshot_id == snapshot_id]
    for _, found in ahead(lambda manifest: manifest.fetch_manifest_entry(table.io, discard_deleted=False), own):
        yield from (entry for entry in found if entry.snapshot_id == snapshot_id)


def _refuse_others(table: Table, snapshot: Snapshot, swap: Swap, plan: Plan) -> None:
    """Raise CannotUndo when the range has changed since the run, or its files are not the table's any more."""
    added = {file.file_path: file for file in swap.added}
    standing: set[str] = set()
    deletes: list[DataFile] = []
    bounds = _Bounds(table)
    for entry in entries(table):
        file = entry.data_file
        if file.content != DataFileContent.DATA:
            deletes.append(file)
        elif file.file_path in added:
            standing.add(file.file_path)
        elif (entry.sequence_number or 0) > snapshot.sequence_number and bounds.may_meet(plan.request.scope, file):
            raise CannotUndo(
                f"{_told(table, entry.snapshot_id)} has since added rows to the range of run {plan.run_id}, for example "
                f"{file.file_path}. {_instead(plan)}"
            )
    if gone := sorted(added.keys() - standing):
        raise CannotUndo(
            f"{len(gone)} file(s) of run {plan.run_id} are no files of the table any more, for example {gone[0]}: "
            f"{_told(table, _remover(table, snapshot, gone[0]))} has replaced it. {_instead(plan)}"
        )
    try:
        refuse_deletes({file.file_path: file for file in (*swap.added, *swap.removed)}, deletes)
    except RowsDeleted as error:
        raise CannotUndo(f"Rows were deleted since run {plan.run_id}, and would come back: {error}") from None


class _Bounds:
    """What manifests say of the times of a file's rows."""

    def __init__(self, table: Table) -> None:
        self._column = table.schema().find_field("measured_at").field_id

    def may_meet(self, scope: Scope, file: DataFile) -> bool:
        """Whether a row of the file may be within the times of a scope: so it is where no bounds are known."""
        first, last = (self._ms(bounds) for bounds in (file.lower_bounds, file.upper_bounds))
        return (first is None or first < scope.end_ms) and (last is None or last >= scope.start_ms)

    def _ms(self, bounds: dict[int, bytes] | None) -> int | None:
        bound = (bounds or {}).get(self._column)
        return None if bound is None else from_bytes(TimestamptzType(), bound) // 1000


def _remover(table: Table, since: Snapshot, path: str) -> int | None:
    """The snapshot that has removed a file, one of those after another."""
    for one in history(table):
        if one.sequence_number <= since.sequence_number:
            return None
        if any(
            entry.status == ManifestEntryStatus.DELETED and entry.data_file.file_path == path
            for entry in _changes(table, one.snapshot_id)
        ):
            return one.snapshot_id
    return None


def _told(table: Table, snapshot_id: int | None) -> str:
    """Whose snapshot it is, and of when, for people."""
    snapshot = table.snapshot_by_id(snapshot_id) if snapshot_id is not None else None
    if snapshot is None:
        return "Another commit, whose snapshot has expired,"
    properties = snapshot.summary.additional_properties if snapshot.summary else {}
    named = (words.format(properties[name]) for name, words in _MACHINES.items() if name in properties)
    who = next(named, "a commit of none of our machines")
    return f"{who[0].upper()}{who[1:]} (snapshot {snapshot_id}, {iso_ms(snapshot.timestamp_ms)})"


def _not_there(plan: Plan) -> str:
    if plan.request.mode != "apply" or "table" not in plan.request.targets:
        return f"Run {plan.run_id} has published nothing: it was no run that applies changes to the table."
    return (
        f"Run {plan.run_id} has no snapshot in the history of the table: it published nothing, was rolled back, or its "
        f"snapshot has expired. {_instead(plan)}"
    )


def _instead(plan: Plan) -> str:
    scope = plan.request.scope
    return (
        "To have the readings as they were, deploy the settings from before the run, and reprocess from "
        f"{iso_ms(scope.start_ms)} to {iso_ms(scope.end_ms)}."
    )


def _as(file: DataFile, path: str) -> DataFile:
    """The entry of a file for its copy: the same rows and statistics."""
    copied = DataFile.from_args(**{field.name: file[place] for place, field in enumerate(_FIELDS)} | {"file_path": path})
    copied.spec_id = file.spec_id
    return copied


def _properties(plan: Plan, swap: Swap) -> dict[str, str]:
    counts = {
        "rows-removed": sum(file.record_count for file in swap.added),
        "rows-restored": sum(file.record_count for file in swap.removed),
        "files-removed": len(swap.added),
        "files-restored": len(swap.removed),
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


def _entry(plan: Plan, wish: Wish) -> LedgerEntry:
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
        executions=(),
    )
