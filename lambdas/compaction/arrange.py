"""Order, duplicates and partitions of a task's rows."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from compaction.columns import TIMESTAMP, table_schema

PartitionBy = Literal["day", "hour"]

_PARTITION_MS = {"day": 86_400_000, "hour": 3_600_000}
_PARTITION_NAME = {"day": "measured_at_day={:%Y-%m-%d}", "hour": "measured_at_hour={:%Y-%m-%d-%H}"}


class Arranged:
    """The rows of a task without duplicates, by partition of `measured_at`, sorted by device and time in each.

    Of rows with equal device and time the last received stays; of those received in the same millisecond, the one
    added last. It is the rule of `sensors.dedupe`, on columns.
    """

    def __init__(self, rows: pa.Table, partition_by: PartitionBy) -> None:
        self._rows = rows
        self._partition_by = partition_by
        keys = _sort_keys(rows, _PARTITION_MS[partition_by])
        order = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names])
        self._order = order.filter(_last_of_each(keys, order))
        self._partitions = keys["partition"].combine_chunks().take(self._order)

    @property
    def kept(self) -> pa.Table:
        """What is counted of the rows that stay: `source`, `late`, `ignored_fields`."""
        return self._rows.select(["source", "late", "ignored_fields"]).take(self._order)

    def partitions(self, metrics: Sequence[str], sources: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
        """Each partition's name and its rows, with the columns of the Iceberg table but for dictionaries.

        `sources` are the names behind the numbers in the column `source`.
        """
        start = 0
        for entry in pc.value_counts(self._partitions).to_pylist():  # in order of appearance, which is ascending
            rows = self._rows.take(self._order.slice(start, entry["counts"]))
            yield _name(entry["values"], self._partition_by), _as_table(rows, metrics, sources)
            start += entry["counts"]


def _sort_keys(rows: pa.Table, partition_ms: int) -> pa.Table:
    measured_at = rows["measured_at"].combine_chunks()
    return pa.table(
        {
            "partition": pc.divide(measured_at, partition_ms),  # no time is before 1970
            "device": _ranks(rows["device_id"].combine_chunks()),
            "measured_at": measured_at,
            "received_at": rows["received_at"],
        }
    )


def _ranks(devices: pa.DictionaryArray) -> pa.Array:
    """A number for each row that sorts as its text does: comparing numbers is what makes sorting cheap."""
    by_name = pc.array_sort_indices(devices.dictionary)
    return pc.array_sort_indices(by_name).take(devices.indices)


def _last_of_each(keys: pa.Table, order: pa.Array) -> pa.Array:
    device = keys["device"].combine_chunks().take(order)
    measured_at = keys["measured_at"].combine_chunks().take(order)
    differs = pc.or_(pc.not_equal(device[:-1], device[1:]), pc.not_equal(measured_at[:-1], measured_at[1:]))
    return pa.concat_arrays([differs, pa.array([True] * min(len(order), 1), pa.bool_())])


def _as_table(rows: pa.Table, metrics: Sequence[str], sources: Sequence[str]) -> pa.Table:
    schema = table_schema(metrics)
    columns: dict[str, Any] = {name: rows[name] for name in schema.names if name in rows.column_names}
    for name in ("measured_at", "received_at"):
        columns[name] = pc.multiply(rows[name], 1000).cast(TIMESTAMP)
    columns["source_object"] = pa.DictionaryArray.from_arrays(rows["source"].combine_chunks(), pa.array(sources))
    fields = [field.with_type(columns[field.name].type) for field in schema]  # dictionaries stay dictionaries
    return pa.table({name: columns[name] for name in schema.names}, schema=pa.schema(fields))


def _name(ordinal: int, partition_by: PartitionBy) -> str:
    moment = datetime.fromtimestamp(ordinal * _PARTITION_MS[partition_by] / 1000, UTC)
    return _PARTITION_NAME[partition_by].format(moment)
