"""What a commit that replaces files of the table looks at: those it takes out, as they are now, and the new ones."""

from collections.abc import Iterable, Iterator, Mapping

from pyiceberg.manifest import DataFile, DataFileContent, ManifestEntry
from pyiceberg.table import Table

from compaction.ahead import ahead
from compaction.arrange import PartitionBy
from compaction.errors import CountsDoNotBalance, FileMismatch
from compaction.manifests import FileResult
from optimization.errors import FilesReplaced, RowsDeleted
from optimization.manifests import SourceFile


def live_files(table: Table, location: str, sources: Iterable[SourceFile]) -> list[DataFile]:
    """The table's entries of these files, all there with their rows, and none of these deleted one by one.

    `location` is what stands before a file's key. Raises FilesReplaced, CountsDoNotBalance or RowsDeleted.
    """
    planned = {location + file.key: file for file in sources}
    found: dict[str, DataFile] = {}
    deletes: list[DataFile] = []
    for entry in entries(table):
        file = entry.data_file
        if file.content != DataFileContent.DATA:
            deletes.append(file)
        elif file.file_path in planned:
            found[file.file_path] = without_statistics(file)
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
    refuse_deletes(found, deletes)
    return list(found.values())


def entries(table: Table, snapshot_id: int | None = None) -> Iterator[ManifestEntry]:
    """What is live in a snapshot, the current one unless it is named: data files, and files of row-level deletes."""
    snapshot = table.current_snapshot() if snapshot_id is None else table.snapshot_by_id(snapshot_id)
    manifests = snapshot.manifests(table.io) if snapshot else []
    for _, found in ahead(lambda manifest: manifest.fetch_manifest_entry(table.io), manifests):
        yield from found


def without_statistics(file: DataFile) -> DataFile:
    """What names a file and counts it; the rest are kilobytes, of as many files as a run may have."""
    names = ("content", "file_path", "file_format", "partition", "record_count", "file_size_in_bytes")
    named = DataFile.from_args(**{name: getattr(file, name) for name in names})
    named.spec_id = file.spec_id
    return named


def refuse_deletes(files: Mapping[str, DataFile], deletes: Iterable[DataFile]) -> None:
    """Raise RowsDeleted when rows were deleted one by one in the partitions of these files, given by location.

    They would come back: the new files have them, and what deletes them names the old ones' partition.
    """
    partitions = {(file.spec_id, file.partition): path for path, file in files.items()}
    for file in deletes:
        path = partitions.get((file.spec_id, file.partition))
        if path is not None or not len(file.partition):
            raise RowsDeleted(
                f"{file.file_path} deletes rows where the run has rewritten {path or 'files'}. Start a new run."
            )


def refuse_partitioning(files: Iterable[FileResult], partition_by: PartitionBy) -> None:
    """Raise FileMismatch when new files are not of the settings' partitioning.

    The settings may have changed since: then a file may be of several partitions, or of part of one.
    """
    other = next((file for file in files if not file.partition.startswith(f"measured_at_{partition_by}=")), None)
    if other is not None:
        raise FileMismatch(
            f"{other.key} was written for another partitioning than the settings ask for, which is by {partition_by}. "
            "Start a new run."
        )
