"""Series before and after, read back for a chart: in each bucket of time the smallest and the largest value, spikes and
all.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from compaction.arrange import PartitionBy
from compaction.scratch import scratch_folder
from compaction.store import Store
from optimization.ranges import KeyRange
from optimization.reading import copies
from reprocessing.changes import Series
from reprocessing.merge.measured import Values
from reprocessing.merge.merging import Merge
from reprocessing.merge_manifests import MergeGroup, MergeTask
from reprocessing.report.charts import Band
from reprocessing.request import Scope
from reprocessing.runs import read_group

BUCKETS: Final = 240
"""About as many as a phone has points across."""
FILES: Final = 2_000
"""Read for all curves together: minutes."""

_CUT: Final = f"The charts end early: the range is in more than {FILES:,} files, which is what a report reads."


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


class Curves(NamedTuple):
    """Curves, and a sentence where they are not all that was asked for."""

    curves: tuple[Curve, ...]
    but: str = ""


class Reader(msgspec.Struct, frozen=True):
    """Where the files of the table and of runs are, and how the table is partitioned."""

    s3: Any
    bucket: str
    partition_by: PartitionBy

    def read(self, tasks: Iterable[MergeTask], scope: Scope, series: Sequence[Series]) -> Curves:
        """The curves of series, within the bounds of a scope, from the files old and new of a merge's tasks.

        Raises ResultMissing when a group is gone, FileMismatch when a file is gone or not as planned.
        """
        drawn = [_Drawn(one, scope) for one in series]
        files = 0
        for group in self._groups(tasks):
            for device_id in sorted({one.device_id for one in series}):
                keys = KeyRange((device_id, scope.start_ms), (device_id, scope.end_ms))
                files += sum(keys.meets(file.first, file.last) for file in (*group.old, *group.staged))
                if files > FILES:
                    return Curves(tuple(one.curve() for one in drawn), _CUT)
                of_device = [one for one in drawn if one.series.device_id == device_id]
                for before, after in self._compared(group, scope, keys):
                    for one in of_device:
                        one.add(before, after)
        return Curves(tuple(one.curve() for one in drawn))

    def _groups(self, tasks: Iterable[MergeTask]) -> Iterator[MergeGroup]:
        """The groups of tasks, each once; the tasks of a group follow each other."""
        store = Store(self.s3, self.bucket)
        last = None
        for task in tasks:
            if task.group != last:
                yield read_group(store, task)
            last = task.group

    def _compared(self, group: MergeGroup, scope: Scope, keys: KeyRange) -> Iterator[tuple[pa.Table, pa.Table]]:
        """What the merge has compared of these keys, in the same way."""
        with scratch_folder("lower compaction.file_mb") as folder:
            merge = Merge(group, scope, keys, self.partition_by, folder)
            for copy in copies(self.s3, self.bucket, (*group.old, *group.staged), keys, folder):
                merge.take(copy)
            yield from merge.compared(None)


class _Drawn:
    """One series as it is read."""

    def __init__(self, series: Series, scope: Scope) -> None:
        self.series = series
        self._scope = scope
        self._before, self._after = Buckets(scope), Buckets(scope)

    def add(self, before: pa.Table, after: pa.Table) -> None:
        self._before.add(before, self.series.metric)
        self._after.add(after, self.series.metric)

    def curve(self) -> Curve:
        scope, series = self._scope, self.series
        before, after = self._before.bands(), self._after.bands()
        return Curve(series.device_id, series.metric, scope.start_ms, scope.end_ms, before, after)


class Buckets:
    """Smallest and largest values by bucket, of readings that come in any order."""

    def __init__(self, scope: Scope) -> None:
        self._start_ms = scope.start_ms
        self._width_ms = max(1, -(-(scope.end_ms - scope.start_ms) // BUCKETS))
        self._bands: dict[int, Band] = {}

    def add(self, rows: pa.Table, metric: str) -> None:
        """Take up the values of a metric; times are in milliseconds, and of the scope."""
        at = pc.divide(pc.subtract(rows["measured_at"], self._start_ms), self._width_ms)
        held = pa.table({"bucket": at, "value": Values(rows).of(metric)})
        grouped = held.filter(pc.is_valid(held["value"])).group_by("bucket", use_threads=False)
        for row in grouped.aggregate([("value", "min"), ("value", "max")]).to_pylist():
            low, high = self._bands.get(row["bucket"], (row["value_min"], row["value_max"]))
            self._bands[row["bucket"]] = min(low, row["value_min"]), max(high, row["value_max"])

    def bands(self) -> tuple[Band | None, ...]:
        """All buckets, one after the other."""
        return tuple(self._bands.get(number) for number in range(BUCKETS))
