"""Readings of before and after: which are on both sides, and the values and attributes in which these differ."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from reprocessing.merge.measured import Entries, Values
from sensors.reading import ATTRIBUTES

DEVICE = "_device"
"""The column with the place of a row's device among the names of both sides."""


class Matched(NamedTuple):
    """Readings of both sides, row by row the same on each; those of one side only; the names of all devices.

    `all_before` and `all_after` are what was given. All tables have the column `DEVICE`.
    """

    devices: pa.StringArray
    all_before: pa.Table
    all_after: pa.Table
    before: pa.Table
    after: pa.Table
    vanished: pa.Table
    added: pa.Table


def match(before: pa.Table, after: pa.Table) -> Matched:
    """Match two tables in order of key, each with each key once."""
    rows = before.num_rows
    devices = _encoded(before, after, "device_id")
    keys = pc.bit_wise_or(
        pc.shift_left(devices.indices.cast(pa.int64()), 32),
        _encoded(before, after, "measured_at").indices.cast(pa.int64()),
    )
    keys_before, keys_after = keys[:rows], keys[rows:]
    before = before.append_column(DEVICE, devices.indices[:rows])
    after = after.append_column(DEVICE, devices.indices[rows:])
    if keys_before.equals(keys_after):
        return Matched(devices.dictionary, before, after, before, after, before.slice(0, 0), after.slice(0, 0))
    stays, was = pc.is_in(keys_before, keys_after), pc.is_in(keys_after, keys_before)
    return Matched(
        devices.dictionary,
        before,
        after,
        before.filter(stays),  # in order of key on both sides, so that rows stand side by side
        after.filter(was),
        before.filter(pc.invert(stays)),
        after.filter(pc.invert(was)),
    )


def _encoded(before: pa.Table, after: pa.Table, column: str) -> pa.DictionaryArray:
    both = pa.chunked_array([*before[column].chunks, *after[column].chunks], before.schema.field(column).type)
    return both.combine_chunks().dictionary_encode()


class Differing(NamedTuple):
    """Values that differ: number of the row, metric, value before and after, null where there is none."""

    rows: pa.Int64Array
    metrics: pa.StringArray
    before: pa.DoubleArray
    after: pa.DoubleArray


def differing_attributes(before: pa.Table, after: pa.Table) -> pa.Int64Array:
    """The numbers of the rows with another attribute, each once."""
    places = [_places(before[name].combine_chunks(), after[name].combine_chunks()) for name in ATTRIBUTES]
    return pc.unique(pa.concat_arrays(places))


def differing_values(before: pa.Table, after: pa.Table, metrics: Sequence[str]) -> Iterator[Differing]:
    """What differs by metric: for each of these at once, then for all others together."""
    values_before, values_after = Values(before), Values(after)
    for metric in metrics:
        old, new = values_before.of(metric), values_after.of(metric)
        if len(places := _places(old, new)):
            yield Differing(places, pa.repeat(metric, len(places)), old.take(places), new.take(places))
    if not values_before.others.equals(values_after.others):
        yield _differing_entries(values_before.entries(metrics), values_after.entries(metrics))


def values_of(rows: pa.Table, metrics: Sequence[str]) -> Iterator[Differing]:
    """The same of readings that have no counterpart: all their values."""
    if not rows.num_rows:
        return
    values = Values(rows)
    for metric in metrics:
        held = values.of(metric)
        places = _true(pc.is_valid(held))
        yield _gone(Entries(places, pa.repeat(metric, len(places)), held.take(places)))
    yield _gone(values.entries(metrics))


def _places(before: pa.Array, after: pa.Array) -> pa.Int64Array:
    """Where two columns differ; a null is equal to a null."""
    if before.equals(after):
        return pa.array([], pa.int64())
    unequal = pc.not_equal(before, after)
    if unequal.null_count:
        unequal = pc.coalesce(unequal, pc.xor(pc.is_null(before), pc.is_null(after)))
    return _true(unequal)


def _true(mask: pa.BooleanArray) -> pa.Int64Array:
    return pc.indices_nonzero(mask).cast(pa.int64())


def _differing_entries(before: Entries, after: Entries) -> Differing:
    """Each entry beside the other's of the same row and metric."""
    metrics = pa.concat_arrays([before.metrics, after.metrics]).dictionary_encode()
    rows = pa.concat_arrays([before.rows, after.rows]).cast(pa.int64())
    keys = pc.bit_wise_or(pc.shift_left(rows, 32), metrics.indices.cast(pa.int64()))
    count = len(before.rows)
    other = pc.index_in(keys[:count], keys[count:])
    appeared = pc.invert(pc.is_in(keys[count:], keys[:count]))
    together = Differing(
        pa.concat_arrays([before.rows, after.rows.filter(appeared)]).cast(pa.int64()),
        pa.concat_arrays([before.metrics, after.metrics.filter(appeared)]),
        pa.concat_arrays([before.values, pa.nulls(pc.sum(appeared, min_count=0).as_py(), pa.float64())]),
        pa.concat_arrays([after.values.take(other), after.values.filter(appeared)]),
    )
    places = _places(together.before, together.after)
    return Differing(*(column.take(places) for column in together))


def _gone(held: Entries) -> Differing:
    return Differing(held.rows.cast(pa.int64()), held.metrics, held.values, pa.nulls(len(held.rows), pa.float64()))
