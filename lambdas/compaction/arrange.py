"""Order, duplicates and partitions of rows."""

from datetime import UTC, datetime
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

PartitionBy = Literal["day", "hour"]

PARTITION_MS = {"day": 86_400_000, "hour": 3_600_000}
_PARTITION_NAME = {"day": "measured_at_day={:%Y-%m-%d}", "hour": "measured_at_hour={:%Y-%m-%d-%H}"}


class Arranged(NamedTuple):
    """Rows by partition, device and time, without duplicates; and the duplicates left out."""

    rows: pa.Table
    duplicates: pa.Table


def arrange(rows: pa.Table, partition_ms: int) -> Arranged:
    """Sort rows by partition and key, and leave out duplicates; times are in milliseconds (see `columns.rows_schema`).

    Of rows with equal device and time the last received stays; of those received in the same millisecond, the one of
    the last `source_object`; of those of one object, or where rows have no such column, the last in the order given. It
    is the rule of `sensors.dedupe`, on columns.
    """
    rows = rows.combine_chunks()
    keys = _sort_keys(rows, partition_ms)
    order = _sorted(keys)
    stays = _last_of_each(keys, order)
    if pc.all(stays, min_count=0).as_py():
        return Arranged(rows.take(order), rows.slice(0, 0))
    if "source_object" in rows.column_names:
        order = _by_source(rows, keys, order, stays)
    return Arranged(rows.take(order.filter(stays)), rows.take(order.filter(pc.invert(stays))))


def partition_name(ordinal: int, partition_by: PartitionBy) -> str:
    """The folder of the rows whose `measured_at` divided by the partition's length is `ordinal`."""
    moment = datetime.fromtimestamp(ordinal * PARTITION_MS[partition_by] / 1000, UTC)
    return _PARTITION_NAME[partition_by].format(moment)


def _sort_keys(rows: pa.Table, partition_ms: int) -> pa.Table:
    measured_at = rows["measured_at"].combine_chunks()
    partition = pc.divide(measured_at, partition_ms)  # no time is before 1970
    rank = _ranks(rows["device_id"].combine_chunks())
    return pa.table(
        {
            "place": pc.bit_wise_or(pc.shift_left(partition, 31), rank),  # no table here has 2³¹ rows
            "measured_at": measured_at,
            "received_at": rows["received_at"],
        }
    )


def _ranks(names: pa.StringArray) -> pa.Int64Array:
    """A number for each row that sorts as its text does: comparing numbers is what makes sorting cheap."""
    encoded = names.dictionary_encode()
    by_name = pc.array_sort_indices(encoded.dictionary)
    return pc.array_sort_indices(by_name).cast(pa.int64()).take(encoded.indices)


def _sorted(keys: pa.Table) -> pa.Array:
    return pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names])  # keeps the order of equals


def _by_source(rows: pa.Table, keys: pa.Table, order: pa.Array, stays: pa.BooleanArray) -> pa.Array:
    """The order with rows that share a key sorted by their source too, in the places that they have together."""
    follows = pa.concat_arrays([pa.array([False]), pc.invert(stays[:-1])])
    shares = pc.or_(pc.invert(stays), follows)
    sharing = order.filter(shares)
    sources = _ranks(rows["source_object"].combine_chunks().take(sharing))
    resorted = sharing.take(_sorted(keys.take(sharing).append_column("source", sources)))
    return pc.replace_with_mask(order, shares, resorted)


def _last_of_each(keys: pa.Table, order: pa.Array) -> pa.BooleanArray:
    place = keys["place"].combine_chunks().take(order)
    measured_at = keys["measured_at"].combine_chunks().take(order)
    differs = pc.or_(pc.not_equal(place[:-1], place[1:]), pc.not_equal(measured_at[:-1], measured_at[1:]))
    return pa.concat_arrays([differs, pa.array([True] * min(len(order), 1), pa.bool_())])
