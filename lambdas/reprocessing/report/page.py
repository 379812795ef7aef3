"""`report.html`: a run's report for people, one page that needs nothing else, no network and no script.

Names of devices and notes are other people's text: the template escapes all that it is given, and the page forbids
itself whatever is not its own styles.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from reprocessing.causes import lost
from reprocessing.changes import MetricChange
from reprocessing.report import drawing, wording
from reprocessing.report.contents import Records, Report
from reprocessing.report.curves import Curves
from reprocessing.report.next_steps import next_steps
from reprocessing.report.wording import count, number

ROWS: Final = 100
"""Lines of a table on the page; `report.json` has more."""


class Count(NamedTuple):
    """Alarms of a device and metric by each set of rules and readings."""

    device_id: str
    metric: str
    before: int
    after: int
    given: int


def render(report: Report, curves: Curves, units: Mapping[str, str]) -> str:
    """The page; `units` are those of the declared metrics."""
    return _template().render(
        report=report,
        headline=headline(report),
        steps=next_steps(report),
        rows=ROWS,
        days_chart=drawing.of_days(report),
        alarms_chart=drawing.of_alarms(report),
        alarm_counts=_counts(report),
        curves=[drawing.of_curve(one, units) for one in curves.curves if one.span is not None],
        but=curves.but,
        units=units,
        devices=sorted(report.devices, key=lambda one: (-one.changed - abs(one.after - one.before), one.device_id)),
        metrics=sorted(report.metrics.items(), key=lambda one: (-_differing(one[1]), one[0])),
        rules=[(name, one) for name, thresholds in (report.request.rules or {}).items() for one in thresholds],
        outcomes=_outcomes(report.records),
    )


def headline(report: Report) -> str:
    """What came of it, in a sentence."""
    readings, given = report.readings, report.alarms_given
    if report.outcome == "undone":
        return "Taken back: the table is as it was before this run."
    if report.outcome == "refused":
        gone = number(lost(readings.before, readings.after, readings.vanished_by))
        return f"Refused, nothing was published: of {count(readings.before, 'reading')}, {gone} would be lost."
    if given is not None:
        now = number(report.alarms_after.total)
        return f"Back-test: {count(given.total, 'alarm')} by the given rules, {now} by those of now."
    return f"Applied: {_did(report)}." if report.outcome == "applied" else f"Dry run: {_did(report)}."


def _did(report: Report) -> str:
    """`of 5 readings, 2 would be changed, 1 would be added`; without any before, `1 reading would be added`."""
    readings, hot = report.readings, report.hot
    if "table" not in report.request.targets:
        if hot is None:
            return f"{count(report.records.for_hot, 'reading')} would be compared with the hot table"
        return f"{count(hot.written, 'item')} of the hot table written, {number(hot.unchanged)} were right"
    numbers = (("changed", readings.changed), ("added", readings.added), ("gone", readings.vanished))
    would = "" if report.outcome == "applied" else "would be "
    if readings.before:
        told = ", ".join(f"{number(many)} {would}{word}" for word, many in numbers if many)
        stays = report.outcome == "applied" and report.snapshot_id is None
        none = "none differs, there was nothing to change" if stays else "none differs"
        return f"of {count(readings.before, 'reading')}, {told or none}"
    if readings.added:
        return f"{count(readings.added, 'reading')} {would}added"
    return "there is nothing to do in this range"


def _differing(change: MetricChange) -> int:
    return change.changed + change.appeared + change.gone


def _outcomes(records: Records) -> list[tuple[str, int, bool]]:
    """What became of the records, how many they are, and whether it is a part of the line above."""
    reasons = [(f"of these {reason}", many, True) for reason, many in records.by_reason.items()]
    found = [
        ("stored", records.stored, False),
        ("duplicate", records.duplicate, False),
        ("quarantined", records.quarantined, False),
        *reasons,
        ("of other times or devices", records.outside, False),
    ]
    return [*(one for one in found if one[1]), ("read", records.records, False)]


def _counts(report: Report) -> list[Count]:
    """Devices and metrics with alarms, those first with the most."""
    sides = [report.alarms_before, report.alarms_after, report.alarms_given]
    by_side = [{(one.device_id, one.metric): one.alarms for one in side.counts} if side else {} for side in sides]
    places = {place for counts in by_side for place in counts}
    found = [Count(*place, *(counts.get(place, 0) for counts in by_side)) for place in places]
    return sorted(found, key=lambda one: (-max(one.before, one.after, one.given), one.device_id, one.metric))


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    said = (wording.number, wording.count, wording.amount, wording.size, wording.usd, wording.moment, wording.minute)
    environment.filters |= {one.__name__: one for one in (*said, wording.period, wording.limit)}
    return environment.get_template("page.html")
