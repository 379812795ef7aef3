"""The commands that a build prints, typed as they are, with the AWS CLI."""

import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from config import settings as config
from local import process

REPOSITORY = Path(__file__).parents[2]
SYSTEMS = ("iot-processing", "manufacturing")
PACKAGED = "dev"
"""Built without a bucket: `aws cloudformation package` takes the files from where they are."""


@pytest.fixture(scope="module")
def deployments(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands said. They run side by side, since the AWS CLI looks only every 30 seconds."""
    started = {}
    for environment in (*SYSTEMS, PACKAGED):
        commands = _printed_commands(environment, tmp_path_factory.mktemp(environment))
        started[environment] = subprocess.Popen(
            ["sh", "-ec", commands],
            cwd=REPOSITORY,
            env=_environ(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return {environment: running.communicate()[0] for environment, running in started.items()}


def _environ(environment: str) -> dict[str, str]:
    """This process's AWS environment, in the system's own region, with the environment's own tools found first."""
    tools = Path(sys.executable).parent
    region = config.load(environment, {}).region
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "AWS_REGION": region, "AWS_DEFAULT_REGION": region}


def _printed_commands(environment: str, out: Path) -> str:
    """Build as `python build.py` does, with a bucket of the system's region or, for PACKAGED, without; what it says
    to type."""
    region = config.load(environment, {}).region
    bucket = f"artifacts-{environment}"
    place = {"LocationConstraint": region}
    boto3.client("s3", region_name=region).create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    build = [sys.executable, "build.py", environment, "--out", str(out), "--target", "host"]
    build += [] if environment == PACKAGED else ["--bucket", bucket]
    said = subprocess.run(
        build, cwd=REPOSITORY, env=_environ(environment), capture_output=True, text=True, check=True
    ).stdout
    return said.split("To deploy:")[1].replace("--s3-bucket BUCKET", f"--s3-bucket {bucket}")


@pytest.mark.e2e
@pytest.mark.parametrize("environment", [*SYSTEMS, PACKAGED])
def test_the_printed_commands_deploy_the_system(deployments, environment):
    settings = config.load(environment, {"ENVIRONMENT_SUFFIX": os.environ["ENVIRONMENT_SUFFIX"]})
    assert f"Successfully created/updated stack - {settings.stack_name}" in deployments[environment]

    cloudformation = boto3.client("cloudformation", region_name=settings.region)
    (stack,) = cloudformation.describe_stacks(StackName=settings.stack_name)["Stacks"]
    tags = {tag["Key"]: tag["Value"] for tag in stack["Tags"]}
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    assert (tags["ManagedBy"], tags["Environment"]) == ("sensorkeep", settings.suffix)
    for alias, name in settings.outputs.items():
        assert outputs[alias] == outputs[name]


@pytest.mark.e2e
def test_the_hot_tables_of_both_systems_have_the_keys_they_promise(deployments):
    keys = {}
    for environment in SYSTEMS:
        settings = config.load(environment, {"ENVIRONMENT_SUFFIX": os.environ["ENVIRONMENT_SUFFIX"]})
        dynamodb = boto3.client("dynamodb", region_name=settings.region)
        table = dynamodb.describe_table(TableName=settings.name(settings.hot_table.name))["Table"]
        keys[environment] = {item["AttributeName"]: item["AttributeType"] for item in table["AttributeDefinitions"]}

    assert keys["manufacturing"] == {"device_id": "S", "timestamp": "N"}
    assert keys["iot-processing"] == {"sensor_id": "S", "timestamp": "S", "sensor_type_shard": "S"}
