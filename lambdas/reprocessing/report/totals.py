"""What the changes of a run's tasks add up to; what grows with devices and metrics is bounded, the rest summed up."""

from collections import Counter
from functools import reduce
from typing import Final

from reprocessing.changes import Changes, MetricChange, Series
from reprocessing.merge.alarms import LISTED
from reprocessing.merge.comparing import SERIES, combined
from reprocessing.report.contents import Device, Others, Readings
from reprocessing.report.joined_alarms import Joining

DEVICES: Final = 1_000
"""Listed in a report: those of which most readings differ."""
METRICS: Final = 1_000
"""The same of metrics."""
HELD: Final = 100_000
"""Devices, metrics or series whose sums are held while results are read: some tens of megabytes."""

Numbers = tuple[int, int, int]
"""Readings before, after, and how many of those in both differ."""

_NONE: Final = (0, 0, 0)
_NUMBERS: Final = ("before", "before_duplicates", "after", "same", "changed", "added", "vanished", "attributes_changed")


class Totals:
    """The sums, one task after the other in the order of the plan."""

    def __init__(self) -> None:
        self.days: dict[str, Numbers] = {}
        self.devices = _Devices()
        self.metrics = _Metrics()
        self.vanished_by_source: Counter[str] = Counter()
        self.alarms_before, self.alarms_after, self.alarms_given = Joining(LISTED), Joining(LISTED), Joining(LISTED)
        self._numbers: Counter[str] = Counter()
        self._series: Counter[tuple[str, str]] = Counter()

    def add(self, changes: Changes) -> None:
        """Take up the changes of the next task."""
        for name in _NUMBERS:
            self._numbers[name] += getattr(changes, name)
        self.vanished_by_source.update(changes.vanished_by_source)
        for day in changes.days:
            self._add_day(day.day, (day.before, day.after, day.changed))
        for others in changes.other_devices:
            self._add_day(others.day, (others.before, others.after, others.changed))
        self.devices.add(changes)
        self.metrics.add(changes)
        for one in changes.series:
            if (one.device_id, one.metric) in self._series or len(self._series) < HELD:
                self._series[one.device_id, one.metric] += one.changed
        self.alarms_before.add(changes.alarms_before)
        self.alarms_after.add(changes.alarms_after)
        if changes.alarms_given is not None:
            self.alarms_given.add(changes.alarms_given)

    def readings(self, vanished_by: dict[str, int]) -> Readings:
        """All readings, with the causes for which some have vanished."""
        return Readings(**self._numbers, vanished_by=vanished_by)

    def _add_day(self, day: str, numbers: Numbers) -> None:
        self.days[day] = _plus(self.days.get(day, _NONE), numbers)

    def most_changed(self) -> tuple[Series, ...]:
        """The series that differ most, of those that differ most in some task."""
        most = sorted(self._series.items(), key=lambda entry: (-entry[1], entry[0]))[:SERIES]
        return tuple(Series(*place, changed) for place, changed in most)


class _Devices:
    """Readings by device: of HELD devices each, of the others together."""

    def __init__(self) -> None:
        self._held: dict[str, Numbers] = {}
        self._rest = Others(0, 0, 0, 0)

    def add(self, changes: Changes) -> None:
        for day in changes.days:
            numbers = (day.before, day.after, day.changed)
            if day.device_id in self._held or len(self._held) < HELD:
                self._held[day.device_id] = _plus(self._held.get(day.device_id, _NONE), numbers)
            else:
                self._rest = _and_others(self._rest, 1, numbers)
        for others in changes.other_devices:
            self._rest = _and_others(self._rest, others.devices, (others.before, others.after, others.changed))

    def listed(self) -> tuple[Device, ...]:
        return tuple(Device(name, *self._held[name]) for name in sorted(self._most()[:DEVICES]))

    @property
    def others(self) -> Others:
        rest = self._rest
        for name in self._most()[DEVICES:]:
            rest = _and_others(rest, 1, self._held[name])
        return rest

    def _most(self) -> list[str]:
        """Those first of which most readings differ, or are there on one side more than on the other."""

        def differ(name: str) -> tuple[int, str]:
            before, after, changed = self._held[name]
            return -changed - abs(after - before), name

        return sorted(self._held, key=differ)


class _Metrics:
    """Changes by metric, likewise."""

    def __init__(self) -> None:
        self._held: dict[str, MetricChange] = {}
        self._rest = MetricChange()

    def add(self, changes: Changes) -> None:
        self._rest = combined(self._rest, changes.other_metrics)
        for name, change in changes.metrics.items():
            if name in self._held or len(self._held) < HELD:
                self._held[name] = combined(self._held.get(name, MetricChange()), change)
            else:
                self._rest = combined(self._rest, change)

    def listed(self) -> dict[str, MetricChange]:
        return {name: self._held[name] for name in sorted(self._most()[:METRICS])}

    @property
    def others(self) -> MetricChange:
        return reduce(combined, (self._held[name] for name in self._most()[METRICS:]), self._rest)

    def _most(self) -> list[str]:
        def differ(name: str) -> tuple[int, str]:
            change = self._held[name]
            return -change.changed - change.appeared - change.gone, name

        return sorted(self._held, key=differ)


def _plus(one: Numbers, other: Numbers) -> Numbers:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _and_others(others: Others, devices: int, numbers: Numbers) -> Others:
    sums = _plus((others.before, others.after, others.changed), numbers)
    return Others(others.devices + devices, *sums)
