"""Alarms that a reprocessing has brought to light, as the alerts that receivers know."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from alerting import Alert, alert_id
from reprocessing.changes import Alarm, Alarms
from sensors.settings import Metric
from sensors.times import iso_ms


class New(NamedTuple):
    """Alarms of after that were none before, of so many that were compared."""

    compared: int
    alarms: list[Alarm]


def new_alarms(before: Alarms, after: Alarms) -> New:
    """The alarms of after at whose time none was raised before by the same rule of the same device.

    Where not all are listed, only those from before the first that may be missing can be compared.
    """
    known = defaultdict(list)
    for alarm in before.listed:
        known[_rule(alarm)].append(alarm)
    end_ms = min(_listed_until(before), _listed_until(after))
    compared = [alarm for alarm in after.listed if alarm.first_ms <= end_ms]
    return New(len(compared), [alarm for alarm in compared if not _was_raised(alarm, known[_rule(alarm)])])


def alert_of(system: str, metrics: Mapping[str, Metric], alarm: Alarm) -> Alert:
    """The message of an alarm; its id is that of any other message about it."""
    limits = {"above": alarm.above, "below": alarm.below}
    threshold = {side: limit for side, limit in limits.items() if limit is not None}
    first_at = iso_ms(alarm.first_ms)
    return Alert(
        alert_id=alert_id(system, alarm.device_id, alarm.metric, alarm.severity, threshold, first_at),
        system=system,
        device_id=alarm.device_id,
        metric=alarm.metric,
        unit=metrics[alarm.metric].unit,
        severity=alarm.severity,
        threshold=threshold,
        count=alarm.count,
        first_at=first_at,
        last_at=iso_ms(alarm.last_ms),
        value=alarm.value,
    )


def _rule(alarm: Alarm) -> tuple[str, str, str, float | None, float | None]:
    return alarm.device_id, alarm.metric, alarm.severity, alarm.above, alarm.below


def _was_raised(alarm: Alarm, known: list[Alarm]) -> bool:
    return any(other.first_ms <= alarm.last_ms and alarm.first_ms <= other.last_ms for other in known)


def _listed_until(alarms: Alarms) -> float:
    return (
        float("inf") if alarms.total <= len(alarms.listed) else max((one.first_ms for one in alarms.listed), default=-1)
    )
