"""Alarms over metric math: MiniStack's CloudFormation refuses them, so they are recorded, and never go off here."""

from typing import Any

MATH = {"Namespace": "metric math", "MetricName": "expression"}  # no metric has this name: there is no data, ever


def install() -> None:
    """Let CloudFormation create alarms that have `Metrics` in place of a metric."""
    from ministack.services.cloudformation import provisioners

    record = provisioners._cw_metric_alarm_record

    def record_any(name: str, properties: dict[str, Any]) -> dict[str, Any]:
        if not properties.get("Metrics"):
            return record(name, properties)  # type: ignore[no-any-return]
        alarm: dict[str, Any] = record(name, {**properties, **MATH, "Metrics": None})
        return {**alarm, "Metrics": properties["Metrics"]}

    provisioners._cw_metric_alarm_record = record_any
