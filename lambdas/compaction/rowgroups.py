"""Where one row group ends and the next begins: a matter of the rows alone, however they are cut when they come."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

ROWS = 131_072
"""Of a row group at most: a device's hours lie close together, so readers skip the groups of other devices."""

BYTES = 48_000_000
"""Of a row group's rows in memory, and one row: so that rows of thousands of bytes do not fill it."""


class RowGroups:
    """Collects rows of one file."""

    def __init__(self) -> None:
        self._held: list[pa.Table] = []
        self._rows = 0
        self._bytes = 0

    def add(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Take up rows, one chunk a column; the row groups that are complete come out."""
        sizes = pc.cumulative_sum(row_bytes(rows))
        while rows.num_rows:
            total = sizes[-1].as_py()
            if self._rows + rows.num_rows < ROWS and self._bytes + total < BYTES:
                self._hold(rows, total)
                return
            full = pc.sum(pc.less(sizes, BYTES - self._bytes)).as_py() + 1  # the row that makes it full belongs to it
            count = min(ROWS - self._rows, full, rows.num_rows)
            taken = sizes[count - 1].as_py()
            self._hold(rows.slice(0, count), taken)
            rows, sizes = rows.slice(count), pc.subtract(sizes.slice(count), taken)
            yield from self.rest()

    def rest(self) -> Iterator[pa.Table]:
        """What is held, if anything."""
        if self._held:
            held, self._held, self._rows, self._bytes = self._held, [], 0, 0
            yield pa.concat_tables(held).combine_chunks()

    def _hold(self, rows: pa.Table, size: int) -> None:
        self._held.append(rows)
        self._rows += rows.num_rows
        self._bytes += size


def row_bytes(rows: pa.Table) -> pa.Int64Array:
    """Bytes of each row: eight a column, and its texts."""
    sizes = pa.repeat(pa.scalar(8 * rows.num_columns, pa.int64()), rows.num_rows)
    for name in (field.name for field in rows.schema if pa.types.is_string(field.type)):
        lengths = pc.binary_length(rows[name].combine_chunks())
        sizes = pc.add(sizes, pc.fill_null(lengths, 0).cast(pa.int64()))
    others = rows["other_metrics"].combine_chunks()
    if others.null_count < len(others):
        lengths = pc.add(pc.binary_length(others.keys).cast(pa.int64()), 16)
        ends = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)]).take(others.offsets)
        sizes = pc.add(sizes, pc.subtract(ends[1:], ends[:-1]))
    return sizes
