"""Which files are merged together: those of a partition that have keys in common."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from compaction.arrange import PARTITION_MS, PartitionBy
from compaction.manifests import FileResult
from optimization.choosing import Placed
from optimization.inventory import Span
from optimization.manifests import Key, SourceFile
from optimization.ranges import components
from reprocessing.merge_manifests import MergeGroup

_HOURS_A_DAY: Final = 24

Role = Literal["old", "staged", "hot"]


class Part(NamedTuple):
    """A file of a group. `sequence` is the number of the commit that a file of the table came with."""

    span: Span
    role: Role
    file: SourceFile
    first: Key
    last: Key
    sequence: int = 0


class Together(NamedTuple):
    """Files that are merged: those of the table in order of commit, the others in that of the tasks that made them."""

    partition: str
    parts: Sequence[Part]

    def of(self, role: Role) -> tuple[SourceFile, ...]:
        """The files of a role."""
        return tuple(part.file for part in self.parts if part.role == role)

    @property
    def bytes(self) -> int:
        """Of what a step has on its disk: rows from before and those that come out, or those for the hot table."""
        merged, hot = (*self.of("old"), *self.of("staged")), self.of("hot")
        return max(sum(file.bytes for file in merged), sum(file.bytes for file in hot))

    @property
    def distinct(self) -> list[SourceFile]:
        """Each file once, in order of key."""
        files = {part.file.key: part.file for part in sorted(self.parts, key=lambda part: (part.first, part.file.key))}
        return list(files.values())

    def group(self, metrics: tuple[str, ...], *, replaces: bool, kept_sources: Iterable[str]) -> MergeGroup:
        """What tasks read of it."""
        return MergeGroup(
            partition=self.partition,
            old=self.of("old"),
            staged=self.of("staged"),
            hot=self.of("hot"),
            metrics=metrics,
            replaces=replaces,
            kept_sources=tuple(sorted(kept_sources)),
        )


def old_part(span: Span, placed: Placed, file: SourceFile) -> Part:
    """A file of the table."""
    return Part(span, "old", file, placed.first, placed.last, placed.file.sequence)


def new_part(role: Role, file: FileResult, partition_by: PartitionBy) -> Part:
    """A file that was staged, which is of one partition."""
    first = (file.first_device_id, file.first_measured_at_ms)
    last = (file.last_device_id, file.last_measured_at_ms)
    source = SourceFile(file.key, file.rows, file.bytes, file.key_checksum, first, last)
    span = Span(file.first_measured_at_ms // PARTITION_MS[partition_by], partition_by)
    return Part(span, role, source, first, last)


class Meeting:
    """The keys of staged files, to ask whether a file of the table may have one of them."""

    def __init__(self, parts: Iterable[Part], partition_by: PartitionBy) -> None:
        self._partition_by = partition_by
        by_span: dict[Span, list[Part]] = defaultdict(list)
        for part in parts:
            if part.role == "staged":
                for span in {part.span, _day(part.span)}:
                    by_span[span].append(part)
        self._ranges: dict[Span, Sequence[tuple[Key, Key]]] = {
            span: [(run[0].first, max(part.last for part in run)) for run in components(held)]
            for span, held in by_span.items()
        }

    def has(self, span: Span, placed: Placed) -> bool:
        """Whether a staged reading of the time may have a key of the file's."""
        ranges = self._ranges.get(_day(span) if self._partition_by == "day" else span, ())
        return any(first <= placed.last and placed.first <= last for first, last in ranges)


def together(parts: Iterable[Part], partition_by: PartitionBy) -> Iterator[Together]:
    """The groups, the oldest partition first, in it in order of key.

    Partitions are those of today's settings. Where a file of the table has a whole day and partitions are hours now,
    the day is one: its rows go to all of them.
    """
    held = list(parts)
    days = {part.span for part in held if part.role == "old" and part.span.by == "day"}
    by_span: dict[Span, list[Part]] = defaultdict(list)
    for part in held:
        by_span[_day(part.span) if partition_by == "day" or _day(part.span) in days else part.span].append(part)
    for span in sorted(by_span, key=lambda span: (span.start_ms, span.by)):
        in_order = sorted(by_span[span], key=lambda part: (part.sequence, part.file.key))
        for run in components(in_order):
            yield Together(span.name, sorted(run, key=lambda part: (part.sequence, part.file.key)))


def _day(span: Span) -> Span:
    return Span(span.ordinal // _HOURS_A_DAY, "day") if span.by == "hour" else span
