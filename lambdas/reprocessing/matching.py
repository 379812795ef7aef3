"""Readings of before and after, told apart by their identity: which are on both sides, which on one only."""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

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
