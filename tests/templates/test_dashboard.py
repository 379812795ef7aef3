"""The dashboard."""

import json
import re

from tests.templates.walking import references
from tests.templates.watching import (
    ALARM,
    COMPOSITE,
    DASHBOARD,
    DIMENSIONS,
    OF_OUR_RULES,
    monitoring,
)


def widgets(stack):
    return json.loads(stack.only(DASHBOARD)["DashboardBody"]["Fn::Sub"][0])["widgets"]


def lines(stack):
    return [line for widget in widgets(stack) for line in widget["properties"].get("metrics", ())]


@monitoring
def test_every_metric_of_the_dashboard_has_its_dimensions(stack):
    named = [line for line in lines(stack) if isinstance(line[0], str)]
    asked = [line[0] for line in lines(stack) if isinstance(line[0], dict)]

    assert len(named) > 40
    for namespace, _, *dimensions, options in named:
        assert dimensions[::2]
        assert set(dimensions[::2]) <= DIMENSIONS[namespace]
        assert all(dimensions[1::2])
        assert options["stat"] in ("Sum", "Average", "Maximum")
    assert len(asked) == 4
    assert all(OF_OUR_RULES.fullmatch(query["expression"]) for query in asked)


@monitoring
def test_the_dashboard_shows_every_part_of_the_pipeline(stack):
    assert {line[0] for line in lines(stack) if isinstance(line[0], str)} - {"AWS/SQS"} == set(DIMENSIONS) - {
        "AWS/S3",
        "AWS/SQS",
    }
    assert {line[1] for line in lines(stack) if isinstance(line[0], str)} >= {
        *("IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"),
        *("Invocations", "Errors", "Duration", "ConcurrentExecutions", "IteratorAge"),
        *("DeliveryToS3.Success", "DeliveryToS3.DataFreshness", "DeliveryToS3.Records"),
        *("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "WriteThrottleEvents", "ReadThrottleEvents"),
        *("ExecutionsSucceeded", "ExecutionsFailed", "BacklogAgeSeconds", "RowsCommitted", "RecordsQuarantined"),
        *("Connect.Success", "PublishIn.Success", "TopicMatch"),
    }


@monitoring
def test_the_dashboard_begins_with_the_runbook_and_the_state_of_every_alarm(stack):
    text, states = widgets(stack)[:2]

    assert "docs/runbook.md" in text["properties"]["markdown"]
    shown = states["properties"]["alarms"]
    assert shown[0] == "${PipelineUnhealthy}"
    assert set(shown) == {f"${{{title}}}" for title in stack.resources(ALARM, COMPOSITE)}


@monitoring
def test_widgets_do_not_overlap(stack):
    cells = [
        (x, y)
        for widget in widgets(stack)
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@monitoring
def test_every_placeholder_of_the_dashboard_is_filled_in(stack):
    text, values = stack.only(DASHBOARD)["DashboardBody"]["Fn::Sub"]

    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(values)
    for name, value in values.items():
        assert value in ({"Ref": name}, {"Fn::GetAtt": [name, "Arn"]})
    assert set(values) <= references(stack)
