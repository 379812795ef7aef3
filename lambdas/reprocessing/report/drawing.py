"""What a report's charts show, and what stands around them."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from reprocessing.merge.alarms import HOUR_MS
from reprocessing.report.charts import bands, bars
from reprocessing.report.contents import Report
from reprocessing.report.curves import Curve
from reprocessing.report.wording import day_or_moment, number
from sensors.times import from_text

GROUPS: Final = 62
"""Groups of bars of a chart; with more, neighbours are added up."""
BARS: Final = 120
"""The same of a chart with one bar each: on a phone they are 2 points wide."""

_DAY_MS: Final = 86_400_000
_HOURS: Final = (1, 2, 3, 4, 6, 8, 12, 24)
"""What the bars of alarms stand for; of longer ranges it is whole days."""


class Panel(NamedTuple):
    """A part of a chart, and its name where there are several."""

    svg: Markup
    name: str = ""


class Chart(NamedTuple):
    """Panels, one below the other, and what stands around them: classes with what they mean, the scale, the times."""

    title: str
    legend: Sequence[tuple[str, str]]
    panels: Sequence[Panel]
    scale: Sequence[str]
    times: Sequence[str]


def of_curve(curve: Curve, units: Mapping[str, str]) -> Chart:
    """A series before and after: a curve that has values."""
    low, high = curve.span or (0.0, 0.0)
    unit = units.get(curve.metric, "")
    title = f"{curve.metric} of {curve.device_id}"
    svg = bands(f"{title}, before and after", [("before", curve.before), ("after", curve.after)], low, high)
    scale = [f"{value:,.4g}" for value in (high, high / 2 + low / 2, low)] if high > low else ["", f"{low:,.4g}", ""]
    return Chart(
        title=f"{title}, {unit}" if unit else title,
        legend=[("before", "before"), ("after", "after")],
        panels=[Panel(svg)],
        scale=scale,
        times=_times(curve.start_ms, curve.end_ms),
    )


def of_days(report: Report) -> Chart | None:
    """Readings by day before and after; None where their numbers are the same on all days."""
    days = [(_day(day.day), day) for day in report.days]
    if all(day.before == day.after for _, day in days):
        return None
    first, end = days[0][0], days[-1][0] + 1
    step = -(-(end - first) // GROUPS)
    before = _summed({at: day.before for at, day in days}, first, end, step)
    after = _summed({at: day.after for at, day in days}, first, end, step)
    high = max(*before, *after)
    return Chart(
        title=f"Readings, {_each(step * 24)}",
        legend=[("before", "before"), ("after", "after")],
        panels=[Panel(bars("Readings by day, before and after", [("before", before), ("after", after)], high))],
        scale=[number(high), "0"],
        times=_times(first * _DAY_MS, (first + len(before) * step) * _DAY_MS),
    )


def of_alarms(report: Report) -> Chart | None:
    """Alarms over time, one panel below the other: of a back-test by the rules of now and by those given, else before
    and after. None where there are none.
    """
    sides = [("before", "before", report.alarms_before), ("after", "after", report.alarms_after)]
    if report.alarms_given is not None:
        sides = [
            ("now", "by the rules of now", report.alarms_after),
            ("given", "by the given rules", report.alarms_given),
        ]
    hours = [hour for _, _, alarms in sides for hour in alarms.by_hour]
    if not hours:
        return None
    days = [_day(day.day) for day in report.days] or [hours[0] // 24]
    first, end = min(*hours, days[0] * 24), max(*hours, days[-1] * 24 + 23) + 1
    step = next((step for step in _HOURS if (end - first) <= step * BARS), -(-(end - first) // 24 // BARS) * 24)
    summed = [(name, said, alarms, _summed(alarms.by_hour, first, end, step)) for name, said, alarms in sides]
    high = max(value for *_, values in summed for value in values)
    return Chart(
        title=f"Alarms raised, {_each(step)}",
        legend=[],
        panels=[
            Panel(bars(f"Alarms {said}", [(name, values)], high), f"{said}: {number(alarms.total)}")
            for name, said, alarms, values in summed
        ],
        scale=[number(high), "0"],
        times=_times(first * HOUR_MS, (first + len(summed[0][-1]) * step) * HOUR_MS),
    )


def _day(day: str) -> int:
    """`2026-11-21` in days since 1970."""
    return (from_text(f"{day}T00:00Z") or 0) // _DAY_MS


def _summed(counts: Mapping[int, int], first: int, end: int, step: int) -> list[int]:
    """Counts by hour or day, `step` of them together, from the first to before the end."""
    values = [0] * -(-(end - first) // step)
    for at, value in counts.items():
        values[(at - first) // step] += value
    return values


def _each(hours: int) -> str:
    if hours % 24:
        return "by hour" if hours == 1 else f"in {hours} hours each"
    return "by day" if hours == 24 else f"in {hours // 24} days each"


def _times(start_ms: int, end_ms: int) -> list[str]:
    """What stands below a chart: its beginning, its middle and its end."""
    return [day_or_moment(ms) for ms in (start_ms, (start_ms + end_ms) // 2 // 60_000 * 60_000, end_ms)]
