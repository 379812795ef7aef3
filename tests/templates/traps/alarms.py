"""Trap 38: nothing goes wrong without somebody being told, and what is shown is there to be seen."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.templates.traps.systems import Resource, System, text
from tests.templates.walking import walk

WATCHED = {
    "DeliveryToS3.DataFreshness": "Firehose is behind",
    "IteratorAge": "the event source is behind",
    "OnFailureDestinationDeliveredEventCount": "records were set aside",
    "PutRequests": "messages lie below errors/",
    "ReadingsQuarantined": "many readings are rejected",
    "SUM(Failure)": "a rule's action failed",
}
"""Metrics, and sums of queries, that have to have an alarm which tells somebody, and what it tells."""

SUM = re.compile(r"SUM\(\w+\)")


def faults_of_alarms(system: System) -> set[str]:
    """Trap 38: every alarm tells somebody, decides what missing data means and has its dimensions; dashboards too."""
    alarms = list(system.resources("AWS::CloudWatch::Alarm"))
    faults = {f"{alarm}: leaves missing data open" for alarm in alarms if "TreatMissingData" not in alarm.properties}
    watched = [(alarm, metric) for alarm in alarms for metric in _metrics(alarm)]
    faults |= {f"{alarm}: tells nobody" for alarm in alarms if not alarm.properties.get("AlarmActions")}
    missing = set(WATCHED) - {metric["MetricName"] for _, metric in watched} - _sums(alarms)
    faults |= {f"no alarm when {WATCHED[name]}" for name in missing}
    faults |= {f"no alarm when an execution of {machine} failed" for machine in _unwatched(system, watched)}
    faults |= {f"{alarm}: a metric without dimensions" for alarm, metric in watched if not metric.get("Dimensions")}
    for dashboard in system.resources("AWS::CloudWatch::Dashboard"):
        for namespace, name, *dimensions in _shown(dashboard):
            if not any(isinstance(part, str) for part in dimensions):
                faults.add(f"{dashboard}: {namespace} {name} without dimensions")
    return faults


def _metrics(alarm: Resource) -> Iterator[dict[str, Any]]:
    """What an alarm watches: one metric, or those of an expression."""
    for value in walk(alarm.properties):
        if isinstance(value, dict) and "MetricName" in value:
            yield value


def _unwatched(system: System, watched: list[tuple[Resource, dict[str, Any]]]) -> set[str]:
    """State machines whose failed executions nobody is told of."""
    machines = {machine.title for machine in system.resources("AWS::StepFunctions::StateMachine")}
    told = str([metric["Dimensions"] for _, metric in watched if metric["MetricName"] == "ExecutionsFailed"])
    return {title for title in machines if f"'{title}StateMachineArn'" not in told}


def _sums(alarms: list[Resource]) -> set[str]:
    """What the queries of alarms add up."""
    return {
        found
        for alarm in alarms
        for query in alarm.properties.get("Metrics", ())
        for found in SUM.findall(text(query.get("Expression")))
    }


def _shown(dashboard: Resource) -> Iterator[list[Any]]:
    """Metrics of a dashboard's widgets; a row that begins with no namespace is an expression over others."""
    for widget in json.loads(text(dashboard.properties["DashboardBody"]))["widgets"]:
        for row in widget["properties"].get("metrics", ()):
            if isinstance(row[0], str):
                yield row
