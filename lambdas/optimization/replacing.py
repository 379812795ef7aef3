"""The commit of a run: everything checked first, then one Iceberg snapshot that has the new files for the old."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec
from pyiceberg.manifest import DataFile, DataFileContent, ManifestEntry
from pyiceberg.table import Table

from compaction.age import refuse_old
from compaction.ahead import ahead
from compaction.committing import commit
from compaction.errors import CountsDoNotBalance, FileMismatch, ResultMissing
from compaction.footers import verify_footers
from compaction.lake_table import LakeTable, snapshot_of
from compaction.store import Store
from optimization.checking import Replacement, verify_results
from optimization.errors import FilesReplaced, RowsDeleted
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
        self._refuse_partitioning(replacement)
        replaced = _live(table, location, replacement)
        verify_footers(table.io, location, replacement.files)
        return self._table.replace(
            table, replaced, [location + file.key for file in replacement.files], _properties(run_id, answer)
        )

    def _refuse_partitioning(self, replacement: Replacement) -> None:
        """The settings may have changed since: then a file may be of several partitions, or of part of one."""
        folder = f"measured_at_{self._table.partition_by}="
        other = next((file for file in replacement.files if not file.partition.startswith(folder)), None)
        if other is not None:
            raise FileMismatch(
                f"{other.key} was written for another partitioning than the settings ask for, which is by "
                f"{self._table.partition_by}. Start a new run."
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


def _live(table: Table, location: str, replacement: Replacement) -> list[DataFile]:
    """The files of the table that are replaced, all there with their rows, and none of these deleted one by one.

    Raises FilesReplaced, CountsDoNotBalance or RowsDeleted.
    """
    planned = {location + file.key: file for file in replacement.sources}
    found: dict[str, DataFile] = {}
    deletes: list[DataFile] = []
    for entry in _entries(table):
        file = entry.data_file
        if file.content != DataFileContent.DATA:
            deletes.append(file)
        elif file.file_path in planned:
            found[file.file_path] = _without_statistics(file)
    if gone := sorted(planned.keys() - found.keys()):
        raise FilesReplaced(
            f"{len(gone)} file(s) that the run has rewritten are no files of the table any more, they were replaced or "
            f"deleted meanwhile, for example {gone[0]}. Start a new run."
        )
    for path, file in found.items():
        if file.record_count != planned[path].rows:
            raise CountsDoNotBalance(
                f"{path} has {file.record_count} rows in the table, planned were {planned[path].rows}. "
                "Nothing is published; keep the run's manifests and report this."
            )
    _refuse_deletes(found, deletes)
    return list(found.values())


def _without_statistics(file: DataFile) -> DataFile:
    """What names a file and counts it; the rest are kilobytes, of as many files as a run may have."""
    names = ("content", "file_path", "file_format", "partition", "record_count", "file_size_in_bytes")
    named = DataFile.from_args(**{name: getattr(file, name) for name in names})
    named.spec_id = file.spec_id
    return named


def _refuse_deletes(files: dict[str, DataFile], deletes: list[DataFile]) -> None:
    """Deleted rows would come back: the new files have them, and what deletes them names the old ones' partition."""
    partitions = {(file.spec_id, file.partition): path for path, file in files.items()}
    for file in deletes:
        path = partitions.get((file.spec_id, file.partition))
        if path is not None or not len(file.partition):
            raise RowsDeleted(
                f"{file.file_path} deletes rows where the run has rewritten {path or 'files'}. Start a new run."
            )


def _entries(table: Table) -> Iterator[ManifestEntry]:
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io) if snapshot else []
    for _, entries in ahead(lambda manifest: manifest.fetch_manifest_entry(table.io), manifests):
        yield from entries
