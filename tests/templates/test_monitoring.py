"""Dashboard and alarms."""

import json
import re

import pytest

from tests.templates.walking import references, stacks_named

monitoring = pytest.mark.parametrize("stack", stacks_named("monitoring"), ids=lambda stack: stack.environment)

DIMENSIONS = {
    "AWS/DynamoDB": {"TableName", "GlobalSecondaryIndexName"},
    "AWS/Firehose": {"DeliveryStreamName"},
    "AWS/Kinesis": {"StreamName"},
    "AWS/Lambda": {"FunctionName", "EventSourceMappingUUID"},
    "AWS/S3": {"BucketName", "FilterId"},
    "AWS/States": {"StateMachineArn"},
    "Sensorkeep": {"service"},
}


def widgets(stack):
    text = stack.only("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"][0]
    return json.loads(text)["widgets"]


@monitoring
def test_every_alarm_tells_the_topic_when_trouble_begins_and_ends(stack):
    for alarm in stack.properties("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlertsTopicArn"}]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmDescription"]


def watched(alarm):
    """Metrics of an alarm, whether it watches one or an expression over several."""
    if "Metrics" not in alarm:
        return [alarm]
    return [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]


@monitoring
def test_every_alarm_watches_metrics_with_their_dimensions(stack):
    for alarm in stack.properties("AWS::CloudWatch::Alarm").values():
        assert watched(alarm)
        for metric in watched(alarm):
            names = {dimension["Name"] for dimension in metric["Dimensions"]}
            assert names
            assert names <= DIMENSIONS[metric["Namespace"]]


@monitoring
@pytest.mark.parametrize(
    ("title", "metric", "statistic", "periods", "threshold"),
    [
        ("StreamThrottled", "WriteProvisionedThroughputExceeded", "Sum", 2, 100),
        ("FunctionErrors", "Errors", "Sum", 1, 10),
        ("FunctionDuration", "Duration", "Average", 1, 50_000),
    ],
)
def test_the_promised_alarms_are_there(stack, title, metric, statistic, periods, threshold):
    alarm = stack.properties("AWS::CloudWatch::Alarm")[title]

    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == (metric, statistic, 300)
    assert (alarm["EvaluationPeriods"], alarm["Threshold"]) == (periods, threshold)
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


@monitoring
def test_what_nobody_would_notice_raises_an_alarm(stack):
    alarms = stack.properties("AWS::CloudWatch::Alarm").values()

    assert {metric["MetricName"] for alarm in alarms for metric in watched(alarm)} >= {
        "IteratorAge",
        "OnFailureDestinationDeliveredEventCount",
        "DroppedEventCount",
        "ReadingsQuarantined",
        "DeliveryToS3.DataFreshness",
        "PutRequests",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
    }


@monitoring
def test_the_quarantine_alarm_watches_the_share_of_all_readings(stack):
    alarm = stack.properties("AWS::CloudWatch::Alarm")["ReadingsQuarantined"]
    (returned,) = [query for query in alarm["Metrics"] if query["ReturnData"]]
    names = {query["Id"]: query["MetricStat"]["Metric"]["MetricName"] for query in alarm["Metrics"][:2]}

    assert names == {"part": "ReadingsQuarantined", "whole": "ReadingsReceived"}
    assert returned["Expression"] == "100 * part / whole"


def test_undelivered_messages_are_counted_by_the_raw_bucket():
    for storage, alarms in zip(stacks_named("storage"), stacks_named("monitoring"), strict=True):
        counted = storage.properties("AWS::S3::Bucket")["RawBucket"]["MetricsConfigurations"]
        alarm = alarms.properties("AWS::CloudWatch::Alarm")["MessagesUndelivered"]
        dimensions = {item["Name"]: item["Value"] for item in alarm["Dimensions"]}
        assert counted == [{"Id": dimensions["FilterId"], "Prefix": "errors/"}]
        assert dimensions["BucketName"] == {"Ref": "RawBucketName"}


def test_event_source_counts_are_switched_on_where_an_alarm_watches_them():
    for stack in stacks_named("realtime"):
        assert stack.only("AWS::Lambda::EventSourceMapping")["MetricsConfig"] == {"Metrics": ["EventCount"]}


@monitoring
def test_every_metric_of_the_dashboard_has_its_dimensions(stack):
    metrics = [metric for widget in widgets(stack) for metric in widget["properties"]["metrics"]]

    assert len(metrics) > 20
    for namespace, _, *dimensions, options in metrics:
        assert dimensions[::2]
        assert set(dimensions[::2]) <= DIMENSIONS[namespace]
        assert all(dimensions[1::2])
        assert options["stat"] in ("Sum", "Average", "Maximum")


@monitoring
def test_the_dashboard_shows_stream_function_archive_table_and_compaction(stack):
    shown = {metric[0] for widget in widgets(stack) for metric in widget["properties"]["metrics"]}

    assert shown == {"AWS/DynamoDB", "AWS/Firehose", "AWS/Kinesis", "AWS/Lambda", "AWS/States", "Sensorkeep"}


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
    text, values = stack.only("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"]

    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(values)
    assert set(values) <= references(stack)


def test_our_own_metrics_are_told_apart_by_system_and_suffix():
    """Two deployments in one account write to one namespace."""
    for stack in stacks_named("monitoring"):
        alarm = stack.properties("AWS::CloudWatch::Alarm")["ReadingsQuarantined"]
        (realtime,) = [item for item in stacks_named("realtime") if item.environment == stack.environment]
        service = realtime.only("AWS::Lambda::Function")["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for metric in watched(alarm):
            assert metric["Dimensions"] == [{"Name": "service", "Value": service}]
        assert service == stack.settings.stack_name
