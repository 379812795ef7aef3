"""The commands that a build prints, typed as they are, with the AWS CLI."""

import json
import subprocess

import boto3
import pytest

from local import process
from tests.e2e.printed import PACKAGED, SUFFIXES, SYSTEMS, environ, run_all, settings_of

pytestmark = pytest.mark.e2e

OUTPUTS = {
    "iot-processing": {
        "ApiSecretArn",
        "ApiSecretName",
        "DashboardName",
        "DynamodbTableName",
        "FirehoseName",
        "KinesisStreamName",
        "ProcessedDataBucketName",
        "ProcessorLambdaName",
        "RawDataBucketName",
        "SnsTopicName",
    },
    "manufacturing": {
        "CloudtrailName",
        "IotThingTypeName",
        "KinesisStreamName",
        "KmsKeyId",
        "LambdaFunctionName",
        "SensorDataBucketName",
        "SensorMetricsTableName",
    },
}
"""What each reference system promises to tell whoever deploys it."""


@pytest.fixture(scope="module")
def deployments(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands said that deployed both reference systems, and one more environment; by environment."""
    return run_all(tmp_path_factory.mktemp("printed"))


@pytest.mark.promise("both", "build and deploy")
@pytest.mark.parametrize("environment", [*SYSTEMS, PACKAGED])
def test_the_printed_commands_deploy_the_system(deployments: dict[str, str], environment: str) -> None:
    settings = settings_of(environment)
    assert f"Successfully created/updated stack - {settings.stack_name}" in deployments[environment]

    cloudformation = boto3.client("cloudformation", region_name=settings.region)
    (stack,) = cloudformation.describe_stacks(StackName=settings.stack_name)["Stacks"]
    tags = {tag["Key"]: tag["Value"] for tag in stack["Tags"]}
    assert (tags["ManagedBy"], tags["Environment"]) == ("sensorkeep", SUFFIXES[environment])


@pytest.mark.promise("iot-processing", "outputs")
@pytest.mark.promise("manufacturing", "outputs")
@pytest.mark.parametrize("environment", SYSTEMS)
def test_describe_stacks_shows_every_output(deployments: dict[str, str], environment: str) -> None:
    settings = settings_of(environment)

    said = subprocess.run(
        ["aws", "cloudformation", "describe-stacks", "--stack-name", settings.stack_name],
        env=environ(environment),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    outputs = {output["OutputKey"]: output["OutputValue"] for output in json.loads(said)["Stacks"][0]["Outputs"]}
    assert outputs.keys() >= OUTPUTS[environment]
    assert all(outputs[name] for name in OUTPUTS[environment])
    for alias, name in settings.outputs.items():
        assert outputs[alias] == outputs[name]
