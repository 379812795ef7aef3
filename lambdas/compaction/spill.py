"""Rows of any number in bounded memory: sorted runs on the function's disk, merged as they are read back."""

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from compaction.arrange import arrange
from compaction.rowgroups import row_bytes

RUN_BYTES = 40_000_000
"""Of Arrow data that is sorted at once; sorting holds it three times."""

_MOST_RUNS = 24  # read side by side, a batch of each in memory; with more, these become one
_BATCH_BYTES = 2_000_000

ALL_TIMES_MS = 2**62
"""The length of a partition that has them all: rows are then in order of key, whatever their times."""

Key = tuple[int, str, int]


class SortedRuns:
    """Takes rows in the order in which they were received and gives them back arranged (see `arrange`).

    `left_out` is called with the duplicates, some at a time; with the last of them before `drain` ends.
    """

    def __init__(self, folder: Path, partition_ms: int, left_out: Callable[[pa.Table], None]) -> None:
        self._folder = folder
        self._partition_ms = partition_ms
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._paths: list[Path] = []
        self._written = 0
        self._left_out = left_out

    def add(self, rows: pa.RecordBatch) -> None:
        """Take up some rows. Raises OSError when the disk is full."""
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes >= RUN_BYTES:
            self._spill([self._arranged_here()])
            if len(self._paths) >= _MOST_RUNS:
                merged, self._paths = self._paths, []
                self._spill(self._merge(merged))

    def drain(self) -> Iterator[pa.Table]:
        """All rows, some at a time."""
        if not self._paths:
            if self._held:
                yield self._arranged_here()
            return
        if self._held:
            self._spill([self._arranged_here()])
        yield from self._merge(self._paths)

    def _arranged_here(self) -> pa.Table:
        rows = pa.Table.from_batches(self._held)
        self._held, self._held_bytes = [], 0
        return self._arrange(rows)

    def _arrange(self, rows: pa.Table) -> pa.Table:
        arranged = arrange(rows, self._partition_ms)
        if arranged.duplicates.num_rows:
            self._left_out(arranged.duplicates)
        return arranged.rows

    def _spill(self, pieces: Iterable[pa.Table]) -> None:
        path = self._folder / f"run-{self._written}.arrow"
        self._written += 1
        writer = None
        with pa.OSFile(str(path), "wb") as sink:
            for piece in pieces:
                writer = writer or pa.ipc.new_file(sink, piece.schema)
                for rows in _batches(piece):
                    writer.write_table(rows)
            if writer:
                writer.close()
        self._paths.append(path)

    def _merge(self, paths: list[Path]) -> Iterator[pa.Table]:
        for pieces in side_by_side([_read(path) for path in paths], self._partition_ms):
            yield self._arrange(pa.concat_tables([piece for piece in pieces if piece is not None]))
        for path in paths:
            path.unlink()


def _batches(rows: pa.Table) -> Iterator[pa.Table]:
    """The rows in pieces of about _BATCH_BYTES, though some of them are a thousand times as long as others."""
    number = pc.divide(pc.cumulative_sum(row_bytes(rows)), _BATCH_BYTES)
    start = 0
    for entry in pc.value_counts(number).to_pylist():  # in order of appearance, which is ascending
        yield rows.slice(start, entry["counts"])
        start += entry["counts"]


def side_by_side(streams: Sequence[Iterator[pa.RecordBatch]], partition_ms: int) -> Iterator[list[pa.Table | None]]:
    """Rows of several streams, each in order, cut at keys in common: what each has there, None where it is at its end.

    Up to the smallest last key of what is loaded, all rows are at hand: these come out, and more are loaded.
    """
    walks = [_Walk(stream, partition_ms) for stream in streams]
    while loaded := [walk for walk in walks if walk.rows is not None]:
        bound = min(walk.last for walk in loaded)
        yield [walk.take_to(bound) if walk.rows is not None else None for walk in walks]


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    reader = pa.ipc.open_file(pa.OSFile(str(path)))
    return (reader.get_batch(number) for number in range(reader.num_record_batches))


class _Walk:
    """A stream of rows in order, of which a batch at a time is loaded."""

    def __init__(self, batches: Iterator[pa.RecordBatch], partition_ms: int) -> None:
        self._partition_ms = partition_ms
        self._batches = batches
        self.rows: pa.RecordBatch | None = None
        self.last: Key = (0, "", 0)
        self._load()

    def take_to(self, bound: Key) -> pa.Table:
        """The rows up to and with this key, off what is loaded."""
        rows: Any = self.rows
        if self.last <= bound:
            self._load()
            return pa.Table.from_batches([rows])
        count = bisect.bisect_right(range(rows.num_rows), bound, key=lambda number: self._key(rows, number))
        self.rows = rows.slice(count)
        return pa.Table.from_batches([rows.slice(0, count)])

    def _load(self) -> None:
        self.rows = next((rows for rows in self._batches if rows.num_rows), None)
        if self.rows is not None:
            self.last = self._key(self.rows, self.rows.num_rows - 1)

    def _key(self, rows: pa.RecordBatch, number: int) -> Key:
        measured_at = rows["measured_at"][number].as_py()
        return measured_at // self._partition_ms, rows["device_id"][number].as_py(), measured_at
