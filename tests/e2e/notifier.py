"""A deployed system that tells others of its alerts: what it holds, and what comes out of it."""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3

from tests.e2e.resources import eventually

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

numbers = itertools.count(1)


def invoke(function: str, event: dict[str, Any]) -> str:
    """What a function answered, be it an error."""
    return boto3.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))["Payload"].read().decode()


def role_of(function: str) -> str:
    """Name of a function's role."""
    return boto3.client("lambda").get_function_configuration(FunctionName=function)["Role"].rsplit("/", 1)[-1]


class Notifier:
    """A deployed system with a webhook, a queue and the secret that signs."""

    def __init__(self, stack_name: str, outputs: dict[str, str]) -> None:
        self.stack_name = stack_name
        self.outputs = outputs
        self._secrets = boto3.client("secretsmanager")

    def publish(self) -> str:
        """Publish an alert; a text that only it has."""
        text = f"press-{next(numbers)}-{time.time_ns()}"
        message = json.dumps({"alert_id": text, "device_id": "press-1"})
        boto3.client("sns").publish(TopicArn=self.outputs["AlertsTopicArn"], Message=message)
        return text

    def read(self, temperature: float) -> str:
        """Let a device of its own send a reading; the device."""
        device = f"press-{next(numbers)}-{time.time_ns()}"
        reading = {"device_id": device, "timestamp": time.time(), "temperature": temperature}
        boto3.client("kinesis").put_record(
            StreamName=self.outputs["StreamName"], Data=json.dumps(reading).encode(), PartitionKey=device
        )
        return device

    def written(self, function: str) -> str:
        """What a function has written to its log."""
        pages = boto3.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
        return "".join(event["message"] for page in pages for event in page["events"])

    def credentials(self) -> dict[str, str]:
        """The current credentials."""
        text = self._secrets.get_secret_value(SecretId=self.outputs["CredentialsArn"])["SecretString"]
        credentials: dict[str, str] = json.loads(text)
        return credentials

    def begin_rotation(self) -> None:
        """Ask for a rotation; one that is not complete is tried again, which AWS tells as an error."""
        with contextlib.suppress(self._secrets.exceptions.InvalidRequestException):
            self._secrets.rotate_secret(SecretId=self.outputs["CredentialsArn"])

    def rotated(self, before: dict[str, str]) -> dict[str, str]:
        """The credentials once they are others than those before."""
        assert eventually(lambda: self.credentials() != before)
        return self.credentials()

    def pending(self) -> str:
        """The version that a rotation has begun and not finished."""
        versions = self._secrets.describe_secret(SecretId=self.outputs["CredentialsArn"])["VersionIdsToStages"]
        return next((version for version, stages in versions.items() if stages == ["AWSPENDING"]), "")

    def step(self, step: str, version: str) -> str:
        """Invoke one step of the rotation to a version; what the function said."""
        event = {"Step": step, "SecretId": self.outputs["CredentialsArn"], "ClientRequestToken": version}
        return invoke(self.rotation_function, event)

    @contextlib.contextmanager
    def denied(self, function: str, action: str) -> Iterator[None]:
        """A function's role without an action, for as long as the block lasts."""
        iam, role = boto3.client("iam"), role_of(function)
        deny = {"Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
        iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=json.dumps(deny))
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=role, PolicyName="denied")

    def begin_and_fail(self) -> str:
        """Begin a rotation whose first step fails; the version that stays pending, without a value."""
        with self.denied(self.rotation_function, "secretsmanager:PutSecretValue"):
            self.begin_rotation()
            version = eventually(self.pending)
            self.step(STEPS[0], version)  # it ends after the step that the rotation began with
        return str(version)

    @property
    def rotation_function(self) -> str:
        secret = self._secrets.describe_secret(SecretId=self.outputs["CredentialsArn"])
        return secret["RotationLambdaARN"]

    def set_aside(self, text: str) -> Any:
        """The dead-letter queue's message about what was published."""
        return eventually(lambda: self._taken(self._failures(), text))

    def drop_set_aside(self) -> None:
        """Empty the dead-letter queue."""
        boto3.client("sqs").purge_queue(QueueUrl=self._failures())

    def waiting(self) -> int:
        """How many messages the dead-letter queue holds, also those that somebody has received and not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = boto3.client("sqs").get_queue_attributes(QueueUrl=self._failures(), AttributeNames=names)  # type: ignore[arg-type]
        return sum(map(int, counts["Attributes"].values()))

    def _failures(self) -> str:
        return boto3.client("sqs").get_queue_url(QueueName=self.outputs["WebhookFailuresQueueName"])["QueueUrl"]

    def queued(self, text: str) -> Any:
        """The alerts queue's message about what was published."""
        return eventually(lambda: self._taken(self.outputs["AlertsQueueUrl"], text))

    def _taken(self, url: str, text: str) -> Any:
        found = boto3.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
        )
        return next((message for message in found.get("Messages", ()) if text in message["Body"]), None)
