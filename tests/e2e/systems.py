"""A deployed system as its devices and operators see it: a reading goes in at the topic, and is found in the stores."""

import dataclasses
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

from config.settings import Settings
from local import process, up
from tests.e2e.resources import eventually, objects

numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class System:
    """A system that is deployed, with the outputs of its root stack."""

    settings: Settings
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=self.settings.region)

    def name(self, template: str) -> str:
        """A name with the suffix filled in."""
        return self.settings.name(template)

    def properties(self, stack: str, logical_id: str) -> dict[str, Any]:
        """What the deployed template says of a resource, for what the embedded AWS's CloudFormation does not apply."""
        cloudformation = self.client("cloudformation")
        nested = cloudformation.describe_stack_resource(
            StackName=self.settings.stack_name, LogicalResourceId=stack.title()
        )["StackResourceDetail"]["PhysicalResourceId"]
        template = cloudformation.get_template(StackName=nested)["TemplateBody"]
        body = json.loads(template) if isinstance(template, str) else template
        found: dict[str, Any] = body["Resources"][logical_id]["Properties"]
        return found

    def send(self, device: str, **fields: object) -> None:
        """Publish to the device's topic; the time is now unless the fields say another."""
        message = {"timestamp": time.time_ns() // 1_000_000, **fields}
        topic = f"{self.outputs['TopicPrefix']}/{device}/data"
        self.client("iot-data").publish(topic=topic, qos=1, payload=json.dumps(message))

    def readings(self, device: str) -> list[dict[str, Any]]:
        """What the hot table has of a device, oldest first."""
        table = boto3.resource("dynamodb", region_name=self.settings.region).Table(self.outputs["ReadingsTableName"])
        condition = Key(self.settings.hot_table.device_key).eq(device)
        return list(table.query(KeyConditionExpression=condition, ConsistentRead=True)["Items"])

    def stores_a_reading(self) -> bool:
        """Whether what a new device sends reaches the hot table."""
        device = f"press-{next(numbers)}"
        self.send(device, temperature=0)
        return bool(eventually(lambda: self.readings(device)))

    def archived(self) -> dict[str, bytes]:
        """The archive's objects by key."""
        return objects(self.outputs["RawBucketName"], "raw-data/", self.client("s3"))

    def function(self) -> dict[str, Any]:
        """Configuration of process_readings, without what every change of it alters."""
        found = self.client("lambda").get_function_configuration(FunctionName=self.outputs["ProcessReadingsName"])
        altered = {"LastModified", "RevisionId", "ResponseMetadata"}
        return {key: value for key, value in found.items() if value and key not in altered}


Deploy = Callable[[Settings], System]
"""Bring a system's stack to these settings."""


def deployer(running: process.Running, out: Path) -> Deploy:
    """Deploys to this emulator, building into `out`."""
    return lambda settings: System(settings, up.deploy_system(running, settings, out, lambda _: None))
