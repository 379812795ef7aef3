"""Whether a run can be undone: the files that it has swapped, and what has become of its range since."""

from collections.abc import Iterator
from typing import NamedTuple, cast

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, DataFileContent, ManifestEntry, ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.types import TimestamptzType

from compaction.ahead import ahead
from compaction.lake_table import history
from compaction.runs import RUN_ID_PROPERTY as COMPACT_PROPERTY
from compaction.runs import Snapshot
from optimization.errors import RowsDeleted
from optimization.live import entries, refuse_deletes, without_statistics
from optimization.manifests import RUN_ID_PROPERTY as OPTIMIZE_PROPERTY
from reprocessing.errors import CannotUndo
from reprocessing.manifests import Plan
from reprocessing.request import Scope
from reprocessing.snapshots import RUN_ID_PROPERTY, UNDO_PROPERTY
from reprocessing.undo.origins import is_copy, origin
from sensors.times import iso_ms

_MACHINES = {
    COMPACT_PROPERTY: "run {} of compact",
    OPTIMIZE_PROPERTY: "run {} of optimize",
    RUN_ID_PROPERTY: "run {} of reprocess",
    UNDO_PROPERTY: "the undo of run {}",
}


class Swap(NamedTuple):
    """Entries of the files that a run has added, and of those that it has removed."""

    added: list[DataFile]
    removed: list[DataFile]


def swap_of(table: Table, snapshot: Snapshot, plan: Plan) -> Swap:
    """What the run has added and removed. Raises CannotUndo when it cannot be brought back."""
    swap = Swap([], [])
    for entry in _changes(table, snapshot.snapshot_id):
        if entry.status == ManifestEntryStatus.ADDED:
            swap.added.append(entry.data_file)
        elif entry.status == ManifestEntryStatus.DELETED:
            swap.removed.append(entry.data_file)
    before = snapshot.parent_snapshot_id  # an expiry may have taken it from the metadata with the snapshot
    if swap.removed and (before is None or table.snapshot_by_id(before) is None):
        raise CannotUndo(
            f"The snapshot before run {plan.run_id} has expired, so that its files may be gone. {instead(plan)}"
        )
    if any(file.spec_id != table.spec().spec_id for file in swap.removed):
        raise CannotUndo(
            f"The table was partitioned otherwise before run {plan.run_id}, so its files do not fit it any more. "
            f"{instead(plan)}"
        )
    return swap


def _changes(table: Table, snapshot_id: int) -> Iterator[ManifestEntry]:
    """What a snapshot has added and removed."""
    snapshot = table.snapshot_by_id(snapshot_id)
    manifests = snapshot.manifests(table.io) if snapshot else []
    own = [manifest for manifest in manifests if manifest.added_snapshot_id == snapshot_id]
    for _, found in ahead(lambda manifest: manifest.fetch_manifest_entry(table.io, discard_deleted=False), own):
        yield from (entry for entry in found if entry.snapshot_id == snapshot_id)


def standing_for(table: Table, snapshot: Snapshot, swap: Swap, plan: Plan) -> list[DataFile]:
    """The table's files that are those that the run has added, or copies of them.

    Raises CannotUndo when one of them is missing, or the range has changed since the run.
    """
    added = {origin(file.file_path): file.file_path for file in swap.added}
    standing: dict[str, DataFile] = {}
    copied: dict[str, ManifestEntry] = {}
    deletes: list[DataFile] = []
    bounds = _Bounds(table)
    for entry in entries(table):
        file = entry.data_file
        if file.content != DataFileContent.DATA:
            deletes.append(file)
        elif (name := origin(file.file_path)) in added:
            standing[name] = without_statistics(file)
        elif (entry.sequence_number or 0) > snapshot.sequence_number and bounds.may_meet(plan.request.scope, file):
            if not is_copy(file.file_path):
                raise _added(table, entry, plan)
            copied[name] = entry
    for entry in entries(table, snapshot.snapshot_id) if copied else ():
        copied.pop(origin(entry.data_file.file_path), None)  # it was there when the run was published
    for entry in copied.values():
        raise _added(table, entry, plan)
    if gone := sorted(added[name] for name in added.keys() - standing.keys()):
        remover = _remover(table, snapshot, origin(gone[0]))
        raise CannotUndo(
            f"{len(gone)} file(s) of run {plan.run_id} are no files of the table any more, for example {gone[0]}: "
            f"{_told(table, remover)} has taken it out. {_instead(table, remover, plan)}"
        )
    try:
        refuse_deletes({file.file_path: file for file in (*standing.values(), *swap.removed)}, deletes)
    except RowsDeleted as error:
        raise CannotUndo(f"Rows were deleted since run {plan.run_id}, and would come back: {error}") from None
    return list(standing.values())


def _added(table: Table, entry: ManifestEntry, plan: Plan) -> CannotUndo:
    """Why a run cannot be undone after which a file has come."""
    return CannotUndo(
        f"{_told(table, entry.snapshot_id)} has since added rows to the range of run {plan.run_id}, for example "
        f"{entry.data_file.file_path}. {_instead(table, entry.snapshot_id, plan)}"
    )


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
        return None if bound is None else cast(int, from_bytes(TimestamptzType(), bound)) // 1000


def _remover(table: Table, since: Snapshot, name: str) -> int | None:
    """The last snapshot that has removed the file of this origin, one of those after another."""
    for one in history(table):
        if one.sequence_number <= since.sequence_number:
            return None
        if any(
            entry.status == ManifestEntryStatus.DELETED and origin(entry.data_file.file_path) == name
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


def _instead(table: Table, snapshot_id: int | None, plan: Plan) -> str:
    """What to do where a snapshot is in the way: of a run of `reprocess`, to undo that first."""
    run_id = next((one.summary.get(RUN_ID_PROPERTY) for one in history(table) if one.snapshot_id == snapshot_id), None)
    return instead(plan, f"Undo run {run_id} first, then this one. Or, to") if run_id else instead(plan)


def instead(plan: Plan, begins: str = "To") -> str:
    """What to do where a run cannot be undone; what there is beside this comes before it."""
    scope = plan.request.scope
    return (
        f"{begins} have the readings as they were, deploy the settings from before the run, and reprocess from "
        f"{iso_ms(scope.start_ms)} to {iso_ms(scope.end_ms)}."
    )
