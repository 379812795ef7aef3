"""Alarms and metrics of the monitoring stack, of every environment and of a system that has everything."""

import re
from typing import Any

import pytest

from tests.changed import changed, everything_on
from tests.templates.walking import Stack, stacks_named, stacks_of

DIMENSIONS = {
    "AWS/DynamoDB": {"TableName", "GlobalSecondaryIndexName"},
    "AWS/Firehose": {"DeliveryStreamName"},
    "AWS/IoT": {"RuleName", "Protocol"},
    "AWS/Kinesis": {"StreamName"},
    "AWS/Lambda": {"FunctionName", "EventSourceMappingUUID"},
    "AWS/S3": {"BucketName", "FilterId"},
    "AWS/SQS": {"QueueName"},
    "AWS/States": {"StateMachineArn"},
    "Sensorkeep": {"service"},
}
ALARM, COMPOSITE, DASHBOARD = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", "AWS::CloudWatch::Dashboard"
OF_OUR_RULES = re.compile(
    r"SELECT SUM\(\w+\) FROM \"AWS/IoT\" WHERE RuleName = '\$\{(\w+)\}' OR RuleName = '\$\{(\w+)\}'"
)


def with_everything(**but: object) -> Stack:
    """The monitoring of a system that has whatever settings can switch on, `but` these; its repository is a link."""
    settings = changed(everything_on(), tags={"repository": "https://example.com/sensors.git"})
    settings = changed(settings, **but)
    (stack,) = [stack for stack in stacks_of(settings, "everything") if stack.name == "monitoring"]
    return stack


def alarms(stack: Stack) -> dict[str, dict[str, Any]]:
    return stack.properties(ALARM)


def watched(alarm):
    """Metrics of an alarm, whether it watches one or an expression over several."""
    if "Metrics" not in alarm:
        return [alarm]
    return [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]


def queries(alarm):
    """Metrics Insights queries of an alarm."""
    return [query["Expression"] for query in alarm.get("Metrics", ()) if "Fn::Sub" in query.get("Expression", ())]


monitoring = pytest.mark.parametrize(
    "stack", [*stacks_named("monitoring"), with_everything()], ids=lambda stack: stack.environment
)
