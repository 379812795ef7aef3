"""The commands that a build prints, typed as they are, with the AWS CLI."""

import json
import subprocess

import boto3
import pytest

from tests.e2e.printed import PACKAGED, SUFFIXES, SYSTEMS, Deployments, environ, settings_of
from tests.outputs import PROMISED

pytestmark = pytest.mark.e2e


@pytest.mark.promise("both", "build and deploy")
@pytest.mark.parametrize("environment", [*SYSTEMS, PACKAGED])
def test_the_printed_commands_deploy_the_system(deployments: Deployments, environment: str) -> None:
    settings = settings_of(environment)
    assert f"Successfully created/updated stack - {settings.stack_name}" in deployments.said(environment)

    cloudformation = boto3.client("cloudformation", region_name=settings.region)
    (stack,) = cloudformation.describe_stacks(StackName=settings.stack_name)["Stacks"]
    tags = {tag["Key"]: tag["Value"] for tag in stack["Tags"]}
    assert (tags["ManagedBy"], tags["Environment"]) == ("sensorkeep", SUFFIXES[environment])


@pytest.mark.promise("iot-processing", "outputs")
@pytest.mark.promise("manufacturing", "outputs")
@pytest.mark.parametrize("environment", SYSTEMS)
def test_describe_stacks_shows_every_output(deployments: Deployments, environment: str) -> None:
    settings = settings_of(environment)
    assert deployments.said(environment)

    said = subprocess.run(
        ["aws", "cloudformation", "describe-stacks", "--stack-name", settings.stack_name],
        env=environ(environment),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    outputs = {output["OutputKey"]: output["OutputValue"] for output in json.loads(said)["Stacks"][0]["Outputs"]}
    assert outputs.keys() >= PROMISED[environment]
    assert all(outputs[name] for name in PROMISED[environment])
    for alias, name in settings.outputs.items():
        assert outputs[alias] == outputs[name]
