"""The function as Lambda calls it: what it posts, when it reads its keys, and what becomes of what nobody takes."""

import dataclasses
import json
import types
from collections.abc import Callable
from typing import Any

import pytest

from deliver_webhook import handler
from deliver_webhook.addresses import AddressRefusedError
from deliver_webhook.delivery import UnavailableError
from deliver_webhook.keyring import HELD_S, Keyring
from deliver_webhook.posting import Answer
from webhook.credentials import Credentials, CredentialsError, generate, parse
from webhook.signing import verifies

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alerts"
ALERT = {"alert_id": "6f", "device_id": "press-7", "value": 130.0}


class NotFoundError(Exception):
    """ResourceNotFoundException."""


class Secret:
    """The secret's versions by label, and how often they were read."""

    exceptions = types.SimpleNamespace(ResourceNotFoundException=NotFoundError)

    def __init__(self) -> None:
        self.versions = {"AWSCURRENT": generate()}
        self.reads = 0

    def get_secret_value(self, SecretId: str, VersionStage: str) -> dict[str, str]:  # noqa: N803 - boto3's names
        self.reads += 1
        if VersionStage not in self.versions:
            raise NotFoundError
        return {"SecretString": self.versions[VersionStage]}

    def rotate(self) -> None:
        self.versions = {"AWSCURRENT": generate(), "AWSPREVIOUS": self.versions["AWSCURRENT"]}

    @property
    def current(self) -> Credentials:
        return parse(self.versions["AWSCURRENT"])


class Receiver:
    """Takes what `check` lets pass, and keeps everything."""

    host = "hooks.example.com"

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.check: Callable[[dict[str, str], bytes], int] = lambda _headers, _body: 200

    def post(self, headers: dict[str, str], body: bytes, _within_s: float) -> Answer:
        self.posts.append((headers, body))
        return Answer(self.check(headers, body), "600")


class Queue:
    """The dead-letter queue."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803 - boto3's names
        assert QueueUrl == "https://sqs/failures"
        self.messages.append(json.loads(MessageBody))


@dataclasses.dataclass
class Context:
    """Lambda's context."""

    function_name: str = "deliver-webhook"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:deliver-webhook"
    aws_request_id: str = "request-1"


@dataclasses.dataclass
class Aws:
    """What the function works with."""

    secret: Secret
    receiver: Receiver
    queue: Queue
    now_s: float = 0.0

    def deliver(self, message: str, message_id: str = "message-1") -> None:
        handler.handle({"Records": [record(message, message_id)]}, Context())


def record(message: str, message_id: str) -> dict[str, Any]:
    notification = {
        "MessageId": message_id,
        "Timestamp": "2026-11-21T09:00:00.000Z",
        "TopicArn": TOPIC,
        "Message": message,
    }
    return {"EventSource": "aws:sns", "Sns": notification}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    made = Aws(Secret(), Receiver(), Queue())
    keyring = Keyring(made.secret, "arn:secret", lambda: made.now_s)
    monkeypatch.setattr(handler, "_keyring", lambda: keyring)
    monkeypatch.setattr(handler, "_receiver", lambda: made.receiver)
    monkeypatch.setattr(handler, "_sqs", lambda: made.queue)
    for name, value in {
        "WEBHOOK_TIMEOUT_S": "30",
        "FAILURES_QUEUE_URL": "https://sqs/failures",
        "POWERTOOLS_METRICS_NAMESPACE": "Sensorkeep",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": "plant-test",
    }.items():
        monkeypatch.setenv(name, value)
    return made


def verify(headers: dict[str, str], body: bytes, credentials: Credentials) -> bool:
    timestamp_s = int(headers["webhook-timestamp"])
    return verifies(credentials, headers["webhook-signature"], headers["webhook-id"], timestamp_s, body)


def metrics(output: str) -> dict[str, float]:
    """Sums of what was emitted in CloudWatch's embedded metric format."""
    sums: dict[str, float] = {}
    for line in output.splitlines():
        emitted = json.loads(line)
        for directive in emitted.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert directive["Namespace"] == "Sensorkeep"
            for metric in directive["Metrics"]:
                sums[metric["Name"]] = sums.get(metric["Name"], 0) + sum(emitted[metric["Name"]])
    return sums


def test_an_alert_is_posted_as_json_and_signed(aws, capsys):
    aws.deliver(json.dumps(ALERT))

    ((headers, body),) = aws.receiver.posts
    assert json.loads(body) == {
        "id": "message-1",
        "type": "alert",
        "timestamp": "2026-11-21T09:00:00.000Z",
        "topic": TOPIC,
        "data": ALERT,
    }
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["webhook-id"] == "message-1"
    assert headers["webhook-key-id"] == aws.secret.current.key_id
    assert verify(headers, body, aws.secret.current)
    assert metrics(capsys.readouterr().out) == {"WebhooksDelivered": 1}


@pytest.mark.parametrize(
    ("message", "kind", "data"),
    [
        (
            '{"AlarmName": "errors", "NewStateValue": "ALARM"}',
            "alarm",
            {"AlarmName": "errors", "NewStateValue": "ALARM"},
        ),
        ("hello", "notification", {"text": "hello"}),
        ("[1, 2]", "notification", {"text": "[1, 2]"}),
        ('{"other": 1}', "notification", {"other": 1}),
        ("", "notification", {"text": ""}),
    ],
)
def test_every_message_of_the_topic_is_told_by_its_type(aws, message, kind, data):
    aws.deliver(message)

    content = json.loads(aws.receiver.posts[0][1])
    assert (content["type"], content["data"]) == (kind, data)


def test_after_a_rotation_both_keys_sign_the_new_one_first(aws):
    old = aws.secret.current
    aws.secret.rotate()
    aws.deliver(json.dumps(ALERT))

    ((headers, body),) = aws.receiver.posts
    assert headers["webhook-key-id"] == f"{aws.secret.current.key_id} {old.key_id}"
    assert verify(headers, body, old)
    assert verify(headers, body, aws.secret.current)


def test_the_keys_are_held_for_a_while(aws):
    for _ in range(3):
        aws.deliver(json.dumps(ALERT))
    held = aws.secret.reads
    aws.now_s += HELD_S
    aws.deliver(json.dumps(ALERT))

    assert (held, aws.secret.reads) == (2, 4)


def test_a_receiver_that_has_a_newer_key_than_ours_is_sent_it_again(aws):
    aws.deliver(json.dumps(ALERT))
    aws.secret.rotate()
    new = aws.secret.current
    aws.receiver.check = lambda headers, body: 200 if verify(headers, body, new) else 401

    aws.deliver(json.dumps(ALERT), "message-2")

    assert [headers["webhook-id"] for headers, _ in aws.receiver.posts] == ["message-1", "message-2", "message-2"]
    assert aws.queue.messages == []


@pytest.mark.parametrize(("status", "reads"), [(401, 4), (403, 4), (400, 4), (410, 2), (302, 2)])
def test_a_refused_alert_is_set_aside_with_the_reason_and_not_raised(aws, capsys, status, reads):
    aws.receiver.check = lambda _headers, _body: status
    aws.deliver(json.dumps(ALERT))

    (message,) = aws.queue.messages
    assert message["requestContext"]["condition"] == "Refused"
    assert message["requestPayload"] == {"Records": [record(json.dumps(ALERT), "message-1")]}
    assert message["responsePayload"]["errorType"] == "RefusedError"
    assert f"The receiver answered {status}" in message["responsePayload"]["errorMessage"]
    assert len(aws.receiver.posts) == 1
    assert aws.secret.reads == reads
    assert metrics(capsys.readouterr().out) == {"WebhooksFailed": 1}


def test_an_address_that_is_refused_is_set_aside_too(aws):
    def refuse(*_: object) -> Answer:
        raise AddressRefusedError("hooks.example.com is at 10.0.0.1, where no alert is sent.")

    aws.receiver.post = refuse
    aws.deliver(json.dumps(ALERT))

    assert aws.queue.messages[0]["responsePayload"] == {
        "errorType": "AddressRefusedError",
        "errorMessage": "hooks.example.com is at 10.0.0.1, where no alert is sent.",
    }


def test_an_alert_that_may_be_taken_later_is_left_to_lambda(aws, capsys):
    aws.receiver.check = lambda _headers, _body: 503

    with pytest.raises(UnavailableError, match="answered 503"):
        aws.deliver(json.dumps(ALERT))

    assert aws.queue.messages == []
    assert metrics(capsys.readouterr().out) == {"WebhooksFailed": 1}


def test_a_previous_version_that_is_no_key_does_not_stand_in_the_way(aws):
    aws.secret.versions["AWSPREVIOUS"] = "written by hand"
    aws.deliver(json.dumps(ALERT))

    assert aws.receiver.posts[0][0]["webhook-key-id"] == aws.secret.current.key_id


def test_without_a_current_key_nothing_is_posted(aws):
    aws.secret.versions["AWSCURRENT"] = "written by hand"

    with pytest.raises(CredentialsError):
        aws.deliver(json.dumps(ALERT))

    assert aws.receiver.posts == []


def test_the_log_shows_the_message_and_no_key(aws, caplog, capsys):
    aws.secret.rotate()
    aws.deliver(json.dumps(ALERT))

    written = capsys.readouterr().out + "".join(str(vars(entry)) for entry in caplog.records)
    assert "message-1" in written
    for version in aws.secret.versions.values():
        assert json.loads(version)["api_secret"].removeprefix("whsec_") not in written
