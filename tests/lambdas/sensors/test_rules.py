"""Threshold rules: beyond the limit breaks them, the limit itself does not."""

import pytest

from sensors.reading import Reading
from sensors.rules import broken, rules
from sensors.settings import Metric, Threshold

HOT = Threshold("critical", above=100.0)
COLD = Threshold("warning", below=-10.0)
RULES = rules({"temperature": Metric("°C", (HOT, COLD)), "pressure": Metric("bar")})


def thresholds(**metrics: float) -> list[Threshold]:
    reading = Reading("a", 0, metrics, {}, 0, 0, late=False)
    return [rule.threshold for rule in broken(reading, RULES)]


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(100.0, []), (100.1, [HOT]), (0.0, []), (-10.0, []), (-10.1, [COLD])],
)
def test_a_rule_is_broken_beyond_its_limit(temperature, expected):
    assert thresholds(temperature=temperature) == expected


def test_a_metric_without_a_rule_and_a_rule_without_its_metric_raise_nothing():
    assert thresholds(pressure=1e9, humidity=1e9) == []


def test_the_worst_value_is_the_furthest_beyond_the_limit():
    hot, cold = RULES

    assert hot.worst([101.0, 130.0, 120.0]) == 130.0
    assert cold.worst([-11.0, -30.0, -20.0]) == -30.0
