"""What a merge makes of readings: those of before and of after side by side, as they stream by in order of key.

Readings are the same when device and time are; they differ by the values of their metrics, wherever these stand, and by
their attributes. When one was received and from which object it came is nothing that it says.

Memory holds one piece, and sums: by object, and bounded ones by device, day and metric.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from reprocessing.changes import Changes, DeviceDay, MetricChange, OtherDevices, Series
from reprocessing.merge.alarms import Raised
from reprocessing.merge.differing import (
    DEVICE,
    Differing,
    Matched,
    differing_attributes,
    differing_values,
    match,
    values_of,
)
from reprocessing.merge.largest import Largest
from reprocessing.merge.measured import Values
from sensors.rules import Rule
from sensors.times import iso_ms

DEVICE_DAYS: Final = 10_000
"""Listed in a manifest, which has less than 5 MB with all else in it."""
METRICS: Final = 1_000
"""Listed in a manifest; devices that invent names have more."""
SERIES: Final = 20

_DAY_MS: Final = 86_400_000
_COUNTS: Final = ("differ", "before", "after", "changed")


class Comparison:
    """Compares the readings of a task, a piece at a time.

    `metrics` are the columns that pieces have for values, `rules` the system's, `given_rules` those of a back-test.
    """

    def __init__(
        self, metrics: Sequence[str], rules: Sequence[Rule], given_rules: Sequence[Rule] | None = None
    ) -> None:
        self._metrics = tuple(metrics)
        self._before, self._after = Raised(rules), Raised(rules)
        self._given = None if given_rules is None else Raised(given_rules)
        self._counts: Counter[str] = Counter()
        self._vanished_by_source: Counter[str] = Counter()
        self._metric_changes = _MetricChanges()
        self._other_devices: dict[str, OtherDevices] = {}
        self._days = Largest(DEVICE_DAYS, "day", _COUNTS, self._leave_out)
        self._series = Largest(SERIES, "metric", ("changed",))

    def add(self, before: pa.Table, after: pa.Table) -> None:
        """Take up the readings of the next interval of keys: tables in order of key, with each key once."""
        matched = match(before, after)
        changed = self._compare(matched)
        self._counts["changed"] += len(changed)
        self._counts["same"] += matched.before.num_rows - len(changed)
        for name in ("vanished", "added"):
            self._counts[name] += getattr(matched, name).num_rows
        for entry in pc.value_counts(matched.vanished["source_object"]).to_pylist():
            self._vanished_by_source[entry["values"]] += entry["counts"]
        self._add_days(matched, matched.before.select([DEVICE, "measured_at"]).take(changed))
        self._raise(matched)

    def finish(self, before_duplicates: int = 0) -> Changes:
        """What was found; the caller has left so many duplicates of before out of the pieces."""
        counts = self._counts
        return Changes(
            before=counts["same"] + counts["changed"] + counts["vanished"],
            before_duplicates=before_duplicates,
            after=counts["same"] + counts["changed"] + counts["added"],
            same=counts["same"],
            changed=counts["changed"],
            added=counts["added"],
            vanished=counts["vanished"],
            vanished_by_source=dict(sorted(self._vanished_by_source.items())),
            metrics=self._metric_changes.listed(),
            attributes_changed=counts["attributes"],
            days=tuple(_device_days(self._days.finish())),
            series=tuple(Series(**row) for row in self._series.finish().to_pylist()),
            alarms_before=self._before.finish(),
            alarms_after=self._after.finish(),
            alarms_given=self._given.finish() if self._given else None,
            other_devices=tuple(self._other_devices[day] for day in sorted(self._other_devices)),
            other_metrics=self._metric_changes.others,
        )

    def _compare(self, matched: Matched) -> pa.Int64Array:
        """The numbers of the rows on both sides that differ; by metric and series it is counted how."""
        changed = [differing_attributes(matched.before, matched.after)]
        self._counts["attributes"] += len(changed[0])
        series = []
        for differing in differing_values(matched.before, matched.after, self._metrics):
            self._metric_changes.add(differing)
            changed.append(differing.rows)
            series.append(_of_series(matched.before, differing))
        for rows in (matched.vanished, matched.added):
            series += [_of_series(rows, held) for held in values_of(rows, self._metrics)]
        if series:
            self._series.add(_named(pa.concat_tables(series), matched.devices))
        return pc.unique(pa.concat_arrays(changed))

    def _add_days(self, matched: Matched, changed: pa.Table) -> None:
        one_sided = pa.concat_tables([matched.vanished, matched.added]).select([DEVICE, "measured_at"])
        counted = [
            _of_days(matched.all_before, "before"),
            _of_days(matched.all_after, "after"),
            _of_days(changed, "changed", "differ"),
            _of_days(one_sided, "differ"),
        ]
        self._days.add(_named(pa.concat_tables(counted), matched.devices))

    def _leave_out(self, days: pa.Table) -> None:
        """Devices that a manifest does not take, by day together."""
        for row in days.to_pylist():
            day = row["day"]
            held = self._other_devices.get(day, OtherDevices(day, 0, 0, 0, 0))
            self._other_devices[day] = OtherDevices(
                day,
                held.devices + 1,
                held.before + row["before"],
                held.after + row["after"],
                held.changed + row["changed"],
            )

    def _raise(self, matched: Matched) -> None:
        values = Values(matched.all_after)
        self._before.add(matched.all_before, Values(matched.all_before), matched.devices)
        self._after.add(matched.all_after, values, matched.devices)
        if self._given:
            self._given.add(matched.all_after, values, matched.devices)


class _MetricChanges:
    """How the values of each metric differ, of as many metrics as a manifest takes, and of the others together."""

    def __init__(self) -> None:
        self._held: dict[str, MetricChange] = {}
        self.others = MetricChange()

    def add(self, differing: Differing) -> None:
        sizes = pc.abs(pc.subtract(differing.after, differing.before))
        columns = {
            "metric": differing.metrics,
            "changed": pc.is_valid(sizes).cast(pa.int64()),
            "appeared": pc.is_null(differing.before).cast(pa.int64()),
            "gone": pc.is_null(differing.after).cast(pa.int64()),
            "largest": pc.fill_null(sizes, 0.0),
        }
        sums = [("changed", "sum"), ("appeared", "sum"), ("gone", "sum"), ("largest", "max")]
        for row in pa.table(columns).group_by("metric", use_threads=False).aggregate(sums).to_pylist():
            metric, *change = row.values()
            if metric in self._held or len(self._held) < METRICS:
                self._held[metric] = combined(self._held.get(metric, MetricChange()), MetricChange(*change))
            else:
                self.others = combined(self.others, MetricChange(*change))

    def listed(self) -> dict[str, MetricChange]:
        return dict(sorted(self._held.items()))


def combined(one: MetricChange, other: MetricChange) -> MetricChange:
    """The change of the readings of both."""
    return MetricChange(
        one.changed + other.changed,
        one.appeared + other.appeared,
        one.gone + other.gone,
        max(one.largest, other.largest),
    )


def _of_series(rows: pa.Table, differing: Differing) -> pa.Table:
    """How many values differ by device, still a number, and metric."""
    devices = rows[DEVICE].take(differing.rows)
    return _count(pa.table({DEVICE: devices, "metric": differing.metrics}), "changed")


def _of_days(rows: pa.Table, *names: str) -> pa.Table:
    """How many rows there are by device, still a number, and UTC day, under each of these names."""
    days = pc.divide(rows["measured_at"], _DAY_MS)
    counted = _count(pa.table({DEVICE: rows[DEVICE], "day": days}), *names)
    numbers = counted["day"].combine_chunks().dictionary_encode()
    text = pa.array([iso_ms(day * _DAY_MS)[:10] for day in numbers.dictionary.to_pylist()], pa.string())
    counted = counted.set_column(1, "day", text.take(numbers.indices))
    nothing = pa.repeat(pa.scalar(0, pa.int64()), counted.num_rows)
    columns = {name: counted[name] if name in names else nothing for name in _COUNTS}
    return pa.table({DEVICE: counted[DEVICE], "day": counted["day"], **columns})


def _count(rows: pa.Table, *names: str) -> pa.Table:
    counted = rows.group_by(rows.column_names, use_threads=False).aggregate([([], "count_all")])
    keys = rows.column_names
    return pa.table({**{key: counted[key] for key in keys}, **dict.fromkeys(names, counted["count_all"])})


def _named(rows: pa.Table, devices: pa.StringArray) -> pa.Table:
    """The rows with the names of their devices."""
    names = devices.take(rows[DEVICE].combine_chunks())
    return rows.drop_columns([DEVICE]).append_column("device_id", names)


def _device_days(rows: pa.Table) -> Iterator[DeviceDay]:
    for row in rows.to_pylist():
        yield DeviceDay(row["day"], row["device_id"], row["before"], row["after"], row["changed"])
