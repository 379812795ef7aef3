"""The environment `local` on the embedded AWS."""

import json

import boto3
import pytest

from config import settings as config
from local import deploy, process, up

pytestmark = pytest.mark.e2e


def test_the_deployment_answers_with_the_outputs_of_the_nested_stacks(outputs: dict[str, str]) -> None:
    assert outputs["StreamName"] == "readings-e2e"
    assert outputs["RawBucketName"].startswith("sensorkeep-raw-e2e-")


def test_the_root_stack_carries_the_cost_allocation_tags(running: process.Running) -> None:
    stack = boto3.client("cloudformation").describe_stacks(StackName=config.load(up.ENVIRONMENT).stack_name)["Stacks"][
        0
    ]
    tags = {tag["Key"]: tag["Value"] for tag in stack["Tags"]}

    assert tags["ManagedBy"] == "sensorkeep"
    assert tags["Environment"] == "e2e"


def test_deploying_again_changes_nothing(
    running: process.Running, outputs: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    events: list[deploy.Event] = []

    settings = config.load(up.ENVIRONMENT)
    again = up.deploy_system(running, settings, tmp_path_factory.mktemp("build"), events.append)

    assert again == outputs
    assert events == []


def test_a_failing_resource_is_named_with_its_reason(emulator: process.Running) -> None:
    alarm = {"MetricName": "m", "Namespace": "n", "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1}
    template = json.dumps({"Resources": {"Broken": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}}})
    cloudformation = boto3.client("cloudformation")

    for _ in range(2):  # what the first attempt leaves behind does not stand in the way of the second
        with pytest.raises(deploy.DeployError, match=r"^Broken \(AWS::CloudWatch::Alarm\): CREATE_FAILED: Threshold"):
            deploy.deploy(cloudformation, "failing", template, {}, lambda _: None)
