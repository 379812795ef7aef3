"""Alarms and the metrics that raise them: CloudFormation's, over exact dimensions, over the logs of functions."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from local.additions.cloudwatch import alarms, composite_alarms, embedded_metrics
from local.additions.services import RefusedError

REGION = "eu-central-1"
ACCOUNTS = (f"{number:012}" for number in itertools.count(8_000))
"""Every test has an account of its own."""


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The additions, installed until the test ends."""
    for store in ("_RESOURCE_HANDLERS", "_STACK_TAG_PROPERTY", "_REPLACING_PROPERTIES"):
        monkeypatch.setattr(provisioners, store, dict(getattr(provisioners, store)))
    monkeypatch.setattr(provisioners, "_cw_metric_alarm_record", provisioners._cw_metric_alarm_record)
    monkeypatch.setattr(cloudwatch, "_evaluate_alarm", cloudwatch._evaluate_alarm)
    alarms.install()
    composite_alarms.install()
    with request_scope(next(ACCOUNTS), REGION):
        yield


def alarm(name: str, **properties: Any) -> str:
    """An alarm from CloudFormation: errors of the function `one` above 2."""
    watched: dict[str, Any] = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": "one"}],
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "Threshold": 2,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    create = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]["create"]
    made, _ = create(name, watched | properties | {"AlarmName": name}, "stack")
    return str(made)


def composite(rule: str, **properties: Any) -> str:
    handlers = provisioners._RESOURCE_HANDLERS[composite_alarms.TYPE]
    name, _ = handlers["create"]("Unhealthy", {"AlarmName": "unhealthy", "AlarmRule": rule, **properties}, "stack")
    return str(name)


def count(errors: int, function: str = "one") -> None:
    cloudwatch.record_metric("AWS/Lambda", "Errors", errors, "Count", {"FunctionName": function})
    cloudwatch._evaluate_all_alarms()


def state(name: str) -> str:
    return str((cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name))["StateValue"])


def history(name: str) -> list[str]:
    entries = [item for item in cloudwatch._history_entries() if item["AlarmName"] == name]
    return [json.loads(item["HistoryData"])["newState"]["stateValue"] for item in entries]


def test_an_alarm_follows_the_metric_that_it_watches() -> None:
    alarm("errors")
    assert state("errors") == "INSUFFICIENT_DATA"

    count(2)
    assert state("errors") == "OK"
    count(1)
    assert state("errors") == "ALARM"


def test_another_functions_errors_are_not_its_own() -> None:
    alarm("errors")

    count(100, function="two")

    assert state("errors") == "INSUFFICIENT_DATA"


def test_an_alarm_may_watch_for_too_little() -> None:
    alarm("idle", ComparisonOperator="LessThanThreshold")

    count(1)

    assert state("idle") == "ALARM"


def test_an_alarm_over_math_is_recorded_with_its_expression() -> None:
    metrics = [{"Id": "q", "Expression": "100 * part / whole", "ReturnData": True}]
    alarm("share", Namespace=None, MetricName=None, Dimensions=None, Metrics=metrics)

    count(100)

    assert cloudwatch._alarms.get("share")["Metrics"] == metrics
    assert state("share") == "INSUFFICIENT_DATA"


def test_a_composite_alarm_follows_its_children() -> None:
    alarm("errors")
    alarm("others", Dimensions=[{"Name": "FunctionName", "Value": "two"}])
    composite('ALARM("errors") OR ALARM("others")', Tags=[{"Key": "Project", "Value": "x"}])
    assert state("unhealthy") == "OK"

    count(3, function="two")

    assert state("unhealthy") == "ALARM"
    assert history("unhealthy")[-1] == "ALARM"
    arn = cloudwatch._composite_alarms.get("unhealthy")["AlarmArn"]
    assert cloudwatch._resource_tags[arn] == {"Project": "x"}


def test_a_composite_alarm_changes_with_its_rule_and_goes_with_its_stack() -> None:
    alarm("errors")
    alarm("others", Dimensions=[{"Name": "FunctionName", "Value": "two"}])
    count(3)
    name = composite('ALARM("others")')
    handlers = provisioners._RESOURCE_HANDLERS[composite_alarms.TYPE]

    handlers["update"](name, {}, {"AlarmName": name, "AlarmRule": 'ALARM("errors")'}, "stack")
    assert state(name) == "ALARM"

    handlers["delete"](name, {})
    handlers["delete"](name, {})
    assert cloudwatch._composite_alarms.get(name) is None


def test_a_composite_alarm_over_an_alarm_that_is_not_there_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"alarms \[.*alarm:nobody\] in the alarm rule do not exist"):
        composite('ALARM("nobody")')


def line(**values: Any) -> str:
    described = {
        "Namespace": "Sensors",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": "Age", "Unit": "Seconds"}, {"Name": "Rows"}],
    }
    document = {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [described]}, "service": "lake", "Age": [5, 7], "Rows": 3}
    return json.dumps(document | values)


def points(name: str) -> list[tuple[float, str]]:
    found = cloudwatch._metrics.get(("Sensors", name, cloudwatch._dims_key({"service": "lake"}))) or []
    return [(point["Value"], point["Unit"]) for point in found]


def test_a_function_s_metrics_are_recorded_and_raise_their_alarm() -> None:
    own = {"Namespace": "Sensors", "MetricName": "Age", "Dimensions": [{"Name": "service", "Value": "lake"}]}
    alarm("old", **own, Statistic="Maximum", Threshold=6)

    embedded_metrics.record(line())

    assert points("Age") == [(5.0, "Seconds"), (7.0, "Seconds")]
    assert points("Rows") == [(3.0, "None")]
    assert state("old") == "ALARM"


@pytest.mark.parametrize("printed", ['{"_aws": 1}', '"_aws" is a word', line(Rows="many"), line(service=1)[:-2]])
def test_a_line_that_is_not_in_the_format_records_nothing(printed: str) -> None:
    embedded_metrics.record(printed)

    assert points("Age") == points("Rows") == []
