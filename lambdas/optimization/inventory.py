"""What is in the table as it is now: the data files that are alive, by the day or hour of `measured_at` they belong to.

Manifests are read side by side, an entry at a time; of each file only what the plan needs is kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Final, NamedTuple

from pyiceberg.avro.file import AvroFile
from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DEFAULT_READ_VERSION,
    MANIFEST_ENTRY_SCHEMAS,
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
)
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform, HourTransform

from compaction.ahead import ahead
from compaction.arrange import PARTITION_MS, PartitionBy, partition_name

_HOURS_A_DAY: Final = 24
_YEAR_10000_MS: Final = 253_402_300_800_000


class Span(NamedTuple):
    """A day or an hour of `measured_at`: `ordinal` is its number since 1970."""

    ordinal: int
    by: PartitionBy

    @property
    def name(self) -> str:
        """The folder of its files."""
        return partition_name(self.ordinal, self.by)

    @property
    def start_ms(self) -> int:
        """When it begins, in epoch milliseconds."""
        return self.ordinal * PARTITION_MS[self.by]

    @property
    def is_rewritable(self) -> bool:
        """Whether its rows can be sorted (`compaction.arrange`), none from before 1970 can, and its folder named."""
        return 0 <= self.start_ms < _YEAR_10000_MS

    def within(self, start: datetime | None, end: datetime | None) -> bool:
        """Whether any of it is between two times, of which None is no bound."""
        end_ms = self.start_ms + PARTITION_MS[self.by]
        return (start is None or end_ms > start.timestamp() * 1000) and (
            end is None or self.start_ms < end.timestamp() * 1000
        )


class LiveFile(NamedTuple):
    """A data file of the table.

    `path` is its location, `sequence` the number of the commit that its rows came with, `is_current` whether it has the
    table's partitioning of today.
    """

    path: str
    rows: int
    bytes: int
    sequence: int
    is_current: bool


class Inventory(NamedTuple):
    """Data files by span; spans of which rows were deleted one by one; files that cannot be rewritten."""

    files: Mapping[Span, list[LiveFile]]
    with_deletes: frozenset[Span]
    aliens: list[LiveFile]


class _Entry(NamedTuple):
    """A manifest entry; `file` None stands for row-level deletes, `span` None for a partitioning not by time."""

    span: Span | None
    file: LiveFile | None
    is_ours: bool = True


def inventory(table: Table, location: str, start: datetime | None, end: datetime | None) -> Inventory:
    """The files of the current snapshot in the partitions that have any time between two, of which None is no bound.

    A file of an older partitioning is found under the current partition that holds all of it; where there is none,
    since the table's partitions were days and are hours now, under its own. Files in another format, of a partitioning
    that is not by time, of a time before 1970 or after 9999, or elsewhere than below `location` are aliens. Row-level
    deletes of a partitioning that is not by time may mean any row: all files are as good as alien then.
    """
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io) if snapshot else []
    spans = _Spans(table)
    files: dict[Span, list[LiveFile]] = defaultdict(list)
    with_deletes: set[Span] = set()
    aliens: list[LiveFile] = []
    deletes_anywhere = False
    for _, entries in ahead(lambda manifest: list(_entries(table.io, manifest, spans, location)), manifests):
        for span, file, is_ours in entries:
            if file is None:
                with_deletes.update([span] if span else [])
                deletes_anywhere |= span is None
            elif span is None or span.within(start, end):
                (files[span] if span and is_ours else aliens).append(file)
    if deletes_anywhere:
        return Inventory({}, frozenset(), [*aliens, *chain.from_iterable(files.values())])
    return Inventory(files, frozenset(with_deletes), aliens)


class _Spans:
    """Which span a partition of the table's specs is; None where a spec is not by day or hour of `measured_at`."""

    def __init__(self, table: Table) -> None:
        measured_at = table.schema().find_field("measured_at").field_id
        self._by: dict[int, PartitionBy] = {}
        for number, spec in table.specs().items():
            match [(field.source_id, field.transform) for field in spec.fields]:
                case [(source, DayTransform())] if source == measured_at:
                    self._by[number] = "day"
                case [(source, HourTransform())] if source == measured_at:
                    self._by[number] = "hour"
        self.current = table.spec().spec_id

    def span(self, spec_id: int, file: DataFile) -> Span | None:
        by = self._by.get(spec_id)
        if by is None or file.partition[0] is None:
            return None
        if by == "hour" and self._by.get(self.current) == "day":
            return Span(file.partition[0] // _HOURS_A_DAY, "day")
        return Span(file.partition[0], by)


def _entries(io: FileIO, manifest: ManifestFile, spans: _Spans, location: str) -> Iterator[_Entry]:
    """The live entries of a manifest; what an entry inherits from it is said in Iceberg's specification, section
    "Manifest Inheritance".
    """
    with AvroFile[ManifestEntry](
        io.new_input(manifest.manifest_path),
        MANIFEST_ENTRY_SCHEMAS[DEFAULT_READ_VERSION],
        read_types={-1: ManifestEntry, 2: DataFile},
        read_enums={0: ManifestEntryStatus, 101: FileFormat, 134: DataFileContent},
    ) as entries:
        for entry in entries:
            if entry.status == ManifestEntryStatus.DELETED:
                continue
            found = entry.data_file
            span = spans.span(manifest.partition_spec_id, found)
            if found.content != DataFileContent.DATA:
                yield _Entry(span, None)
                continue
            sequence = entry.sequence_number
            file = LiveFile(
                path=found.file_path,
                rows=found.record_count,
                bytes=found.file_size_in_bytes,
                sequence=manifest.sequence_number if sequence is None else sequence,
                is_current=manifest.partition_spec_id == spans.current,
            )
            is_ours = found.file_format == FileFormat.PARQUET and found.file_path.startswith(location)
            yield _Entry(span, file, is_ours and span is not None and span.is_rewritable)
