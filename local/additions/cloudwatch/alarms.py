"""Alarms as AWS takes and evaluates them, where MiniStack does not.

Its CloudFormation refuses alarms over metric math and over queries: they are recorded, and never go off here. And it
evaluates an alarm over every metric of that name, whatever its dimensions: one system's errors would raise another's
alarm. What stays simpler than on AWS: the periods of an alarm are looked at as one, and data that is missing changes
nothing (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html).
"""

import operator
import time
from typing import Any

MATH = {"Namespace": "metric math", "MetricName": "expression"}  # no metric has this name: there is no data, ever
COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}

Alarm = dict[str, Any]


def install() -> None:
    """Let CloudFormation create alarms that have `Metrics` in place of a metric, and each alarm watch its own."""
    from ministack.services import cloudwatch
    from ministack.services.cloudformation import provisioners

    record = provisioners._cw_metric_alarm_record

    def record_any(name: str, properties: dict[str, Any]) -> Alarm:
        if not properties.get("Metrics"):
            return record(name, properties)  # type: ignore[no-any-return]
        alarm: Alarm = record(name, {**properties, **MATH, "Metrics": None})
        return {**alarm, "Metrics": properties["Metrics"]}

    provisioners._cw_metric_alarm_record = record_any
    cloudwatch._evaluate_alarm = evaluate


def evaluate(alarm: Alarm) -> None:
    """Move the alarm, with its actions, to the state that the metric it watches calls for; without data, leave it."""
    from ministack.services import cloudwatch

    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm["Dimensions"]))
    points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
    since = time.time() - alarm["Period"] * alarm["EvaluationPeriods"]
    recent = [point for point in points if point["Timestamp"] >= since]
    compare = COMPARISONS.get(alarm["ComparisonOperator"])
    if not recent or compare is None:
        return
    statistic = alarm["ExtendedStatistic"] or alarm["Statistic"]
    value = cloudwatch._stat_value(cloudwatch._calc_stats(recent), statistic, recent)
    state = "ALARM" if compare(value, alarm["Threshold"]) else "OK"
    if state != alarm["StateValue"]:
        reason = f"Threshold Crossed: {statistic} {value} {alarm['ComparisonOperator']} {alarm['Threshold']}"
        change = {"AlarmName": alarm["AlarmName"], "StateValue": state, "StateReason": reason}
        cloudwatch._set_alarm_state({}, change, False, True)
