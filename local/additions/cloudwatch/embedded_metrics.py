"""Metrics that functions print in the embedded metric format, which MiniStack leaves in the logs.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

MARK = '"_aws"'


class Datum(NamedTuple):
    """One value of one metric."""

    namespace: str
    name: str
    value: float
    unit: str
    dimensions: dict[str, str]


def install() -> None:
    """Record what a function's log says, and evaluate the alarms that watch it."""
    from ministack.services import lambda_svc

    write_log = lambda_svc._emit_lambda_logs

    def write_log_and_record(func: Any, request_id: str, log_text: str, *rest: Any, **options: Any) -> None:
        write_log(func, request_id, log_text, *rest, **options)
        for line in (log_text or "").splitlines():
            if MARK in line:
                record(line)

    lambda_svc._emit_lambda_logs = write_log_and_record


def record(line: str) -> None:
    """Take the metrics of one line of a log. A line that is not in the format is, as on AWS, only a line of the log."""
    from ministack.services import cloudwatch

    try:
        data = list(_data(json.loads(line)))
    except (ValueError, TypeError, KeyError):
        return
    for datum in data:
        cloudwatch.record_metric(*datum)
    told = {(datum.namespace, datum.name) for datum in data}
    for alarm in list(cloudwatch._alarms.values()):
        if (alarm["Namespace"], alarm["MetricName"]) in told:
            cloudwatch._evaluate_alarm(alarm)


def _data(document: dict[str, Any]) -> Iterator[Datum]:
    for described in document["_aws"]["CloudWatchMetrics"]:
        for names in described["Dimensions"]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in described["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    unit = metric.get("Unit", "None")
                    yield Datum(described["Namespace"], metric["Name"], float(value), unit, dimensions)
