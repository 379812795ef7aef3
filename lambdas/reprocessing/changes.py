"""What a run makes of the readings of its scope: the part of a merging task's result that a report is made of."""

import msgspec


class MetricChange(msgspec.Struct, frozen=True):
    """How the values of one metric differ in readings that are before and after.

    Readings with another value, with one where was none, with none any more.
    """

    changed: int = 0
    appeared: int = 0
    gone: int = 0
    largest: float = 0.0
    """The largest absolute difference of those that changed, in the metric's unit."""


class DeviceDay(msgspec.Struct, frozen=True):
    """Readings of one device on one UTC day (`2026-11-21`): before, after, and how many of those in both differ."""

    day: str
    device_id: str
    before: int
    after: int
    changed: int


class OtherDevices(msgspec.Struct, frozen=True):
    """The devices of one UTC day that no DeviceDay names, together: those of which fewest readings differ."""

    day: str
    devices: int
    before: int
    after: int
    changed: int


class Series(msgspec.Struct, frozen=True):
    """A device and metric, and in how many readings its value is another, new or gone: what a chart may be drawn of.

    Readings that were added or vanished count too, other than in MetricChange.
    """

    device_id: str
    metric: str
    changed: int


class Alarm(msgspec.Struct, frozen=True):
    """Consecutive readings of a device that break one threshold: raised with the first, over with the next that is not.

    Times are epoch milliseconds; `value` is the one furthest beyond the limit. `open_before` and `open_after` say that
    no reading of the task with this metric comes before the first or after the last: it may go on in another task.
    """

    device_id: str
    metric: str
    severity: str
    above: float | None
    below: float | None
    first_ms: int
    last_ms: int
    count: int
    value: float
    open_before: bool = False
    open_after: bool = False


class AlarmCount(msgspec.Struct, frozen=True):
    """How many alarms a device's metric has raised."""

    device_id: str
    metric: str
    alarms: int


class Alarms(msgspec.Struct, frozen=True):
    """The alarms of readings by one set of rules: how many, and as many of them as a manifest takes.

    `listed` are those that may go on in another task, then the first of the others, by key. `by_hour` counts them by
    the hour in which they were raised, epoch hours; `counts` has the devices and metrics with the most.

    `seen` are the devices that have readings of a metric with a rule: what was open in a task before is over, or it is
    in `listed` with `open_before`. `exact` is False where a manifest does not take all of these: an alarm that goes on
    from task to task may then be counted in each.
    """

    total: int
    listed: tuple[Alarm, ...]
    by_hour: dict[int, int] = {}
    counts: tuple[AlarmCount, ...] = ()
    seen: dict[str, tuple[str, ...]] = {}
    exact: bool = True


class Changes(msgspec.Struct, frozen=True):
    """What a merge makes of the readings of the scope. All of `before`, `after` are readings, each counted once.

    `before_duplicates` are rows of the table that repeated a reading. `before` = same + changed + vanished, `after` =
    same + changed + added. `vanished_by_source` counts the vanished by `source_object`. `alarms_given` is by the rules
    of a back-test.

    A manifest takes so many lines: `other_devices` are those that `days` leaves out, `other_metrics` are the metrics
    that `metrics` does, together. `series` are the ones that differ most.
    """

    before: int
    before_duplicates: int
    after: int
    same: int
    changed: int
    added: int
    vanished: int
    vanished_by_source: dict[str, int]
    metrics: dict[str, MetricChange]
    attributes_changed: int
    days: tuple[DeviceDay, ...]
    series: tuple[Series, ...]
    alarms_before: Alarms
    alarms_after: Alarms
    alarms_given: Alarms | None = None
    other_devices: tuple[OtherDevices, ...] = ()
    other_metrics: MetricChange = MetricChange()
