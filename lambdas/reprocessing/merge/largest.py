"""Sums by device of which the largest are kept: of a list that is long everywhere, what a manifest takes."""

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc


class Largest:
    """Sums of numbers by device and another key, from rows that come in order of device.

    Keeps the `most` with the largest sum of the first number, of equal ones the first by device and key. `left_out` is
    called with the others, each once and complete.
    """

    def __init__(
        self, most: int, key: str, numbers: Sequence[str], left_out: Callable[[pa.Table], None] | None = None
    ) -> None:
        self._most = most
        self._left_out = left_out
        self._keys = ["device_id", key]
        self._numbers = list(numbers)
        fields = [*((name, pa.string()) for name in self._keys), *((name, pa.int64()) for name in numbers)]
        self._kept = self._growing = pa.schema(fields).empty_table()

    def add(self, rows: pa.Table) -> None:
        """Take up some rows: device and key as text, numbers; no device comes before the last one of earlier calls."""
        if not rows.num_rows:
            return
        sums = self._sum(pa.concat_tables([self._growing, rows.select(self._growing.column_names)]))
        last = pc.equal(sums["device_id"], pc.max(sums["device_id"]))
        self._growing = sums.filter(last)
        self._keep(sums.filter(pc.invert(last)))

    def finish(self) -> pa.Table:
        """What is kept, in order of device and key."""
        self._keep(self._growing)
        self._growing = self._growing.slice(0, 0)
        return self._kept.sort_by([(name, "ascending") for name in self._keys])

    def _keep(self, sums: pa.Table) -> None:
        self._kept = pa.concat_tables([self._kept, sums])
        if self._kept.num_rows > self._most:
            by = [(self._numbers[0], "descending"), *((name, "ascending") for name in self._keys)]
            ordered = self._kept.sort_by(by)
            self._kept = ordered.slice(0, self._most).combine_chunks()
            if self._left_out:
                self._left_out(ordered.slice(self._most))

    def _sum(self, rows: pa.Table) -> pa.Table:
        grouped = rows.group_by(self._keys, use_threads=False).aggregate([(name, "sum") for name in self._numbers])
        return grouped.rename_columns(self._growing.column_names)
