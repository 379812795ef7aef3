"""Alerts on their way to a receiver: signed, across rotations of the secret, and never lost without a trace."""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from config import settings as config
from local import process, up
from tests.changed import changed
from tests.e2e.receiver import Receiver, listening
from tests.e2e.resources import eventually

pytestmark = pytest.mark.e2e

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
BUSY = (503, {"Retry-After": "600"})

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def listener() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


@pytest.fixture
def receiver(listener: Receiver) -> Iterator[Receiver]:
    yield listener
    listener.answers.clear()
    listener.always = listener.only_key = None


class System:
    """A deployed system with a webhook and a queue."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs
        self._secrets = boto3.client("secretsmanager")

    def publish(self) -> str:
        """Publish an alert; a text that only it has."""
        text = f"press-{next(numbers)}-{time.time_ns()}"
        message = json.dumps({"alert_id": text, "device_id": "press-1"})
        boto3.client("sns").publish(TopicArn=self.outputs["AlertsTopicArn"], Message=message)
        return text

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

    def rotation_role(self) -> str:
        function = boto3.client("lambda").get_function_configuration(FunctionName=self.rotation_function)
        return function["Role"].rsplit("/", 1)[-1]

    @property
    def rotation_function(self) -> str:
        secret = self._secrets.describe_secret(SecretId=self.outputs["CredentialsArn"])
        return secret["RotationLambdaARN"]

    def set_aside(self, text: str) -> Any:
        """The dead-letter queue's message about what was published."""
        url = boto3.client("sqs").get_queue_url(QueueName=self.outputs["WebhookFailuresQueueName"])["QueueUrl"]
        return eventually(lambda: self._taken(url, text))

    def queued(self, text: str) -> Any:
        """The alerts queue's message about what was published."""
        return eventually(lambda: self._taken(self.outputs["AlertsQueueUrl"], text))

    def _taken(self, url: str, text: str) -> Any:
        found = boto3.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
        )
        return next((message for message in found.get("Messages", ()) if text in message["Body"]), None)


@pytest.fixture(scope="module")
def system(emulator: process.Running, listener: Receiver, tmp_path_factory: pytest.TempPathFactory) -> System:
    settings = changed(
        config.load("local", {"ENVIRONMENT_SUFFIX": "webhook"}),
        alerts={
            "queue": {},
            "webhook": {"url": f"{listener.url}/alerts?plant=1", "allow_private_addresses": True, "timeout_s": 5},
        },
    )
    out: Path = tmp_path_factory.mktemp("webhook")
    deployed = System(up.deploy_system(emulator, settings, out, lambda _: None))
    deployed.rotated({**deployed.credentials(), "api_key": "first"})
    return deployed


def test_the_key_of_the_template_is_replaced_at_once(system: System) -> None:
    assert eventually(lambda: system.credentials()["api_key"] != "first")


def test_an_alert_of_a_hot_reading_arrives_signed(system: System, receiver: Receiver) -> None:
    device = f"press-{time.time_ns()}"
    reading = {"device_id": device, "timestamp": time.time(), "temperature": 140.0}
    boto3.client("kinesis").put_record(
        StreamName=system.outputs["StreamName"], Data=json.dumps(reading).encode(), PartitionKey=device
    )

    assert eventually(lambda: receiver.about(device))
    (request,) = receiver.about(device)
    credentials = system.credentials()
    assert request.is_signed_with(credentials["api_secret"])
    assert request.headers["webhook-key-id"].split(" ")[0] == credentials["api_key"]
    assert request.path == "/alerts?plant=1"
    assert request.headers["content-type"].startswith("application/json")
    assert request.content["type"] == "alert"
    assert request.content["id"] == request.headers["webhook-id"]
    assert request.content["topic"] == system.outputs["AlertsTopicArn"]
    assert request.content["data"]["device_id"] == device
    assert request.content["data"]["value"] == 140.0


def test_the_queue_holds_the_alert_itself(system: System) -> None:
    device = f"press-{time.time_ns()}"
    reading = {"device_id": device, "timestamp": time.time(), "temperature": 150.0}
    boto3.client("kinesis").put_record(
        StreamName=system.outputs["StreamName"], Data=json.dumps(reading).encode(), PartitionKey=device
    )

    message = system.queued(device)
    assert json.loads(message["Body"])["value"] == 150.0
    assert message["MessageAttributes"]["device_id"]["StringValue"] == device


def test_across_a_rotation_receivers_with_either_key_verify(system: System, receiver: Receiver) -> None:
    old = system.credentials()
    system.publish()  # the function now holds the old key
    system.begin_rotation()
    new = system.rotated(old)

    receiver.only_key = new["api_secret"]
    text = system.publish()
    assert eventually(lambda: any(one.is_signed_with(new["api_secret"]) for one in receiver.about(text)))

    receiver.only_key = old["api_secret"]
    text = system.publish()
    assert eventually(lambda: receiver.about(text))
    (request,) = receiver.about(text)
    assert request.is_signed_with(old["api_secret"])
    assert request.is_signed_with(new["api_secret"])
    assert request.headers["webhook-key-id"] == f"{new['api_key']} {old['api_key']}"


@pytest.mark.parametrize("done", range(4))
def test_a_rotation_that_was_interrupted_is_repeated_to_its_end(system: System, done: int) -> None:
    before = system.credentials()
    iam, role = boto3.client("iam"), system.rotation_role()
    deny = {"Statement": [{"Effect": "Deny", "Action": "secretsmanager:PutSecretValue", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="interruption", PolicyDocument=json.dumps(deny))
    system.begin_rotation()
    assert eventually(system.pending)
    time.sleep(0.3)  # the first step fails meanwhile
    iam.delete_role_policy(RoleName=role, PolicyName="interruption")
    for step in STEPS[:done]:
        event = {"Step": step, "SecretId": system.outputs["CredentialsArn"], "ClientRequestToken": system.pending()}
        invoked = boto3.client("lambda").invoke(FunctionName=system.rotation_function, Payload=json.dumps(event))
        assert "FunctionError" not in invoked, invoked["Payload"].read()
    assert system.credentials() == before

    system.begin_rotation()

    assert system.rotated(before)["api_secret"].startswith("whsec_")
    assert system.pending() == ""


def test_a_receiver_that_fails_once_gets_the_alert_again(system: System, receiver: Receiver) -> None:
    receiver.answers.append((500, {}))
    text = system.publish()

    assert eventually(lambda: len(receiver.about(text)) == 2)
    first, second = receiver.about(text)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_an_alert_that_is_refused_is_set_aside_with_the_reason(system: System, receiver: Receiver) -> None:
    receiver.always = 410, {}
    text = system.publish()

    message = json.loads(system.set_aside(text)["Body"])
    assert message["responsePayload"]["errorMessage"] == "The receiver answered 410."
    assert text in message["requestPayload"]["Records"][0]["Sns"]["Message"]
    assert len(receiver.about(text)) == 1


def test_an_alert_that_is_never_taken_is_tried_by_lambda_again_and_set_aside(
    system: System, receiver: Receiver
) -> None:
    receiver.always = BUSY
    text = system.publish()

    message = json.loads(system.set_aside(text)["Body"])
    assert message["requestContext"]["condition"] == "RetriesExhausted"
    assert text in message["requestPayload"]["Records"][0]["Sns"]["Message"]
    assert len(receiver.about(text)) == 3


def test_a_redirect_is_not_followed(system: System, receiver: Receiver) -> None:
    receiver.always = 307, {"Location": f"{receiver.url}/elsewhere"}
    text = system.publish()

    assert "redirects are not followed" in system.set_aside(text)["Body"]
    assert {one.path for one in receiver.about(text)} == {"/alerts?plant=1"}
    assert not any(one.path == "/elsewhere" for one in receiver.received)


def test_the_logs_hold_no_key_and_no_query(system: System) -> None:
    logs = boto3.client("logs")
    written = ""
    for function in (system.outputs["DeliverWebhookName"], system.rotation_function.rsplit(":", 1)[-1]):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
        written += "".join(event["message"] for page in pages for event in page["events"])

    assert "WebhooksDelivered" in written
    assert "rotation step done" in written
    assert "whsec_" not in written
    assert system.credentials()["api_secret"] not in written
    assert "plant=1" not in written
