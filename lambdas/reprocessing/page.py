"""`report.html`: a run's report for people, one page that needs nothing else, no network and no script.

Names of devices and notes are other people's text: the template escapes all that it is given, and the page forbids
itself whatever is not its own styles.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from reprocessing.alarms import HOUR_MS
from reprocessing.charts import bands, bars
from reprocessing.curves import Curve, Curves
from reprocessing.manifests import Alarm, Alarms
from reprocessing.report import Report
from sensors.settings import Threshold

ROWS: Final = 100
"""Lines of a table on the page; `report.json` has more."""
BARS: Final = 120
"""Groups of bars of a chart; with more, neighbours are added up."""

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Count(NamedTuple):
    """Alarms of a device and metric by each set of rules and readings."""

    device_id: str
    metric: str
    before: int
    after: int
    given: int


class Drawn(NamedTuple):
    """A chart, and what stands around it: the largest and smallest value, the beginning and the end."""

    svg: Markup
    title: str
    high: str
    low: str
    start: str
    end: str


def render(report: Report, curves: Curves, units: Mapping[str, str]) -> str:
    """The page; `units` are those of the declared metrics."""
    return _template().render(
        report=report,
        headline=headline(report),
        rows=ROWS,
        days_chart=_days(report),
        alarms_chart=_alarms(report),
        alarm_counts=_counts(report),
        curves=[_curve(one, units) for one in curves.curves if one.span is not None],
        but=curves.but,
        units=units,
    )


def headline(report: Report) -> str:
    """What came of it, in a sentence."""
    readings, given = report.readings, report.alarms_given
    if report.outcome == "refused":
        fewer = number(readings.before - readings.after)
        return f"Refused, nothing was published: there would be {fewer} readings fewer."
    if given is not None:
        now = number(report.alarms_after.total)
        return f"Back-test: {number(given.total)} alarms by the given rules, {now} by those of now."
    did = "Applied" if report.outcome == "applied" else "Dry run"
    counts = (("changed", readings.changed), ("added", readings.added), ("gone", readings.vanished))
    said = ", ".join(f"{number(count)} {word}" for word, count in counts if count) or "none differs"
    return f"{did}: of {number(readings.before)} readings, {said}."


def number(value: int) -> str:
    """With commas between thousands."""
    return f"{value:,}"


def amount(value: float) -> str:
    """A measured value, as many digits as say something."""
    return f"{value:,.6g}"


def size(value: int) -> str:
    """Bytes, in the unit that suits them."""
    power = min((len(str(value)) - 1) // 3, len(_UNITS) - 1)
    return f"{value / 1000**power:,.3g} {_UNITS[power]}" if power else f"{value:,} bytes"


def moment(ms: int) -> str:
    """Epoch milliseconds in UTC, to the second where that says it; a time that the calendar lacks as a number."""
    try:
        text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(sep=" ", timespec="milliseconds")[:-6]
    except OverflowError:
        return f"{ms} ms"
    return text.removesuffix(".000")


def period(seconds: int) -> str:
    """A duration in its two largest units."""
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    said = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(said[:2]) or "0 s"


def usd(value: float) -> str:
    """Dollars, cents' fractions too where there is little else."""
    return f"${value:,.2f}" if value >= 1 else f"${value:.4f}"


def limit(rule: Alarm | Threshold) -> str:
    """What an alarm or a threshold says of its limit."""
    return f"above {amount(rule.above)}" if rule.above is not None else f"below {amount(rule.below or 0.0)}"


def _counts(report: Report) -> list[Count]:
    """Devices and metrics with alarms, those first with the most."""
    sides = [report.alarms_before, report.alarms_after, report.alarms_given]
    by_side = [{(one.device_id, one.metric): one.alarms for one in side.counts} if side else {} for side in sides]
    places = {place for counts in by_side for place in counts}
    found = [Count(*place, *(counts.get(place, 0) for counts in by_side)) for place in places]
    return sorted(found, key=lambda one: (-max(one.before, one.after, one.given), one.device_id, one.metric))


@cache
def _template() -> Template:
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "amount": amount,
        "size": size,
        "usd": usd,
        "moment": moment,
        "period": period,
        "limit": limit,
    }
    return environment.get_template("page.html")


def _curve(curve: Curve, units: Mapping[str, str]) -> Drawn:
    low, high = curve.span or (0.0, 0.0)
    unit = units.get(curve.metric, "")
    title = f"{curve.metric} of {curve.device_id}"
    return Drawn(
        svg=bands(f"{title}, before and after", [("before", curve.before), ("after", curve.after)], low, high),
        title=title,
        high=f"{amount(high)} {unit}",
        low=f"{amount(low)} {unit}",
        start=moment(curve.start_ms),
        end=moment(curve.end_ms),
    )


def _days(report: Report) -> Drawn | None:
    days = report.days
    if not days:
        return None
    named = [("before", [day.before for day in days]), ("after", [day.after for day in days])]
    return _bars("Readings by day, before and after", _at_most(BARS, named), days[0].day, days[-1].day)


def _alarms(report: Report) -> Drawn | None:
    """Alarms over time: of a back-test those of given rules beside those of now, else before and after."""
    sides: list[tuple[str, Alarms]] = [("before", report.alarms_before), ("after", report.alarms_after)]
    what = "before and after"
    if report.alarms_given is not None:
        sides = [("after", report.alarms_after), ("given", report.alarms_given)]
        what = "by the rules of now and by those given"
    hours = [hour for _, alarms in sides for hour in alarms.by_hour]
    if not hours:
        return None
    first, end = min(hours), max(hours) + 1
    step = -(-(end - first) // BARS)
    named = []
    for name, alarms in sides:
        values = [0] * -(-(end - first) // step)
        for hour, count in alarms.by_hour.items():
            values[(hour - first) // step] += count
        named.append((name, values))
    return _bars(f"Alarms over time, {what}", named, moment(first * HOUR_MS), moment(end * HOUR_MS))


def _bars(title: str, named: Sequence[tuple[str, Sequence[int]]], start: str, end: str) -> Drawn:
    high = max(value for _, values in named for value in values)
    return Drawn(bars(title, named, high), title, number(high), "0", start, end)


def _at_most(groups: int, named: Sequence[tuple[str, Sequence[int]]]) -> list[tuple[str, list[int]]]:
    """The same with neighbours added up, so that there are no more groups of bars."""
    step = -(-max(len(values) for _, values in named) // groups)
    return [(name, [sum(values[at : at + step]) for at in range(0, len(values), step)]) for name, values in named]
