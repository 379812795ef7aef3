"""What the changes of tasks add up to: everything is counted, what is listed is bounded."""

import pytest

from reprocessing.changes import (
    Alarms,
    Changes,
    DeviceDay,
    MetricChange,
    OtherDevices,
    Series,
)
from reprocessing.report import totals
from reprocessing.report.contents import Device, Others
from reprocessing.report.totals import Totals

NONE = Alarms(0, ())


def changes(*days: DeviceDay, **more: object) -> Changes:
    fields = dict.fromkeys(
        ("before", "before_duplicates", "after", "same", "changed", "added", "vanished", "attributes_changed"), 1
    )
    rest = {
        "vanished_by_source": {"a": 1},
        "metrics": {},
        "series": (),
        "alarms_before": NONE,
        "alarms_after": NONE,
    }
    return Changes(**{**fields, **rest, "days": days, **more})  # type: ignore[arg-type]


def test_days_and_devices_add_up_over_tasks_and_with_those_that_tasks_leave_out() -> None:
    found = Totals()
    found.add(changes(DeviceDay("d1", "a", 1, 2, 1), DeviceDay("d1", "b", 5, 5, 0)))
    found.add(changes(DeviceDay("d2", "a", 1, 1, 0), other_devices=(OtherDevices("d2", 3, 10, 20, 4),)))

    assert found.days == {"d1": (6, 7, 1), "d2": (11, 21, 4)}
    assert found.devices.listed() == (Device("a", 2, 3, 1), Device("b", 5, 5, 0))
    assert found.devices.others == Others(3, 10, 20, 4)
    assert found.readings({}).changed == 2
    assert found.vanished_by_source == {"a": 2}


def test_devices_beyond_what_is_listed_or_held_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "DEVICES", 1)
    monkeypatch.setattr(totals, "HELD", 2)
    found = Totals()
    found.add(changes(*(DeviceDay("d", name, 1, 1, number) for number, name in enumerate("abc"))))

    assert found.devices.listed() == (Device("b", 1, 1, 1),)
    assert found.devices.others == Others(2, 2, 2, 2)


def test_metrics_beyond_what_is_listed_or_held_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "METRICS", 1)
    monkeypatch.setattr(totals, "HELD", 2)
    found = Totals()
    metrics = {name: MetricChange(number, largest=float(number)) for number, name in enumerate("abc", start=1)}
    found.add(changes(metrics=metrics, other_metrics=MetricChange(gone=7)))

    assert found.metrics.listed() == {"b": MetricChange(2, largest=2.0)}
    assert found.metrics.others == MetricChange(4, gone=7, largest=3.0)


def test_the_series_that_differ_most_over_all_tasks_come_first() -> None:
    found = Totals()
    found.add(changes(series=(Series("a", "x", 3), Series("b", "x", 4))))
    found.add(changes(series=(Series("a", "x", 2),)))

    assert found.most_changed() == (Series("a", "x", 5), Series("b", "x", 4))
