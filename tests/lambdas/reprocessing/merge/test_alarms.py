"""Alarms of readings that stream by, and those of tasks joined, against a model that sees all readings at once."""

from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from optimization.manifests import Key
from reprocessing.changes import (
    Alarm,
    AlarmCount,
    Alarms,
)
from reprocessing.merge import alarms
from reprocessing.merge.alarms import HOUR_MS, Raised
from reprocessing.merge.differing import match
from reprocessing.merge.measured import Values
from reprocessing.report import joined_alarms
from reprocessing.report.joined_alarms import join
from sensors.rules import Rule
from tests.lambdas.reprocessing.merge.readings import DAY_MS, RULES, Held, Readings, between, cuts, readings, table

HOT, BURNING, STILL, _ = RULES


def raised(content: Readings, *bounds: Key, rules: Sequence[Rule] = RULES) -> Alarms:
    """The alarms of a task that gets its readings cut at these keys."""
    found = Raised(rules)
    for piece in between(content, bounds):
        matched = match(table({}), table(piece))
        found.add(matched.all_after, Values(matched.all_after), matched.devices)
    return found.finish()


def of(device: str, *values: float, start: int = 0) -> Readings:
    """A device's temperature, every millisecond."""
    return {(device, start + at): Held({"temperature": value}) for at, value in enumerate(values)}


def modelled(content: Readings) -> list[Alarm]:
    """The alarms of readings, one after the other."""
    found = []
    for rule in RULES:
        held = [
            (*key, content[key].metrics[rule.metric]) for key in sorted(content) if rule.metric in content[key].metrics
        ]
        for (device, breaks), run in groupby(held, key=lambda entry: (entry[0], rule.broken_by(entry[2]))):
            if breaks:
                _, times, values = zip(*run, strict=True)
                limit, worst = rule.threshold, rule.worst(values)
                found.append(
                    Alarm(
                        device,
                        rule.metric,
                        limit.severity,
                        limit.above,
                        limit.below,
                        times[0],
                        times[-1],
                        len(times),
                        worst,
                    )
                )
    return sorted(found, key=lambda alarm: (alarm.first_ms, alarm.device_id, alarm.metric, alarm.severity))


def closed(listed: Sequence[Alarm]) -> list[Alarm]:
    return [replace(alarm, open_before=False, open_after=False) for alarm in listed]


def test_an_alarm_is_raised_with_the_first_reading_beyond_the_limit_and_over_with_the_next_that_is_not() -> None:
    found = raised(of("a", 0.0, 1.5, 1.75, 1.0, 1.25, 0.0), rules=[HOT])

    assert found.listed == (
        Alarm("a", "temperature", "warning", 1.0, None, first_ms=1, last_ms=2, count=2, value=1.75),
        Alarm("a", "temperature", "warning", 1.0, None, first_ms=4, last_ms=4, count=1, value=1.25),
    )
    assert found.counts == (AlarmCount("a", "temperature", 2),)
    assert found.by_hour == {0: 2}


def test_a_reading_without_the_metric_ends_no_alarm() -> None:
    content = {**of("a", 2.0, 0.0, 2.0), ("a", 1): Held({"vibration": 0.0})}

    assert [alarm.count for alarm in raised(content, rules=[HOT]).listed] == [2]


def test_an_alarm_at_the_first_or_last_reading_of_a_task_may_go_on_in_another() -> None:
    found = raised({**of("a", 2.0, 0.0, 2.0), **of("b", 2.0), **of("c", 0.0, 2.0, 0.0)}, rules=[HOT])

    assert [(alarm.device_id, alarm.open_before, alarm.open_after) for alarm in found.listed] == [
        ("a", True, False),
        ("b", True, True),
        ("c", False, False),
        ("a", False, True),
    ]


@settings(max_examples=40, deadline=None)
@given(readings, cuts)
def test_alarms_are_the_same_wherever_the_readings_of_a_task_are_cut(content: Readings, bounds: list[Key]) -> None:
    found = raised(content, *bounds)

    assert found == raised(content)
    assert closed(found.listed) == modelled(content)
    assert found.total == len(found.listed) == sum(count.alarms for count in found.counts)


def tasks(content: Readings, moments: Sequence[int], bounds: Sequence[Key]) -> list[Alarms]:
    """The alarms of tasks: partitions between these moments, one after the other, each cut at keys."""
    ends = [*sorted(moments), 10 * DAY_MS]
    parts = [
        {key: content[key] for key in content if start <= key[1] < end}
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    return [raised(piece) for part in parts for piece in between(part, bounds)]


moments = st.lists(st.one_of(st.integers(0, 9), st.integers(DAY_MS, DAY_MS + 3)), max_size=3)


@settings(max_examples=40, deadline=None)
@given(readings, moments, cuts)
def test_alarms_of_tasks_joined_are_those_of_all_readings_together(
    content: Readings, moments: list[int], bounds: list[Key]
) -> None:
    joined, whole = join(tasks(content, moments, bounds)), raised(content)

    assert list(joined.listed) == modelled(content)
    assert (joined.total, joined.by_hour, joined.exact) == (whole.total, whole.by_hour, True)
    assert set(joined.counts) == set(whole.counts)


def test_readings_of_a_task_in_between_that_are_within_the_limit_end_an_alarm() -> None:
    days = [raised(of("a", value, start=day * DAY_MS), rules=[HOT]) for day, value in enumerate((2.0, 0.0, 2.0))]

    assert join(days).total == 2


def test_a_task_without_readings_of_the_device_ends_nothing() -> None:
    days = [raised(of(device, 2.0, start=day * DAY_MS), rules=[HOT]) for day, device in enumerate("aba")]

    joined = join(days)

    assert [(alarm.device_id, alarm.count) for alarm in joined.listed] == [("a", 2), ("b", 1)]
    assert joined.by_hour == {0: 1, DAY_MS // HOUR_MS: 1}


def test_what_may_go_on_elsewhere_is_listed_first_and_the_total_counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "LISTED", 2)
    found = raised(of("a", 2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0), rules=[HOT])

    assert [alarm.first_ms for alarm in found.listed] == [0, 8]
    assert (found.total, found.exact) == (5, True)


def test_what_is_cut_off_may_be_counted_twice_and_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {key: held for device in "abcd" for key, held in of(device, 2.0, 2.0).items()}
    monkeypatch.setattr(alarms, "LISTED", 2)

    joined = join(tasks(content, [1], []))

    assert not joined.exact
    assert 4 <= joined.total <= 8


def test_a_device_that_a_task_does_not_name_ends_what_was_open_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alarms, "SEEN", 1)
    content = {**of("a", 0.0, 0.0, 0.0), **of("b", 2.0, 0.0, 2.0)}

    joined = join(tasks(content, [1, 2], []))

    assert (joined.total, joined.exact) == (2, False)


def test_more_open_alarms_than_are_held_are_closed_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_alarms, "HELD", 1)
    content = {key: held for device in "ab" for key, held in of(device, 2.0, 2.0).items()}

    joined = join(tasks(content, [1], []))

    assert (joined.total, joined.exact) == (4, False)
