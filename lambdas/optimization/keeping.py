"""Whether a data file would come out of a rewrite with all that it has, as far as its footer tells.

Rows are rewritten by the names of their columns, and their times in milliseconds. A writer that is not ours may have
given a file more than that.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.table import Table
from pyiceberg.types import DoubleType

from compaction.columns import table_schema
from compaction.manifests import KEYS_METADATA

_TICKS_A_MS: Final = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_FIELD_ID: Final = b"PARQUET:field_id"

Columns = Mapping[str, int]
"""The columns of rewritten files by name, with their ids in the table."""


def metrics_of(table: Table) -> tuple[str, ...]:
    """The table's double columns, in the order of its schema."""
    return tuple(field.name for field in table.schema().fields if isinstance(field.field_type, DoubleType))


def columns_of(table: Table) -> Columns:
    """The columns that a file of this table has when it is rewritten."""
    kept = set(table_schema(metrics_of(table)).names)
    return {field.name: field.field_id for field in table.schema().fields if field.name in kept}


def is_kept(metadata: pq.FileMetaData, columns: Columns) -> bool:
    """Whether the footer says nothing of what a rewrite would lose, change or fail on.

    That is a column that the table does not have, or has under another id, since it was renamed, or dropped and added
    again; a required column that is missing or has a null; a device that is no text; a time that is finer than
    milliseconds, where it is the first or the last of a row group.
    """
    schema = metadata.schema.to_arrow_schema()
    if not all(_is_column(field, columns) for field in schema):
        return False
    if KEYS_METADATA.encode() in (metadata.metadata or {}):  # of the compaction, whose rows are in order
        return True
    required = [field.name for field in table_schema(()) if not field.nullable]
    if not set(required).issubset(schema.names) or any(_has_nulls(metadata, name) for name in required):
        return False
    device = metadata.schema.column(metadata.schema.names.index("device_id"))
    return device.logical_type.type == "STRING" and all(
        _is_in_milliseconds(metadata, name, schema.field(name).type) for name in ("measured_at", "received_at")
    )


def _is_column(field: pa.Field, columns: Columns) -> bool:
    number = (field.metadata or {}).get(_FIELD_ID)  # files of the compaction have none
    return field.name in columns and (number is None or int(number) == columns[field.name])


def _has_nulls(metadata: pq.FileMetaData, name: str) -> bool:
    return any(found.has_null_count and found.null_count for found in _statistics(metadata, name))


def _is_in_milliseconds(metadata: pq.FileMetaData, name: str, kind: pa.DataType) -> bool:
    if not pa.types.is_timestamp(kind):
        return False
    ticks = _TICKS_A_MS.get(kind.unit, 1)
    ends = (end for one in _statistics(metadata, name) if one.has_min_max for end in (one.min_raw, one.max_raw))
    return all(end % ticks == 0 for end in ends)


def _statistics(metadata: pq.FileMetaData, name: str) -> Iterator[pq.Statistics]:
    number = metadata.schema.names.index(name)
    for group in range(metadata.num_row_groups):
        found = metadata.row_group(group).column(number).statistics
        if found is not None:
            yield found
