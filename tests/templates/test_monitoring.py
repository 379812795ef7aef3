"""The alarms."""

import pytest

from config.settings import load
from tests.changed import changed
from tests.templates.walking import stacks_named, stacks_of
from tests.templates.watching import (
    COMPOSITE,
    DIMENSIONS,
    OF_OUR_RULES,
    alarms,
    monitoring,
    queries,
    watched,
    with_everything,
)

MISSING = {"BacklogOld": "ignore", "CompactionOverdue": "breaching", "AlertsUndelivered": "ignore"}
"""Alarms for which no data does not mean that all is well."""
ANNOUNCING = {
    "CommitErrors",
    "CompactionFailed",
    "CompactionThrottled",
    "CompactionTimedOut",
    "FunctionDuration",
    "OptimizationFailed",
    "OptimizationTimedOut",
    "PlanErrors",
    "ReprocessingFailed",
    "ReprocessingTimedOut",
    "RotationFailed",
    "RunNotStarted",
    "WriteErrors",
}
"""Alarms that do not make the pipeline unhealthy: nothing is late or lost yet."""


@monitoring
def test_every_alarm_tells_the_topic_when_trouble_begins_and_ends(stack):
    for alarm in [*alarms(stack).values(), stack.only(COMPOSITE)]:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlertsTopicArn"}]
        assert "ActionsEnabled" not in alarm


@monitoring
def test_no_data_means_that_all_is_well_but_where_it_cannot(stack):
    for title, alarm in alarms(stack).items():
        assert alarm["TreatMissingData"] == MISSING.get(title, "notBreaching"), title


@monitoring
def test_every_alarm_watches_metrics_with_their_dimensions(stack):
    for title, alarm in alarms(stack).items():
        assert watched(alarm) or queries(alarm), title
        for metric in watched(alarm):
            names = {dimension["Name"] for dimension in metric["Dimensions"]}
            assert names
            assert names <= DIMENSIONS[metric["Namespace"]]


@monitoring
def test_alarms_over_dynamodb_end_although_it_says_nothing_when_all_is_well(stack):
    """They ignore missing data, whatever they are told
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html)."""
    over_dynamodb = {
        title: alarm
        for title, alarm in alarms(stack).items()
        if "AWS/DynamoDB" in {metric["Namespace"] for metric in watched(alarm)}
    }

    assert "TableThrottled" in over_dynamodb
    for alarm in over_dynamodb.values():
        assert alarm["Metrics"][-1]["Expression"] == "FILL(throttled, 0)"


@monitoring
def test_a_stream_that_nobody_reads_raises_an_alarm_for_each_of_its_readers(stack):
    readers = {
        "ReadingsUnread": ("AWS/Lambda", "Invocations", {"Ref": "ProcessReadingsName"}),
        "ArchiveUnread": ("AWS/Firehose", "DataReadFromKinesisStream.Records", {"Ref": "FirehoseName"}),
    }
    for title, (namespace, name, reader) in readers.items():
        incoming, reads, returned = alarms(stack)[title]["Metrics"]
        assert incoming["MetricStat"]["Metric"]["MetricName"] == "IncomingRecords"
        metric = reads["MetricStat"]["Metric"]
        assert (metric["Namespace"], metric["MetricName"]) == (namespace, name)
        assert metric["Dimensions"][0]["Value"] == reader
        assert returned["Expression"] == "IF(incoming > 0 AND FILL(reads, 0) < 1, 1, 0)"


@monitoring
def test_every_query_is_about_both_of_our_topic_rules(stack):
    asked = [query["Fn::Sub"] for alarm in alarms(stack).values() for query in queries(alarm)]

    assert len(asked) == 2
    for text, values in asked:
        assert OF_OUR_RULES.fullmatch(text).groups() == ("ReadingsRuleName", "RawPayloadRuleName")
        assert values == {name: {"Ref": name} for name in ("ReadingsRuleName", "RawPayloadRuleName")}


@monitoring
def test_cloudwatch_can_look_back_as_far_as_each_alarm_asks(stack):
    """At most a day, or a week in periods of an hour and more
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html)."""
    for title, alarm in alarms(stack).items():
        period = alarm.get("Period", 300)
        assert period * alarm["EvaluationPeriods"] <= (604_800 if period >= 3600 else 86_400), title


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
    alarm = alarms(stack)[title]

    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == (metric, statistic, 300)
    assert (alarm["EvaluationPeriods"], alarm["Threshold"]) == (periods, threshold)
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


@monitoring
def test_what_nobody_would_notice_raises_an_alarm(stack):
    found = alarms(stack).values()

    assert {metric["MetricName"] for alarm in found for metric in watched(alarm)} >= {
        "BacklogAgeSeconds",
        "DataReadFromKinesisStream.Records",
        "DeliveryToS3.DataFreshness",
        "DroppedEventCount",
        "ExecutionThrottled",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "IteratorAge",
        "OnFailureDestinationDeliveredEventCount",
        "PutRequests",
        "ReadingsQuarantined",
        "WriteThrottleEvents",
    }
    asked = " ".join(query["Fn::Sub"][0] for alarm in found for query in queries(alarm))
    assert "SUM(Failure)" in asked
    assert "SUM(ErrorActionFailure)" in asked


@monitoring
def test_every_function_of_the_pipeline_has_an_alarm_on_its_errors(stack):
    failing = [alarm for alarm in alarms(stack).values() if alarm.get("MetricName") == "Errors"]

    assert {alarm["Dimensions"][0]["Value"]["Ref"] for alarm in failing} >= {
        "ProcessReadingsName",
        "PlanCompactionName",
        "WriteParquetName",
        "CommitTableName",
    }


@monitoring
def test_where_compaction_is_scheduled_too_long_without_a_success_raises_an_alarm(stack):
    scheduled = stack.environment != "local"

    assert ("CompactionOverdue" in alarms(stack)) is scheduled
    if scheduled:
        alarm = alarms(stack)["CompactionOverdue"]
        assert (alarm["MetricName"], alarm["ComparisonOperator"]) == ("ExecutionsSucceeded", "LessThanThreshold")
        assert (alarm["Threshold"], alarm["Period"], alarm["EvaluationPeriods"]) == (1, 3600, 3)


@pytest.mark.parametrize(
    ("title", "taken"),
    [
        ("AlertsUndelivered", {"alerts": {"webhook": None}}),
        ("RotationFailed", {"alerts": {"webhook": None}, "credentials": None}),
        ("IndexThrottled", {"hot_table": {"sensor_type_index": None}}),
    ],
)
def test_what_a_system_does_not_have_has_no_alarm(title, taken):
    assert title in alarms(with_everything())
    assert title not in alarms(with_everything(**taken))


def test_the_settings_move_the_thresholds():
    limits = {
        "step_errors": ("PlanErrors", "Threshold"),
        "throttled_items": ("TableThrottled", "Threshold"),
        "backlog_age_s": ("BacklogOld", "Threshold"),
        "compaction_overdue_h": ("CompactionOverdue", "EvaluationPeriods"),
    }
    settings = changed(load("dev", {}), monitoring={name: 5000 if "age" in name else 7 for name in limits})
    (stack,) = [stack for stack in stacks_of(settings, "moved") if stack.name == "monitoring"]

    for name, (title, field) in limits.items():
        assert alarms(stack)[title][field] == (5000 if "age" in name else 7), name


@monitoring
def test_the_quarantine_alarm_watches_the_share_of_all_readings(stack):
    alarm = alarms(stack)["ReadingsQuarantined"]
    (returned,) = [query for query in alarm["Metrics"] if query["ReturnData"]]
    names = {query["Id"]: query["MetricStat"]["Metric"]["MetricName"] for query in alarm["Metrics"][:2]}

    assert names == {"part": "ReadingsQuarantined", "whole": "ReadingsReceived"}
    assert returned["Expression"] == "100 * part / whole"


@monitoring
def test_the_pipeline_is_unhealthy_when_data_is_late_or_lost_and_not_when_trouble_is_only_announced(stack):
    separator, parts = stack.only(COMPOSITE)["AlarmRule"]["Fn::Join"]

    assert separator == " OR "
    assert {text for text, _ in (part["Fn::Sub"] for part in parts)} == {'ALARM("${Alarm}")'}
    children = [part["Fn::Sub"][1]["Alarm"]["Ref"] for part in parts]
    assert len(children) == len(set(children)) <= 100
    assert set(children) == set(alarms(stack)) - ANNOUNCING


def test_undelivered_messages_are_counted_by_the_raw_bucket():
    for storage, stack in zip(stacks_named("storage"), stacks_named("monitoring"), strict=True):
        counted = storage.properties("AWS::S3::Bucket")["RawBucket"]["MetricsConfigurations"]
        alarm = alarms(stack)["MessagesUndelivered"]
        dimensions = {item["Name"]: item["Value"] for item in alarm["Dimensions"]}
        assert counted == [{"Id": dimensions["FilterId"], "Prefix": "errors/"}]
        assert dimensions["BucketName"] == {"Ref": "RawBucketName"}


def test_event_source_counts_are_switched_on_where_an_alarm_watches_them():
    for stack in stacks_named("realtime"):
        assert stack.only("AWS::Lambda::EventSourceMapping")["MetricsConfig"] == {"Metrics": ["EventCount"]}


def test_our_own_metrics_are_told_apart_by_system_and_suffix():
    """Two deployments in one account write to one namespace."""
    for stack in stacks_named("monitoring"):
        functions = [
            function["Environment"]["Variables"]
            for other in (*stacks_named("realtime"), *stacks_named("batch"))
            if other.environment == stack.environment
            for function in other.properties("AWS::Lambda::Function").values()
        ]
        own = [metric for alarm in alarms(stack).values() for metric in watched(alarm)]
        own = [metric for metric in own if not metric["Namespace"].startswith("AWS/")]
        assert own
        for metric in own:
            assert metric["Dimensions"] == [{"Name": "service", "Value": stack.settings.stack_name}]
            for variables in functions:
                assert variables["POWERTOOLS_METRICS_NAMESPACE"] == metric["Namespace"]
                assert variables["POWERTOOLS_SERVICE_NAME"] == stack.settings.stack_name
