"""What a run costs and how long it takes."""

from typing import Any

import msgspec
import pytest

from config.settings import load
from reprocessing.manifests import Plan
from reprocessing.report.costs import Thaw, estimate, thaw
from reprocessing.request import Request, Scope
from sensors.settings import FunctionSettings

SETTINGS = msgspec.convert(load("local", {}).model_dump(mode="json"), FunctionSettings)
GB = 1_000_000_000


def planned(tier: Any = "Standard", *, days: int = 30, **counts: int) -> Plan:
    request = Request(Scope(0, 1), "archive", ("table",), "dry_run", 100, tier, days, "a note")
    none = dict.fromkeys(
        ("tasks", "objects", "bytes", "waiting", "outside", "missing", "frozen", "frozen_bytes", "deep", "deep_bytes"),
        0,
    )
    return Plan("run", request, "rules", "2026-11-21T12:00:00.000Z", None, **none | counts)


@pytest.mark.parametrize(
    ("tier", "hours", "usd"),
    [
        # 1,000 requests, 10 GB, and 10 GB-months of copies at $0.023
        ("Expedited", 5 / 60, 10 + 0.30 + 0.23),
        ("Standard", 5, 0.05 + 0.10 + 0.23),
        ("Bulk", 12, 0.23),
    ],
)
def test_glacier_costs_by_tier(tier: str, hours: float, usd: float) -> None:
    found = thaw(planned(tier, frozen=1_000, frozen_bytes=10 * GB))

    assert found == Thaw(1_000, 10 * GB, hours, pytest.approx(usd), 0)


@pytest.mark.parametrize(("tier", "hours", "usd"), [("Standard", 12, 0.10 + 0.20), ("Bulk", 48, 0.025 + 0.025)])
def test_deep_archive_costs_by_tier(tier: str, hours: float, usd: float) -> None:
    found = thaw(planned(tier, frozen=1_000, frozen_bytes=10 * GB, deep=1_000, deep_bytes=10 * GB))

    assert found == Thaw(1_000, 10 * GB, hours, pytest.approx(usd + 0.23), 0)


def test_of_both_classes_the_slower_one_is_waited_for_and_both_are_paid() -> None:
    found = thaw(planned(frozen=2_000, frozen_bytes=20 * GB, deep=1_000, deep_bytes=10 * GB))

    assert found == Thaw(2_000, 20 * GB, 12, pytest.approx(0.05 + 0.10 + 0.10 + 0.20 + 0.46), 0)


def test_what_a_tier_does_not_restore_is_named_and_not_paid() -> None:
    found = thaw(planned("Expedited", frozen=3, frozen_bytes=3 * GB, deep=2, deep_bytes=2 * GB))

    assert (found.objects, found.bytes, found.refused) == (1, GB, 2)


def test_a_copy_is_paid_for_as_long_as_it_is_kept() -> None:
    week, month = (thaw(planned("Bulk", days=days, frozen=1, frozen_bytes=30 * GB)) for days in (7, 30))

    assert week.cost_usd == pytest.approx(month.cost_usd * 7 / 30)


def test_nothing_costs_nothing() -> None:
    found = estimate(planned(), SETTINGS, 0)

    assert (found.seconds, found.cost_usd, found.thaw) == (0, 0.0, Thaw(0, 0, 0.0, 0.0, 0))


def test_more_to_do_takes_longer_and_costs_more() -> None:
    small = estimate(planned(tasks=1, objects=100, bytes=GB // 100), SETTINGS, 0)
    large = estimate(planned(tasks=100, objects=10_000, bytes=GB), SETTINGS, 0)
    hot = estimate(planned(tasks=1, objects=100, bytes=GB // 100), SETTINGS, 100_000)

    assert small.seconds < large.seconds < 10 * small.seconds  # tasks are done side by side
    assert small.cost_usd < large.cost_usd
    assert hot.seconds - small.seconds == 1_000  # 100 items a second
    assert hot.cost_usd - small.cost_usd > 0.07  # a read and a write an item


def test_the_cost_of_a_run_has_that_of_its_frozen_objects() -> None:
    counts = {"objects": 1_000, "bytes": 10 * GB}
    warm = estimate(planned(tasks=157, **counts), SETTINGS, 0)
    frozen = estimate(planned(tasks=0, frozen=1_000, frozen_bytes=10 * GB, **counts), SETTINGS, 0)

    assert frozen.cost_usd == pytest.approx(warm.cost_usd + frozen.thaw.cost_usd)
    assert frozen.seconds == warm.seconds


def test_frozen_objects_without_a_byte_have_an_estimate_too() -> None:
    assert estimate(planned(objects=1, frozen=1), SETTINGS, 0).seconds > 0
