"""Series before and after, read back for a chart: of each bucket of time the smallest and largest value, spikes and all."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from reprocessing.charts import Band
from reprocessing.measured import Values
from reprocessing.request import Scope

BUCKETS: Final = 240
"""About as many as a phone has points across."""


class Curve(msgspec.Struct, frozen=True):
    """A device's metric from `start_ms` on and before `end_ms`, bucket by bucket, None where there is no reading."""

    device_id: str
    metric: str
    start_ms: int
    end_ms: int
    before: tuple[Band | None, ...]
    after: tuple[Band | None, ...]

    @property
    def span(self) -> Band | None:
        """The smallest and the largest of all values; None when there is none."""
        bands = [band for band in (*self.before, *self.after) if band is not None]
        return (min(low for low, _ in bands), max(high for _, high in bands)) if bands else None


class Buckets:
    """Smallest and largest values by bucket, of readings that come in any order."""

    def __init__(self, start_ms: int, end_ms: int) -> None:
        self._start_ms = start_ms
        self._width_ms = max(1, -(-(end_ms - start_ms) // BUCKETS))
        self._bands: dict[int, Band] = {}

    def add(self, rows: pa.Table, metric: str) -> None:
        """Take up the values of a metric; times are in milliseconds and within the bounds."""
        at = pc.divide(pc.subtract(rows["measured_at"], self._start_ms), self._width_ms)
        held = pa.table({"bucket": at, "value": Values(rows).of(metric)})
        grouped = held.filter(pc.is_valid(held["value"])).group_by("bucket", use_threads=False)
        for row in grouped.aggregate([("value", "min"), ("value", "max")]).to_pylist():
            low, high = self._bands.get(row["bucket"], (row["value_min"], row["value_max"]))
            self._bands[row["bucket"]] = min(low, row["value_min"]), max(high, row["value_max"])

    def bands(self) -> tuple[Band | None, ...]:
        """All buckets, one after the other."""
        return tuple(self._bands.get(number) for number in range(BUCKETS))
