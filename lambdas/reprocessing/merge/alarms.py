"""The alarms of a task's readings, as these stream by in order of key: consecutive ones that break one threshold."""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from reprocessing.changes import Alarm, AlarmCount, Alarms
from reprocessing.merge.differing import DEVICE
from reprocessing.merge.largest import Largest
from reprocessing.merge.measured import Values
from sensors.rules import Rule

LISTED: Final = 5_000
"""Alarms of one set of rules in a manifest: about a megabyte."""
COUNTS: Final = 2_000
"""Devices and metrics of which a manifest says how many alarms they have raised."""
SEEN: Final = 10_000
"""Devices of one metric in a manifest."""
HOUR_MS: Final = 3_600_000

_NO: Final = pa.array([False])


class Raised:
    """The alarms of a task's readings by some rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._listing = Listing(LISTED)
        self._by_rule = [_OfRule(rule, self._listing) for rule in rules]
        self._seen: dict[str, dict[str, None]] = {rule.metric: {} for rule in rules}
        self._all_seen = True
        self._total = 0
        self._by_hour: Counter[int] = Counter()
        self._counts = Largest(COUNTS, "metric", ("alarms",))

    def add(self, rows: pa.Table, values: Values, devices: pa.StringArray) -> None:
        """Take up the next readings in order of key; `devices` are the names of those in the column DEVICE."""
        begun = []
        for metric, seen in self._seen.items():
            held = pa.table({DEVICE: rows[DEVICE], "at": rows["measured_at"], "value": values.of(metric)})
            held = held.filter(pc.is_valid(held["value"])).combine_chunks()
            if held.num_rows:
                self._see(seen, devices.take(pc.unique(held[DEVICE])).to_pylist())
                rules = (one for one in self._by_rule if one.rule.metric == metric)
                begun += [one.add(held, devices) for one in rules]
        if begun:
            self._count(pa.concat_tables(begun))

    def finish(self) -> Alarms:
        """What was raised; nothing can be added after it."""
        for one in self._by_rule:
            one.finish()
        return Alarms(
            total=self._total,
            listed=self._listing.listed(),
            by_hour=dict(sorted(self._by_hour.items())),
            counts=tuple(AlarmCount(**row) for row in self._counts.finish().to_pylist()),
            seen={metric: tuple(seen) for metric, seen in self._seen.items() if seen},
            exact=self._all_seen and self._listing.all_open,
        )

    def _see(self, seen: dict[str, None], devices: Iterable[str]) -> None:
        for device in devices:
            if len(seen) < SEEN:
                seen[device] = None
            elif device not in seen:
                self._all_seen = False

    def _count(self, begun: pa.Table) -> None:
        self._total += begun.num_rows
        for entry in pc.value_counts(pc.divide(begun["first_ms"], HOUR_MS)).to_pylist():
            self._by_hour[entry["values"]] += entry["counts"]
        one = pa.repeat(pa.scalar(1, pa.int64()), begun.num_rows)
        self._counts.add(begun.select(["device_id", "metric"]).append_column("alarms", one))


class Listing:
    """So many alarms at most: those that may go on elsewhere, then the others, each time the first ones by time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: list[Alarm] = []
        self._closed: list[Alarm] = []
        self.all_open = True
        """Whether all alarms that may go on elsewhere have found place."""

    def add(self, alarms: Iterable[Alarm]) -> None:
        """Take up some alarms."""
        for alarm in alarms:
            (self._open if alarm.open_before or alarm.open_after else self._closed).append(alarm)
        if len(self._open) > 2 * self._most:
            self.all_open = False
            self._open = _first(self._open, self._most)
        if len(self._closed) > 2 * self._most:
            self._closed = _first(self._closed, self._most)

    def listed(self) -> tuple[Alarm, ...]:
        """By time, device and rule."""
        self.all_open = self.all_open and len(self._open) <= self._most
        held = _first(self._open, self._most)
        return tuple(_first([*held, *_first(self._closed, self._most - len(held))], self._most))


def _first(alarms: Iterable[Alarm], count: int) -> list[Alarm]:
    by = attrgetter("first_ms", "device_id", "metric", "severity", "last_ms")
    return sorted(alarms, key=by)[:count]


class _OfRule:
    """The alarms of one rule; `_last` is the one that the last reading of `_device` breaks it with, if it does."""

    def __init__(self, rule: Rule, listing: Listing) -> None:
        self.rule = rule
        self._listing = listing
        self._device: str | None = None
        self._last: Alarm | None = None

    def add(self, held: pa.Table, devices: pa.StringArray) -> pa.Table:
        """Take up readings with the metric; answers with device, metric and time of the alarms that begin with one."""
        first, last = (devices[held[DEVICE][place].as_py()].as_py() for place in (0, -1))
        runs = _runs(held, self.rule)
        begun = pa.table(
            {
                "device_id": devices.take(runs[DEVICE].combine_chunks()),
                "metric": pa.repeat(self.rule.metric, runs.num_rows),
                "first_ms": runs["first_ms"],
            }
        )
        alarms = self._alarms(runs, begun["device_id"])
        if first != self._device:
            self._over(open_after=True)
        elif not alarms or runs["first_row"][0].as_py() > 0:
            self._over(open_after=False)
        elif self._last is None:
            alarms[0] = replace(alarms[0], open_before=False)
        else:
            alarms[0], self._last = extended(self._last, alarms[0]), None
            begun = begun.slice(1)
        self._device = last
        if alarms and runs["last_row"][-1].as_py() == held.num_rows - 1:
            self._last = alarms.pop()
        self._listing.add(alarms)
        return begun

    def finish(self) -> None:
        """No reading comes any more."""
        self._over(open_after=True)

    def _over(self, *, open_after: bool) -> None:
        if self._last:
            self._listing.add([replace(self._last, open_after=open_after)])
        self._last = None

    def _alarms(self, runs: pa.Table, devices: pa.ChunkedArray) -> list[Alarm]:
        limit = self.rule.threshold
        rows = runs.drop_columns([DEVICE, "first_row", "last_row"]).to_pylist()
        return [
            Alarm(device_id, self.rule.metric, limit.severity, limit.above, limit.below, **row)
            for device_id, row in zip(devices.to_pylist(), rows, strict=True)
        ]


def extended(alarm: Alarm, by: Alarm) -> Alarm:
    """An alarm and what it goes on with."""
    worst = max if alarm.above is not None else min
    return replace(
        alarm,
        last_ms=by.last_ms,
        count=alarm.count + by.count,
        value=worst(alarm.value, by.value),
        open_after=by.open_after,
    )


def _runs(held: pa.Table, rule: Rule) -> pa.Table:
    """Runs of readings that break the rule, one after the other; `first_row` and `last_row` are numbers of rows."""
    device, at, value = (held[name].combine_chunks() for name in (DEVICE, "at", "value"))
    above, below = rule.threshold.above, rule.threshold.below
    breaks = pc.greater(value, above) if above is not None else pc.less(value, below)
    same = pc.equal(device[:-1], device[1:])
    goes_on = pc.and_(same, pc.and_(breaks[:-1], breaks[1:]))
    begins = pc.and_not(breaks, pa.concat_arrays([_NO, goes_on]))
    first = pc.indices_nonzero(begins).cast(pa.int64())
    last = pc.indices_nonzero(pc.and_not(breaks, pa.concat_arrays([goes_on, _NO]))).cast(pa.int64())
    return pa.table(
        {
            DEVICE: device.take(first),
            "first_row": first,
            "last_row": last,
            "first_ms": at.take(first),
            "last_ms": at.take(last),
            "count": pc.add(pc.subtract(last, first), 1),
            "value": _worst(breaks, begins, value, "max" if above is not None else "min"),
            "open_before": pc.invert(pa.concat_arrays([_NO, same]).take(first)),
            "open_after": pc.invert(pa.concat_arrays([same, _NO]).take(last)),
        }
    )


def _worst(breaks: pa.BooleanArray, begins: pa.BooleanArray, value: pa.DoubleArray, which: str) -> pa.ChunkedArray:
    """The value furthest beyond the limit of each run."""
    run = pc.cumulative_sum(begins.cast(pa.int32())).filter(breaks)
    grouped = pa.table({"run": run, "value": value.filter(breaks)}).group_by("run", use_threads=False)
    return grouped.aggregate([("value", which)])[f"value_{which}"]
