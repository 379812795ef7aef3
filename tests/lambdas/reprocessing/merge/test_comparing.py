"""What a merge makes of readings, against a model that has them in dicts."""

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optimization.manifests import Key
from reprocessing.changes import (
    Changes,
    MetricChange,
    OtherDevices,
    Series,
)
from reprocessing.merge import comparing
from reprocessing.merge.comparing import Comparison
from sensors.times import iso_ms
from tests.lambdas.reprocessing.merge.readings import (
    COLUMNS,
    RULES,
    Held,
    Readings,
    between,
    cuts,
    held,
    readings,
    table,
)

PUMP: Key = ("pump-1", 1_795_251_600_000)


def compared(before: Readings, after: Readings, *bounds: Key) -> Changes:
    comparison = Comparison(COLUMNS, RULES)
    for old, new in zip(between(before, bounds), between(after, bounds), strict=True):
        comparison.add(table(old), table(new))
    return comparison.finish()


def test_readings_with_equal_values_are_the_same_wherever_their_values_stand_and_whenever_they_came() -> None:
    values = {"temperature": 20.5, "humidity": 40.0}
    before = {PUMP: Held(values, source="raw-data/a.gz", received_at=1)}
    after = {PUMP: Held(values, aside=frozenset({"temperature"}), source="raw-data/b.gz", received_at=2)}

    changes = compared(before, after)

    assert (changes.same, changes.changed, changes.metrics, changes.series) == (1, 0, {}, ())


def test_a_value_that_is_another_one_is_counted_with_how_far_it_is_from_the_old() -> None:
    before = {("a", at): Held({"temperature": 20.0, "x": 1.0}) for at in range(3)}
    after = {("a", at): Held({"temperature": 20.0 + at, "y": 1.0}) for at in range(3)}

    changes = compared(before, after)

    assert changes.changed == 3
    assert changes.metrics == {
        "temperature": MetricChange(changed=2, largest=2.0),
        "x": MetricChange(gone=3),
        "y": MetricChange(appeared=3),
    }


def test_readings_of_one_side_are_added_or_vanished_with_the_object_that_they_came_from() -> None:
    before = {("a", 1): Held({"x": 1.0}, source="raw-data/lost.gz"), ("b", 1): Held({"x": 1.0})}
    after = {("b", 1): Held({"x": 1.0}), ("b", 2): Held({"x": 5.0})}

    changes = compared(before, after)

    assert (changes.before, changes.after, changes.same, changes.added, changes.vanished) == (2, 2, 1, 1, 1)
    assert changes.vanished_by_source == {"raw-data/lost.gz": 1}
    assert changes.metrics == {}
    assert changes.series == (Series("a", "x", 1), Series("b", "x", 1))


def modelled(before: Readings, after: Readings) -> dict[str, object]:
    """What `Changes` says of them, without its alarms."""
    both = before.keys() & after.keys()
    unlike = {key: before[key].metrics.items() ^ after[key].metrics.items() for key in both}
    attributes = {key for key in both if before[key].attributes != after[key].attributes}
    changed = {key for key in both if unlike[key]} | attributes
    days, series, metrics = Counter[tuple[str, str, str]](), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for side, keys in (("before", before), ("after", after), ("changed", changed)):
        days.update((iso_ms(at)[:10], device, side) for device, at in keys)
    for key in both:
        for name in {name for name, _ in unlike[key]}:
            old, new = before[key].metrics.get(name), after[key].metrics.get(name)
            metrics[name, "appeared" if old is None else "gone" if new is None else "changed"] += 1
            series[key[0], name] += 1
    for content, other in ((before, after), (after, before)):
        series.update((key[0], name) for key in content.keys() - other.keys() for name in content[key].metrics)
    return {
        "numbers": (
            len(before),
            len(after),
            len(both - changed),
            len(changed),
            len(after) - len(both),
            len(attributes),
        ),
        "vanished": Counter(before[key].source for key in before.keys() - both),
        "days": days,
        "series": series,
        "metrics": metrics,
    }


@settings(max_examples=40, deadline=None)
@given(readings, readings, st.sets(st.integers(0, 24)), cuts)
@example({("a", 1): Held({"x": 1.0})}, {}, set(), [])
def test_comparing_piece_by_piece_finds_what_a_comparison_of_dicts_finds(
    before: Readings, other: Readings, taken: set[int], bounds: list[Key]
) -> None:
    after = {**{key: before[key] for number, key in enumerate(before) if number in taken}, **other}

    changes = compared(before, after, *bounds)

    found = modelled(before, after)
    numbers = (changes.before, changes.after, changes.same, changes.changed, changes.added, changes.attributes_changed)
    assert numbers == found["numbers"]
    assert changes.vanished_by_source == found["vanished"]
    assert found["days"] == Counter(
        {
            (day.day, day.device_id, side): getattr(day, side)
            for day in changes.days
            for side in ("before", "after", "changed")
            if getattr(day, side)
        }
    )
    assert {(one.device_id, one.metric): one.changed for one in changes.series} == found["series"]
    kinds = ("changed", "appeared", "gone")
    by_metric = {(name, kind): getattr(one, kind) for name, one in changes.metrics.items() for kind in kinds}
    assert {key: number for key, number in by_metric.items() if number} == found["metrics"]


@settings(max_examples=40, deadline=None)
@given(readings, cuts)
def test_readings_compared_with_themselves_are_all_the_same(content: Readings, bounds: list[Key]) -> None:
    changes = compared(content, content, *bounds)

    assert (changes.same, changes.changed, changes.added, changes.vanished) == (len(content), 0, 0, 0)
    assert (changes.metrics, changes.series) == ({}, ())
    assert changes.alarms_before == changes.alarms_after


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), held), max_size=40), cuts)
def test_what_a_manifest_does_not_take_is_summed_up(content: list[tuple[int, Held]], bounds: list[Key]) -> None:
    after = {(f"{device:02}", at): one for at, (device, one) in enumerate(content)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "DEVICE_DAYS", 3)
        patch.setattr(comparing, "SERIES", 2)
        changes = compared({}, after, *bounds)

    devices = Counter(device for device, _ in after)
    largest = sorted(devices, key=lambda device: (-devices[device], device))
    assert [day.device_id for day in changes.days] == sorted(largest[:3])
    others = [devices[device] for device in largest[3:]]
    rest = OtherDevices("1970-01-01", len(others), 0, sum(others), 0)
    assert changes.other_devices == ((rest,) if others else ())
    series = Counter((device, metric) for (device, _), one in after.items() for metric in one.metrics)
    most = sorted(series.items(), key=lambda entry: (-entry[1], entry[0]))[:2]
    assert [((one.device_id, one.metric), one.changed) for one in changes.series] == sorted(most)


def test_of_metrics_without_number_some_are_listed_and_the_others_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "METRICS", 2)
    before = {("a", at): Held({f"invented-{at}": 1.0}) for at in range(5)}
    after = {("a", at): Held({f"invented-{at}": 1.0 + at}) for at in range(5)}

    changes = compared(before, after, ("a", 3))

    assert changes.metrics == {f"invented-{at}": MetricChange(changed=1, largest=at) for at in (1, 2)}
    assert changes.other_metrics == MetricChange(changed=2, largest=4.0)
