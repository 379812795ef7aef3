"""Threshold rules: which limits of the settings a reading is beyond."""

from collections.abc import Iterable, Mapping

import msgspec

from sensors.reading import Reading
from sensors.settings import Metric, Threshold


class Rule(msgspec.Struct, frozen=True):
    """One threshold of one declared metric."""

    metric: str
    unit: str
    threshold: Threshold

    def broken_by(self, value: float) -> bool:
        """Whether a value is beyond the limit; a value exactly on it is not."""
        if self.threshold.above is not None:
            return value > self.threshold.above
        return self.threshold.below is not None and value < self.threshold.below

    def worst(self, values: Iterable[float]) -> float:
        """The value furthest beyond the limit."""
        return max(values) if self.threshold.above is not None else min(values)


def rules(metrics: Mapping[str, Metric]) -> tuple[Rule, ...]:
    """The rules of the declared metrics, in the settings' order."""
    return tuple(
        Rule(name, metric.unit, threshold) for name, metric in metrics.items() for threshold in metric.thresholds
    )


def broken(reading: Reading, known: Iterable[Rule]) -> list[Rule]:
    """The rules that a reading breaks."""
    metrics = reading.metrics
    return [rule for rule in known if rule.metric in metrics and rule.broken_by(metrics[rule.metric])]
