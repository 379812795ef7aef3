"""The alarms of a run, out of those of its tasks: what goes on from task to task is one alarm."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from reprocessing.changes import Alarm, AlarmCount, Alarms
from reprocessing.merge.alarms import COUNTS, HOUR_MS, LISTED, Listing, extended

HELD: Final = 100_000
"""Devices and metrics that are held while the alarms of a run are joined: some tens of megabytes."""

_Place = tuple[str, str]  # device and metric
_Rule = tuple[str, float | None, float | None]  # severity, above and below


def join(parts: Iterable[Alarms], most: int = LISTED) -> Alarms:
    """The alarms of tasks, given in order of time for each device; at most so many of them are listed.

    None is open any more. The total is exact if those of the parts are and no more than HELD go on at the same time.
    """
    joining = Joining(most)
    for part in parts:
        joining.add(part)
    return joining.finish()


class Joining:
    """Joins the alarms of tasks, one task after the other."""

    def __init__(self, most: int) -> None:
        self._listing = Listing(most)
        self._open: dict[_Place, dict[_Rule, Alarm]] = {}
        self._total = 0
        self._by_hour: Counter[int] = Counter()
        self._counts: Counter[_Place] = Counter()
        self._exact = True

    def add(self, part: Alarms) -> None:
        """Take up the alarms of the next task."""
        counted = {(count.device_id, count.metric): count.alarms for count in part.counts}
        self._sum_up(part, counted)
        beginnings = {(_place(alarm), _rule(alarm)): alarm for alarm in part.listed if alarm.open_before}
        rest = dict.fromkeys(part.listed)  # in their order: a list that is nearly in order is soon sorted
        over: list[Alarm] = []
        for place in self._met(part):
            for rule, alarm in self._open.pop(place).items():
                beginning = beginnings.get((place, rule))
                if beginning is None:
                    over.append(alarm)
                else:
                    del rest[beginning]
                    rest[extended(alarm, beginning)] = None
                    self._count_once(beginning, counted)
        for alarm in rest:
            if alarm.open_after:
                self._open.setdefault(_place(alarm), {})[_rule(alarm)] = alarm
            else:
                over.append(alarm)
        self._close(over)
        if len(self._open) > HELD:
            self._close_all()
            self._exact = False

    def finish(self) -> Alarms:
        """The alarms of all parts."""
        self._close_all()
        counts = sorted((-alarms, place) for place, alarms in self._counts.items())[:COUNTS]
        return Alarms(
            total=self._total,
            listed=self._listing.listed(),
            by_hour={hour: alarms for hour, alarms in sorted(self._by_hour.items()) if alarms},
            counts=tuple(AlarmCount(*place, -alarms) for alarms, place in counts if alarms),
            exact=self._exact,
        )

    def _met(self, part: Alarms) -> list[_Place]:
        """Of what is open, that of which the part has readings; all of it when the part cannot say."""
        if not part.exact:
            return list(self._open)
        places = ((device, metric) for metric, devices in part.seen.items() for device in devices)
        return [place for place in places if place in self._open]

    def _sum_up(self, part: Alarms, counted: Mapping[_Place, int]) -> None:
        self._exact = self._exact and part.exact
        self._total += part.total
        self._by_hour.update(part.by_hour)
        for place, alarms in counted.items():
            if place in self._counts or len(self._counts) < HELD:
                self._counts[place] += alarms

    def _count_once(self, beginning: Alarm, counted: Mapping[_Place, int]) -> None:
        """What a part has counted as an alarm of its own, and is not."""
        self._total -= 1
        self._by_hour[beginning.first_ms // HOUR_MS] -= 1
        if _place(beginning) in counted and _place(beginning) in self._counts:
            self._counts[_place(beginning)] -= 1

    def _close(self, alarms: Iterable[Alarm]) -> None:
        self._listing.add(
            replace(alarm, open_before=False, open_after=False) if alarm.open_before or alarm.open_after else alarm
            for alarm in alarms
        )

    def _close_all(self) -> None:
        self._close(alarm for rules in self._open.values() for alarm in rules.values())
        self._open.clear()


def _place(alarm: Alarm) -> _Place:
    return alarm.device_id, alarm.metric


def _rule(alarm: Alarm) -> _Rule:
    return alarm.severity, alarm.above, alarm.below
