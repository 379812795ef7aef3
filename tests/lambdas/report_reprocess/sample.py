"""A report with something in all its parts."""

import math
from typing import Any

from reprocessing.changes import (
    Alarm,
    AlarmCount,
    Alarms,
    MetricChange,
    Series,
)
from reprocessing.report.contents import (
    Alerts,
    Day,
    Device,
    Found,
    Hot,
    Others,
    Readings,
    Records,
    Refusal,
    Report,
    Written,
)
from reprocessing.report.costs import Estimate, Thaw
from reprocessing.report.curves import Curve, Curves
from reprocessing.request import Request, Scope
from sensors.settings import Threshold

UNITS = {"temperature": "°C", "vibration": "mm/s"}
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
START_MS = 1_795_219_200_000  # 2026-11-21
WEEK = Scope(START_MS, START_MS + 7 * DAY_MS, ("press-2", "pump-*"))


def alarms(count: int) -> Alarms:
    """An alarm every two hours."""
    times = [START_MS + number * 2 * HOUR_MS for number in range(count)]
    listed = tuple(
        Alarm(f"pump-{number % 3}", "temperature", "critical", 80.0, None, at, at + 60_000, 6, 83.125)
        for number, at in enumerate(times)
    )
    counts = tuple(AlarmCount(f"pump-{number}", "temperature", count // 3) for number in range(3))
    return Alarms(count, listed, {at // HOUR_MS: 1 for at in times}, counts)


def report(**changes: Any) -> Report:
    """An applied run over a week, unless it is changed."""
    asked = Request(WEEK, "archive", ("table", "hot"), "apply", 500, "Standard", 1, "Scaled wrongly.", by="kim")
    fields: dict[str, Any] = {
        "run_id": "reprocess-2026-11-28",
        "mode": "apply",
        "outcome": "applied",
        "request": asked,
        "started_at": "2026-11-28T08:00:00.000Z",
        "finished_at": "2026-11-28T08:07:31.000Z",
        "duration_s": 451,
        "executions": ("reprocess-2026-11-28", "again"),
        "snapshot_before": "5541212345678901234",
        "snapshot_id": "8812345678901234567",
        "refused": None,
        "found": Found(
            1512,
            73_400_320,
            3,
            17,
            2,
            1,
            4_200_000,
            ("raw-data/year=2026/month=11/day=21/hour=09/a.gz",),
            ("raw-data/late.gz",),
            240,
        ),
        "records": Records(604_800, 604_100, 420, 280, 0, {"bad_metric": 280}, 12, 3),
        "readings": Readings(604_000, 12, 604_100, 403_900, 200_000, 200, 100, 5, {"quarantined: bad_metric": 100}),
        "days": tuple(Day(f"2026-11-{21 + number}", 86_300, 86_400, 28_000 + number) for number in range(7)),
        "devices": tuple(Device(f"pump-{number}", 50_000, 50_003, 50_000 - number) for number in range(12)),
        "other_devices": Others(30, 12_000, 12_010, 40),
        "metrics": {"temperature": MetricChange(200_000, 0, 0, 64.8), "vibration": MetricChange(0, 120, 7, 0.0)},
        "other_metrics": MetricChange(changed=3),
        "series": (Series("pump-1", "temperature", 50_000),),
        "alarms_before": alarms(40),
        "alarms_after": alarms(6),
        "alarms_given": None,
        "alerts": Alerts(6, 0, 0),
        "hot": Hot(12_000, 4_000, 3, 200),
        "written": Written(604_012, 604_100, 14, 7),
        "estimate": Estimate(400, 0.0231, Thaw(1, 4_200_000, 5.0, 0.0001, 0)),
    }
    return Report(**(fields | changes))


def back_test() -> Report:
    """A back-test of another limit."""
    rules = {"temperature": (Threshold("critical", above=75.0),)}
    asked = Request(WEEK, "archive", ("table",), "backtest", 500, "Standard", 1, "Lower?", rules=rules)
    return report(request=asked, mode="backtest", outcome="looked", snapshot_id=None, hot=None, alarms_given=alarms(19))


def refused() -> Report:
    """A run that would have ended with fewer readings."""
    cause = "The range has 604000 readings and would have 603900; 100 would be lost. " + "Nothing is published. " * 10
    return report(outcome="refused", snapshot_id=None, hot=None, refused=Refusal("FewerReadings", cause))


def curves(device: str = "pump-1") -> Curves:
    """A temperature that was too high from a moment on, with a spike, and a gap."""
    wave = [20 + 5 * math.sin(number / 9) for number in range(240)]
    before = [(value * 1.8, value * 1.8 + 1) if number > 80 else (value, value) for number, value in enumerate(wave)]
    after = [(value, value + (30 if number == 100 else 1)) for number, value in enumerate(wave)]
    gap = tuple(None if 150 < number < 170 else band for number, band in enumerate(after))
    return Curves((Curve(device, "temperature", START_MS, START_MS + 7 * DAY_MS, tuple(before), gap),), "Cut.")
