"""Readings as Arrow columns: the table's schema, and the batches that a task's rows come in."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from compaction.errors import CompactionError
from sensors.reading import ATTRIBUTES, Reading

TIMESTAMP = pa.timestamp("us", tz="UTC")  # Iceberg's timestamptz
OTHER_METRICS = pa.map_(pa.string(), pa.float64())

RESERVED = frozenset({"device_id", "measured_at", *ATTRIBUTES, "other_metrics", "received_at", "source_object"})
"""Columns that every table has; no metric can be declared under these names."""


def table_schema(metrics: Sequence[str]) -> pa.Schema:
    """The Arrow schema of the Iceberg table `readings` with one double column for each declared metric.

    Raises CompactionError when a metric has the name of a column that is always there.
    """
    if taken := sorted(RESERVED.intersection(metrics)):
        raise CompactionError(f"metrics.{taken[0]}: the table has a column of that name. Rename the metric.")
    return pa.schema(
        [
            pa.field("device_id", pa.string(), nullable=False),
            pa.field("measured_at", TIMESTAMP, nullable=False),
            *(pa.field(name, pa.string()) for name in ATTRIBUTES),
            *(pa.field(name, pa.float64()) for name in metrics),
            pa.field("other_metrics", OTHER_METRICS),
            pa.field("received_at", TIMESTAMP, nullable=False),
            pa.field("source_object", pa.string(), nullable=False),
        ]
    )


def rows_schema(metrics: Sequence[str]) -> pa.Schema:
    """What a task works on: the table's columns, with times in milliseconds and `_source`, the object's number.

    `_late` and `_ignored_fields` are kept to be counted. No metric's name begins with an underscore.
    """
    return pa.schema(
        [
            ("device_id", pa.string()),
            ("measured_at", pa.int64()),
            ("received_at", pa.int64()),
            ("_source", pa.int32()),
            ("_late", pa.bool_()),
            ("_ignored_fields", pa.int32()),
            *((name, pa.string()) for name in ATTRIBUTES),
            *((name, pa.float64()) for name in metrics),
            ("other_metrics", OTHER_METRICS),
        ]
    )


def batch(columns: Mapping[str, pa.Array], metrics: Sequence[str]) -> pa.RecordBatch:
    """A batch of rows, all null where `columns` has nothing."""
    rows = len(columns["device_id"])
    schema = rows_schema(metrics)
    arrays = [columns[field.name] if field.name in columns else pa.nulls(rows, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def batch_of(readings: Sequence[Reading], metrics: Sequence[str], sources: Sequence[int]) -> pa.RecordBatch:
    """The same from readings and the source of each; other metrics stand in order of name, not in the payload's."""
    values = [reading.metrics for reading in readings]
    columns: dict[str, Any] = {
        "device_id": pa.array([reading.device_id for reading in readings], pa.string()),
        "measured_at": pa.array([reading.measured_at_ms for reading in readings], pa.int64()),
        "received_at": pa.array([reading.received_at_ms for reading in readings], pa.int64()),
        "_source": pa.array(sources, pa.int32()),
        "_late": pa.array([reading.late for reading in readings], pa.bool_()),
        "_ignored_fields": pa.array([reading.ignored_fields for reading in readings], pa.int32()),
        "other_metrics": pa.array([_others(held, frozenset(metrics)) for held in values], OTHER_METRICS),
    }
    for name in ATTRIBUTES:
        columns[name] = pa.array([reading.attributes.get(name) for reading in readings], pa.string())
    for name in metrics:
        columns[name] = pa.array([held.get(name) for held in values], pa.float64())
    return batch(columns, metrics)


def readings_of(rows: pa.Table, metrics: Sequence[str]) -> list[Reading]:
    """The way back: readings of rows with the table's columns and times in milliseconds.

    What the table does not keep of a reading, lateness and ignored fields, is as of one that has neither.
    """
    readings = []
    for row in rows.to_pylist():
        values = {name: row[name] for name in metrics if row[name] is not None} | dict(row["other_metrics"] or ())
        attributes = {name: row[name] for name in ATTRIBUTES if row[name] is not None}
        readings.append(
            Reading(row["device_id"], row["measured_at"], values, attributes, row["received_at"], 0, late=False)
        )
    return readings


def _others(values: dict[str, float], declared: frozenset[str]) -> list[tuple[str, float]] | None:
    if declared.issuperset(values):
        return None
    return sorted((name, value) for name, value in values.items() if name not in declared)
