"""What docs/reference-systems.md promises of watching, devices and the batch side, found in the deployed stacks."""

import json

import pytest

from templates.shared.functions import NAMESPACE
from tests.e2e.printed import SYSTEMS
from tests.e2e.systems import System

pytestmark = pytest.mark.e2e

SHOWN = {
    "AWS/Kinesis": {"IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"},
    "AWS/Lambda": {"Invocations", "Errors", "Duration", "ConcurrentExecutions"},
    "AWS/Firehose": {"DeliveryToS3.Success", "DeliveryToS3.DataFreshness", "DeliveryToS3.Records"},
    "AWS/DynamoDB": {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "WriteThrottleEvents"},
    "AWS/States": {"ExecutionsSucceeded", "ExecutionsFailed"},
    NAMESPACE: {"BacklogAgeSeconds", "RowsCommitted", "RecordsQuarantined"},
}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, systems: dict[str, System]) -> System:
    """Each system in turn."""
    return systems[request.param]


@pytest.fixture
def works(systems: dict[str, System]) -> System:
    """The system `manufacturing`."""
    return systems["manufacturing"]


@pytest.mark.promise("iot-processing", "dashboard")
def test_the_dashboard_shows_stream_function_delivery_table_and_compaction(system: System) -> None:
    name = system.outputs["DashboardName"]
    body = json.loads(system.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    metrics = [
        metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", []) if len(metric) > 1
    ]

    assert name == system.settings.stack_name
    for namespace, names in SHOWN.items():
        assert names <= {metric[1] for metric in metrics if metric[0] == namespace}
    for namespace, metric, *dimensions in metrics:
        named = [part for part in dimensions if isinstance(part, str)]
        assert named, f"{namespace} {metric} has no dimension"
        assert len(named) % 2 == 0


@pytest.mark.promise("iot-processing", "alarms")
@pytest.mark.parametrize(
    ("alarm", "metric", "statistic", "periods", "threshold"),
    [
        ("stream-throttled", "WriteProvisionedThroughputExceeded", "Sum", 2, 100),
        ("function-errors", "Errors", "Sum", 1, 10),
        ("function-duration", "Duration", "Average", 1, 50_000),
    ],
)
def test_the_alarms_tell_the_topic(
    system: System, alarm: str, metric: str, statistic: str, periods: int, threshold: float
) -> None:
    name = f"{system.settings.system}-{alarm}-{system.settings.suffix}"
    (found,) = system.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]

    assert (found["MetricName"], found["Statistic"], found["Period"]) == (metric, statistic, 300)
    assert (found["EvaluationPeriods"], found["Threshold"]) == (periods, threshold)
    assert found["ComparisonOperator"] == "GreaterThanThreshold"
    assert found["AlarmActions"] == [system.outputs["AlertsTopicArn"]]


@pytest.mark.promise("manufacturing", "thing type")
def test_devices_have_a_type_with_searchable_attributes(works: System) -> None:
    found = works.client("iot").describe_thing_type(thingTypeName="manufacturing-sensor-works")

    assert works.outputs["IotThingTypeName"] == "manufacturing-sensor-works"
    assert found["thingTypeProperties"]["searchableAttributes"] == ["location", "facility", "equipment_type"]


@pytest.mark.promise("manufacturing", "topic rule")
def test_the_topic_rule_feeds_the_stream_by_device_and_has_an_error_action(works: System) -> None:
    rule = works.client("iot").get_topic_rule(ruleName="sensor_data_rule_works")["rule"]

    assert " FROM 'manufacturing/sensors/+/data' " in rule["sql"]
    assert rule["awsIotSqlVersion"] == "2016-03-23"
    (action,) = rule["actions"]
    assert action["kinesis"]["streamName"] == works.outputs["KinesisStreamName"]
    assert action["kinesis"]["partitionKey"] == "${topic(3)}"
    assert rule["errorAction"]["s3"]["bucketName"] == works.outputs["SensorDataBucketName"]


@pytest.mark.promise("manufacturing", "log groups")
@pytest.mark.parametrize("name", ["/aws/lambda/iot-processor-works", "/aws/iot/iot-rules-works"])
def test_the_log_groups_are_encrypted_and_kept_a_year(works: System, name: str) -> None:
    (group,) = works.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]

    assert group["logGroupName"] == name
    assert group["kmsKeyId"] == works.outputs["KeyArn"]
    assert group["retentionInDays"] == 365


@pytest.mark.promise("both", "compaction")
def test_the_archive_is_compacted_on_a_schedule(system: System) -> None:
    machine = system.outputs["CompactStateMachineArn"]
    scheduler, group = system.client("scheduler"), system.settings.stack_name
    names = [one["Name"] for one in scheduler.list_schedules(GroupName=group)["Schedules"]]
    schedules = [scheduler.get_schedule(GroupName=group, Name=name) for name in names]
    (schedule,) = [one for one in schedules if json.loads(one["Target"]["Input"])["state_machine_arn"] == machine]

    assert schedule["Target"]["Arn"] == system.outputs["StartRunStateMachineArn"]
    assert system.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["status"] == "ACTIVE"
    assert schedule["State"] == "ENABLED"
