"""The values of metrics by name: in a column of their own or in `other_metrics`, which mean the same."""

from collections.abc import Collection
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc


class Entries(NamedTuple):
    """Entries of `other_metrics`, one after the other: number of the row, metric, value."""

    rows: pa.Int64Array
    metrics: pa.StringArray
    values: pa.DoubleArray


class Values:
    """The values of some readings (`optimization.reading.rows_schema`)."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self.others: pa.MapArray = rows["other_metrics"].combine_chunks()
        held = self.others.null_count < len(self.others)
        self._names = frozenset(pc.unique(self.others.keys).to_pylist()) if held else frozenset[str]()

    def of(self, metric: str) -> pa.DoubleArray:
        """One value a reading, null where it has none."""
        own = self._rows[metric].combine_chunks() if metric in self._rows.column_names else None
        if own is not None and metric not in self._names:
            return own
        found = pc.map_lookup(self.others, query_key=metric, occurrence="first")
        return found if own is None else pc.coalesce(own, found)

    def entries(self, without: Collection[str]) -> Entries:
        """What `other_metrics` hold beside the metrics without which they are asked for."""
        others = self.others
        lists = [pa.ListArray.from_arrays(others.offsets, held) for held in (others.keys, others.items)]
        rows = pc.list_parent_indices(lists[0])
        held = Entries(rows, *map(pc.list_flatten, lists))
        if not self._names.isdisjoint(without):
            held = _filter(held, pc.invert(pc.is_in(held.metrics, pa.array([*without], pa.string()))))
        # an entry of a row without a map: the format lets it be
        return _filter(held, pc.is_valid(others).take(held.rows)) if others.null_count else held


def _filter(held: Entries, mask: pa.BooleanArray) -> Entries:
    return Entries(*(column.filter(mask) for column in held))
