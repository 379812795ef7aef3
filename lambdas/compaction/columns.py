"""Readings as Arrow columns: the table's schema, and a builder that turns readings into it block by block."""

from collections.abc import Sequence
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


class Columns:
    """Collects readings of several sources, block by block, in the order in which they were received.

    The columns are the table's, except that times are milliseconds (int64), `device_id` and the attributes are
    dictionaries, and `source` is the number of the source; `late` and `ignored_fields` are kept to be counted.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self._metrics = tuple(metrics)
        self._declared = frozenset(metrics)
        self._batches: list[pa.RecordBatch] = []

    def add(self, readings: list[Reading], source: int) -> None:
        """Take up a block of readings of one source; they can be forgotten afterwards."""
        if readings:
            self._batches.append(self._batch(readings, source))

    def table(self) -> pa.Table:
        """Everything added so far, in the order of adding; the builder is empty afterwards."""
        batches, self._batches = self._batches, []
        return pa.Table.from_batches(batches or [self._batch([], 0)]).unify_dictionaries().combine_chunks()

    def _batch(self, readings: list[Reading], source: int) -> pa.RecordBatch:
        metrics = [reading.metrics for reading in readings]
        columns: dict[str, Any] = {
            "device_id": _dictionary([reading.device_id for reading in readings]),
            "measured_at": pa.array([reading.measured_at_ms for reading in readings], pa.int64()),
            "received_at": pa.array([reading.received_at_ms for reading in readings], pa.int64()),
            "source": pa.repeat(pa.scalar(source, pa.int32()), len(readings)),
            "late": pa.array([reading.late for reading in readings], pa.bool_()),
            "ignored_fields": pa.array([reading.ignored_fields for reading in readings], pa.int32()),
        }
        for name in ATTRIBUTES:
            columns[name] = _dictionary([reading.attributes.get(name) for reading in readings])
        for name in self._metrics:
            columns[name] = pa.array([values.get(name) for values in metrics], pa.float64())
        columns["other_metrics"] = pa.array([self._others(values) for values in metrics], OTHER_METRICS)
        return pa.RecordBatch.from_pydict(columns)

    def _others(self, values: dict[str, float]) -> list[tuple[str, float]] | None:
        if self._declared.issuperset(values):
            return None
        return [(name, value) for name, value in values.items() if name not in self._declared]


def _dictionary(values: list[str | None]) -> pa.DictionaryArray:
    return pa.array(values, pa.string()).dictionary_encode()
