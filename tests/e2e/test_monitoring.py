"""Dashboard, alarms and runbook of a deployed system: they are about things that exist, and trouble reaches people."""

import base64
import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from compaction.hours import hour_prefix
from config import settings as config
from local import process, up
from optimization.manifests import ledger_key, orphans_key
from templates import root
from templates.shared.alarms import entry
from templates.shared.functions import NAMESPACE
from tests.changed import changed
from tests.e2e.documents import OF_THE_WEBHOOK, REDRIVE, RUNBOOK, commands, operator_of, type_in
from tests.e2e.resources import eventually

pytestmark = pytest.mark.e2e

SETTINGS = changed(
    config.load("local", {"ENVIRONMENT_SUFFIX": "watch", "REPOSITORY": "https://example.com/sensors"}),
    compaction={"enabled": True, "schedule": "cron(0 0 1 1 ? *)"},  # once a year
    hot_table={"sensor_type_index": {}},
)
STACK = SETTINGS.stack_name
TYPED = [
    f"{line} --generate-cli-skeleton output" if line in REDRIVE else line
    for line in commands(RUNBOOK)
    if line not in OF_THE_WEBHOOK
]


class System:
    """The deployed system, and a queue that hears what its alerts topic says."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs
        self.cloudwatch: Any = boto3.client("cloudwatch")
        self._sqs: Any = boto3.client("sqs")
        self._queue: str = self._sqs.create_queue(QueueName=f"{STACK}-inbox")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": json.dumps({"Statement": [allow]})})
        boto3.client("sns").subscribe(
            TopicArn=outputs["AlertsTopicArn"],
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true"},
        )
        self._heard: list[dict[str, Any]] = []

    def heard(self, alarm: str, state: str) -> list[dict[str, Any]]:
        """Messages until now that say the alarm has come to this state."""
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            self._heard += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        wanted = (name(alarm), state)
        return [said for said in self._heard if (said.get("AlarmName"), said.get("NewStateValue")) == wanted]

    def alarms(self) -> dict[str, dict[str, Any]]:
        """Every alarm of the system, the composite one too, by name."""
        pages = self.cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        found = [alarm for page in pages for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"])]
        return {alarm["AlarmName"]: alarm for alarm in found if alarm["AlarmName"].endswith(f"-{SETTINGS.suffix}")}

    def state(self, alarm: str) -> str:
        return str(self.alarms()[name(alarm)]["StateValue"])

    def set_state(self, alarm: str, state: str) -> None:
        self.cloudwatch.set_alarm_state(AlarmName=name(alarm), StateValue=state, StateReason="a test says so")

    def run(self, machine: str) -> str:
        """Run `Compact` or `Optimize`; its status at the end."""
        states: Any = boto3.client("stepfunctions")
        started = states.start_execution(stateMachineArn=self.outputs[f"{machine}StateMachineArn"], input="{}")
        arn = started["executionArn"]
        return str(eventually(lambda: status if (status := _status(states, arn)) != "RUNNING" else ""))

    def shown(self) -> list[dict[str, Any]]:
        """The metric lines of the dashboard: namespace, name and dimensions."""
        body = self.cloudwatch.get_dashboard(DashboardName=self.outputs["DashboardName"])["DashboardBody"]
        lines = [
            line
            for widget in json.loads(body)["widgets"]
            if widget["type"] == "metric"
            for line in widget["properties"]["metrics"]
            if isinstance(line[0], str)
        ]
        return [
            {"namespace": line[0], "name": line[1], "dimensions": dict(zip(line[2:-1:2], line[3:-1:2], strict=True))}
            for line in lines
        ]


def name(alarm: str) -> str:
    """The name of the alarm with this logical id."""
    return f"{SETTINGS.system}-{entry(alarm)}-{SETTINGS.suffix}"


def _status(states: Any, arn: str) -> str:
    return str(states.describe_execution(executionArn=arn)["status"])


@pytest.fixture(scope="module")
def system(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> System:
    return System(up.deploy_system(emulator, SETTINGS, tmp_path_factory.mktemp("watch"), lambda _: None))


def event(*payloads: dict[str, Any]) -> dict[str, Any]:
    """What Lambda gives the function: a batch of the stream."""
    now = time.time()
    return {
        "Records": [
            {
                "kinesis": {
                    "sequenceNumber": str(number),
                    "data": base64.b64encode(json.dumps(payload).encode()).decode(),
                    "approximateArrivalTimestamp": now,
                    "partitionKey": "press",
                },
                "eventID": f"shardId-000000000000:{number}",
                "eventSourceARN": "arn:aws:kinesis:eu-central-1:000000000000:stream/watch",
            }
            for number, payload in enumerate(payloads, 1)
        ]
    }


def archive_hours_ago(system: System, hours: int) -> None:
    """An object of the archive that Firehose wrote hours ago and that no run has taken."""
    then = datetime.now(UTC) - timedelta(hours=hours)
    reading = {"device_id": "press-1", "timestamp": then.timestamp(), "temperature": 20.5}
    key = f"{hour_prefix(then)}part.gz"
    body = gzip.compress(json.dumps(reading).encode() + b"\n")
    boto3.client("s3").put_object(Bucket=system.outputs["RawBucketName"], Key=key, Body=body)


@pytest.mark.promise("iot-processing", "alarms")
def test_every_alarm_of_the_template_is_there_and_tells_the_topic(system: System) -> None:
    resources = json.loads(root.stacks(SETTINGS)["monitoring"].to_json())["Resources"]
    alarms = system.alarms()

    assert set(alarms) == {name(title) for title in resources if title != "Dashboard"}
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [system.outputs["AlertsTopicArn"]]
        assert alarm["ActionsEnabled"] is True
        assert "https://example.com/sensors/blob/HEAD/docs/runbook.md#" in alarm["AlarmDescription"]


@pytest.mark.promise("iot-processing", "dashboard")
def test_every_metric_of_the_dashboard_is_of_something_deployed(system: System) -> None:
    pages = boto3.client("lambda").get_paginator("list_functions").paginate()
    functions = [function for page in pages for function in page["Functions"]]
    mappings = boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    table = boto3.client("dynamodb").describe_table(TableName=system.outputs["ReadingsTableName"])["Table"]
    machines = boto3.client("stepfunctions").list_state_machines()["stateMachines"]
    deployed = {
        "DeliveryStreamName": boto3.client("firehose").list_delivery_streams()["DeliveryStreamNames"],
        "EventSourceMappingUUID": [mapping["UUID"] for mapping in mappings],
        "FunctionName": [function["FunctionName"] for function in functions],
        "GlobalSecondaryIndexName": [index["IndexName"] for index in table["GlobalSecondaryIndexes"]],
        "Protocol": ["MQTT"],
        "RuleName": [rule["ruleName"] for rule in boto3.client("iot").list_topic_rules()["rules"]],
        "StateMachineArn": [machine["stateMachineArn"] for machine in machines],
        "StreamName": boto3.client("kinesis").list_streams()["StreamNames"],
        "TableName": [table["TableName"]],
        "service": [STACK],
    }

    assert {dimension for line in system.shown() for dimension in line["dimensions"]} == set(deployed)
    for line in system.shown():
        for dimension, value in line["dimensions"].items():
            assert value in deployed[dimension], line


def test_the_functions_emit_what_dashboard_and_alarms_watch(system: System) -> None:
    reading = {"device_id": "press-1", "timestamp": time.time(), "temperature": 20.5}
    boto3.client("lambda").invoke(
        FunctionName=system.outputs["ProcessReadingsName"], Payload=json.dumps(event(reading))
    )
    archive_hours_ago(system, 2)
    assert [system.run("Compact"), system.run("Optimize")] == ["SUCCEEDED", "SUCCEEDED"]

    listed = system.cloudwatch.list_metrics(Namespace=NAMESPACE, Dimensions=[{"Name": "service", "Value": STACK}])
    emitted = {metric["MetricName"] for metric in listed["Metrics"]}
    assert all(metric["Dimensions"] == [{"Name": "service", "Value": STACK}] for metric in listed["Metrics"])
    assert {line["name"] for line in system.shown() if line["namespace"] == NAMESPACE} == emitted
    watched = [metric for alarm in system.alarms().values() for metric in own_metrics(alarm)]
    assert {metric["MetricName"] for metric in watched} <= emitted
    assert all(metric["Dimensions"] == [{"Name": "service", "Value": STACK}] for metric in watched)


def own_metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of our functions that an alarm watches, alone or in an expression."""
    metrics = [alarm, *(query["MetricStat"]["Metric"] for query in alarm.get("Metrics", ()) if "MetricStat" in query)]
    return [metric for metric in metrics if metric.get("Namespace") == NAMESPACE]


def test_the_pipeline_is_unhealthy_while_an_alarm_says_that_data_is_late(system: System) -> None:
    assert system.state("PipelineUnhealthy") == "OK"

    system.set_state("FunctionDuration", "ALARM")
    assert system.state("PipelineUnhealthy") == "OK"
    system.set_state("MessagesUndelivered", "ALARM")
    assert system.state("PipelineUnhealthy") == "ALARM"
    for alarm in ("MessagesUndelivered", "PipelineUnhealthy"):
        (said,) = eventually(lambda alarm=alarm: system.heard(alarm, "ALARM"))
        assert f"docs/runbook.md#{entry(alarm)}" in said["AlarmDescription"]

    system.set_state("MessagesUndelivered", "OK")
    assert system.state("PipelineUnhealthy") == "OK"
    assert eventually(lambda: system.heard("PipelineUnhealthy", "OK"))


def test_an_hour_that_waits_too_long_raises_the_alarm_by_what_the_planning_says(system: System) -> None:
    archive_hours_ago(system, 6)

    assert system.run("Compact") == "SUCCEEDED"

    assert eventually(lambda: system.heard("BacklogOld", "ALARM"))
    assert system.state("PipelineUnhealthy") == "ALARM"


def test_the_commands_of_the_runbook_work_on_a_system_in_trouble(system: System, tmp_path: Path, aws_cli: Path) -> None:
    reading = {"device_id": "press-set-aside", "timestamp": 1_795_251_600, "temperature": 20.5}
    s3: Any = boto3.client("s3")
    bucket, key = system.outputs["ProcessedBucketName"], "aws/lambda/mapping/shard/2026/11/21/record"
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({"version": "1.0", "payload": json.dumps(event(reading))}))
    swept = "warehouse/readings/data/measured_at_day=2026-11-21/run-00000.parquet"
    s3.put_object(Bucket=bucket, Key=swept, Body=b"rows")
    s3.delete_object(Bucket=bucket, Key=swept)
    s3.put_object(Bucket=bucket, Key=orphans_key("daily"), Body=json.dumps({"key": swept}))
    s3.put_object(Bucket=bucket, Key=ledger_key("daily"), Body=b"{}")

    typed = type_in(tmp_path, TYPED, operator_of(STACK, aws_cli))

    assert typed.returncode == 0, typed.stdout[-6000:]
    assert s3.get_object(Bucket=bucket, Key=swept)["Body"].read() == b"rows"
    assert all(name(alarm) in typed.stdout for alarm in ("BacklogOld", "PipelineUnhealthy"))
    item = {"device_id": {"S": "press-set-aside"}, "timestamp": {"N": "1795251600"}}
    assert "Item" in boto3.client("dynamodb").get_item(TableName=system.outputs["ReadingsTableName"], Key=item)
    assert s3.list_objects_v2(Bucket=bucket, Prefix="aws/lambda/")["KeyCount"] == 0
