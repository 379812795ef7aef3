"""The report's page as text: what it says, and that nothing said to it becomes markup."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reprocessing.changes import (
    Alarm,
    AlarmCount,
    Alarms,
    MetricChange,
)
from reprocessing.report.charts import bands, bars
from reprocessing.report.contents import Day, Device, Readings, Records, Refusal, Report
from reprocessing.report.curves import Curves
from reprocessing.report.drawing import of_alarms, of_days
from reprocessing.report.page import headline, render
from reprocessing.report.wording import amount, day_or_moment, limit, minute, moment, period, size, usd
from sensors.settings import Threshold
from tests.lambdas.report_reprocess import sample

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><b>",
    "' onload='x",
    "{{ 7*7 }}",
    "</title>",
)


class Tags(HTMLParser):
    """The elements of a page with the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[str, ...]]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, tuple(name for name, _ in attrs)))


def said_by_others(text: str) -> Report:
    """A back-test in which every text that is not ours is this one."""
    alarm = Alarm(text, text, text, 1.0, None, 0, 1, 1, 1.0)
    alarms = Alarms(1, (alarm,), {0: 1}, (AlarmCount(text, text, 1),))
    sampled = sample.back_test()
    scope = replace(sampled.request.scope, devices=(text,))
    return replace(
        sampled,
        run_id=text,
        executions=(text,),
        request=replace(sampled.request, note=text, by=text, scope=scope, rules={text: ()}, reasons=(text,)),
        refused=Refusal(text, text),
        found=replace(sampled.found, missing_objects=(text,), outside_objects=(text,)),
        readings=replace(sampled.readings, vanished_by={text: 1}),
        records=replace(sampled.records, by_reason={text: 1}),
        devices=(Device(text, 1, 1, 1),),
        metrics={text: MetricChange(1)},
        alarms_before=alarms,
        alarms_after=alarms,
        alarms_given=alarms,
    )


def rendered(text: str) -> str:
    return render(said_by_others(text), sample.curves(text), {"temperature": text, text: text})


HARMLESS = Tags(rendered("harmless")).found


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_and_notes_stay_text_whatever_they_are(attack: str) -> None:
    made = rendered(attack)

    assert Tags(made).found == HARMLESS
    assert "<script" not in made
    assert "49" not in re.findall(r">([^<]*)<", made)


@settings(max_examples=15, deadline=None)
@given(st.text(st.sampled_from("<>&\"'/= ab{}%-!"), max_size=40))
def test_no_text_becomes_markup(text: str) -> None:
    assert Tags(rendered(text)).found == HARMLESS


def test_a_page_has_no_script_and_names_no_place_to_load_from() -> None:
    made = render(sample.report(), sample.curves(), sample.UNITS)

    assert {tag for tag, _ in Tags(made).found}.isdisjoint({"script", "link", "img", "iframe", "object", "form", "a"})
    assert not re.search(r"https?:|url\(|@import|\bsrc=", made)


HOT = replace(sample.report().request, targets=("hot",))


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (sample.report(), "Applied: of 604,000 readings, 200,000 changed, 200 added, 100 gone."),
        (sample.report(readings=Readings(before=7, after=7, same=7)), "Applied: of 7 readings, none differs."),
        (
            sample.report(readings=Readings(before=7, after=7, same=7), snapshot_id=None),
            "Applied: of 7 readings, none differs, there was nothing to change.",
        ),
        (
            sample.report(outcome="looked", readings=Readings(before=7, added=1)),
            "Dry run: of 7 readings, 1 would be added.",
        ),
        (sample.back_test(), "Back-test: 19 alarms by the given rules, 6 by those of now."),
        (
            sample.report(outcome="refused", readings=Readings(before=9, after=7, vanished=2)),
            "Refused, nothing was published: of 9 readings, 2 would be lost.",
        ),
        (sample.report(readings=Readings(after=2, added=2)), "Applied: 2 readings added."),
        (sample.report(request=HOT), "Applied: 12,000 items of the hot table written, 4,000 were right."),
        (
            sample.report(request=HOT, outcome="looked", hot=None, records=Records(9, 9, 0, 0, 0, {}, 0, 0, 9)),
            "Dry run: 9 readings would be compared with the hot table.",
        ),
        (sample.report(outcome="undone"), "Taken back: the table is as it was before this run."),
        (sample.report(outcome="looked", readings=Readings()), "Dry run: there is nothing to do in this range."),
    ],
)
def test_the_first_line_says_what_came_of_it(report: Report, expected: str) -> None:
    assert headline(report) == expected


def test_what_a_table_has_no_room_for_is_said_and_those_devices_come_first_that_differ_most() -> None:
    devices = tuple(Device(f"fan-{number:03}", 10, 10, number) for number in range(130))

    made = render(sample.report(devices=devices), sample.curves(), sample.UNITS)

    assert re.findall(r"fan-\d+", made) == [f"fan-{number:03}" for number in range(129, 29, -1)]
    assert "<summary>88 more devices</summary>" in made
    assert "30 more devices in report.json." in made


def test_a_run_over_nothing_has_a_page_too() -> None:
    nothing = Alarms(0, ())
    empty = sample.report(
        days=(), devices=(), metrics={}, alarms_before=nothing, alarms_after=nothing, readings=Readings(), series=()
    )

    made = render(empty, Curves(()), {})

    assert "there is nothing to do in this range" in made
    assert re.findall("<h2>(.*)</h2>", made) == ["What was found", "What was written", "The run"]


def headings(report: Report) -> list[str]:
    return re.findall("<h2>(.*)</h2>", render(report, Curves(()), {}))


def test_a_page_begins_with_what_was_asked_for_and_leaves_out_what_is_empty() -> None:
    same = Readings(before=7, after=7, same=7)

    assert headings(sample.report())[:3] == ["What is different", "Readings by day and device", "Alarms"]
    assert headings(sample.report(readings=same, metrics={}))[:2] == ["Readings by day and device", "Alarms"]
    assert headings(sample.back_test())[:2] == ["Alarms", "What would be different"]
    assert headings(replace(sample.back_test(), readings=same)) == ["Alarms", "What was found", "The run"]


def test_a_day_without_readings_has_its_place_in_the_chart() -> None:
    days = (Day("2026-11-21", 10, 5, 0), Day("2026-11-24", 10, 10, 0))

    chart = of_days(sample.report(days=days))

    assert chart is not None
    assert [float(x) for x in re.findall(r'"after" x="([\d.]+)"', chart.panels[0].svg)] == [125.0, 875.0]
    assert chart.times == ["2026-11-21", "2026-11-23", "2026-11-25"]


def test_a_chart_of_many_days_adds_neighbours_up() -> None:
    days = tuple(Day(f"2026-{1 + number // 28:02}-{1 + number % 28:02}", 1, 2, 0) for number in range(280))

    chart = of_days(sample.report(days=days))

    assert chart is not None
    assert chart.title == "Readings, in 5 days each"
    assert chart.scale == ["10", "0"]
    assert of_days(sample.report(days=(Day("2026-11-21", 3, 3, 3),))) is None


def test_alarms_of_a_back_test_stand_one_panel_below_the_other_on_one_scale() -> None:
    chart = of_alarms(sample.back_test())

    assert chart is not None
    assert [panel.name for panel in chart.panels] == ["by the rules of now: 6", "by the given rules: 19"]
    assert chart.title == "Alarms raised, in 2 hours each"
    assert [panel.svg.count("<rect") for panel in chart.panels] == [6, 19]
    assert (chart.scale, chart.times) == (["1", "0"], ["2026-11-21", "2026-11-24 12:00", "2026-11-28"])


def test_numbers_are_written_as_people_read_them() -> None:
    assert (size(0), size(999), size(73_400_320)) == ("0 bytes", "999 bytes", "73.4 MB")
    assert (period(0), period(59), period(451), period(90_061)) == ("0 s", "59 s", "7 min 31 s", "1 d 1 h")
    assert (moment(0), moment(5_000), moment(1_500)) == (
        "1970-01-01 00:00",
        "1970-01-01 00:00:05",
        "1970-01-01 00:00:01.500",
    )
    assert (day_or_moment(0), day_or_moment(60_000)) == ("1970-01-01", "1970-01-01 00:01")
    assert (minute("2026-11-21T12:00:09.123Z"), minute("soon")) == ("2026-11-21 12:00", "soon")
    assert (limit(Threshold("info", above=75.0)), limit(Threshold("info", below=0.0))) == ("above 75", "below 0")
    assert moment(2**62) == f"{2**62} ms"
    assert (usd(0.02314), usd(1234.5)) == ("$0.0231", "$1,234.50")
    assert (amount(20.0), amount(1234567.8), amount(1e-9)) == ("20", "1.23457e+06", "1e-09")


def test_a_spike_of_one_bucket_is_drawn_as_high_as_it_is() -> None:
    drawn = bands("a", [("after", [(0.0, 1.0), (0.0, 100.0), None, (0.0, 1.0)])], 0.0, 100.0)

    heights = [float(point.partition(",")[2]) for point in re.findall(r"[\d.]+,[\d.]+", drawn)]
    assert (min(heights), max(heights)) == (6.0, 234.0)


def test_a_gap_breaks_the_band_and_sparse_values_do_not() -> None:
    dense = [(0.0, 1.0)] * 10
    sparse = [band for _ in range(10) for band in ((0.0, 1.0), None, None, None, None)]

    assert bands("a", [("after", [*dense, *[None] * 10, *dense])], 0.0, 1.0).count("<polygon") == 2
    assert bands("a", [("after", sparse)], 0.0, 1.0).count("<polygon") == 1


def test_values_that_are_all_the_same_or_as_far_apart_as_can_be_are_drawn() -> None:
    level = bands("a", [("after", [(5.0, 5.0)])], 5.0, 5.0)
    far = bands("a", [("after", [(-1e126, 1e126)])], -1e126, 1e126)

    assert set(re.findall(r"[\d.]+,([\d.]+)", level)) == {"120.0"}
    assert set(re.findall(r"[\d.]+,([\d.]+)", far)) == {"6.0", "234.0"}
    assert "polygon" not in bands("a", [("after", [None])], 0.0, 1.0)


def test_bars_stand_side_by_side_and_the_smallest_is_still_seen() -> None:
    drawn = bars("a", [("before", [1000, 0]), ("after", [1, 0])], 1000)

    assert re.findall(r'class="(\w+)" x="([\d.]+)" y="([\d.]+)"', drawn) == [
        ("before", "50.0", "6.0"),
        ("after", "250.0", "239.0"),
    ]
