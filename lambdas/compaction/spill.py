"""Rows of any number in bounded memory: sorted runs on the function's disk, merged as they are read back."""

import bisect
from collections.abc import Callable, Iterable, Iterator
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
        """Up to the smallest last key of what is loaded, all rows are at hand: these are arranged, and more loaded."""
        runs = [_Run(path, self._partition_ms) for path in paths]
        while loaded := [run for run in runs if run.rows is not None]:
            bound = min(run.last for run in loaded)
            yield self._arrange(pa.concat_tables([run.take_to(bound) for run in loaded]))
        for path in paths:
            path.unlink()


def _batches(rows: pa.Table) -> Iterator[pa.Table]:
    """The rows in pieces of about _BATCH_BYTES, though some of them are a thousand times as long as others."""
    number = pc.divide(pc.cumulative_sum(row_bytes(rows)), _BATCH_BYTES)
    start = 0
    for entry in pc.value_counts(number).to_pylist():  # in order of appearance, which is ascending
        yield rows.slice(start, entry["counts"])
        start += entry["counts"]


class _Run:
    """One sorted run, of which a batch at a time is loaded."""

    def __init__(self, path: Path, partition_ms: int) -> None:
        self._partition_ms = partition_ms
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        self._next = 0
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
        self.rows = None
        if self._next < self._reader.num_record_batches:
            self.rows = self._reader.get_batch(self._next)
            self.last = self._key(self.rows, self.rows.num_rows - 1)
            self._next += 1

    def _key(self, rows: pa.RecordBatch, number: int) -> Key:
        measured_at = rows["measured_at"][number].as_py()
        return measured_at // self._partition_ms, rows["device_id"][number].as_py(), measured_at
