"""Alerts on their way to a receiver: signed, across rotations of the secret, and never lost without a trace."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import settings as config
from local import process, up
from templates import notifications
from tests.changed import changed, with_all_channels
from tests.e2e.documents import OF_THE_WEBHOOK, RUNBOOK, commands, operator_of, type_in
from tests.e2e.notifier import STEPS, Notifier, invoke
from tests.e2e.receiver import Receiver, listening
from tests.e2e.resources import eventually

pytestmark = pytest.mark.e2e

MOVE = "secretsmanager:UpdateSecretVersionStage"
BUSY = (503, {"Retry-After": "600"})


def allowed(role: str) -> list[str]:
    """Actions that the embedded AWS asks of a role of this stack: it encrypts nothing, traces nothing, and writes the
    logs itself, which tests/templates asserts."""
    template = notifications.build(with_all_channels(config.load("local", {}))).to_dict()
    (policy,) = template["Resources"][role]["Properties"]["Policies"]
    actions = [action for statement in policy["PolicyDocument"]["Statement"] for action in statement["Action"]]
    return [action for action in actions if action.split(":")[0] not in ("kms", "logs", "xray")]


@pytest.fixture(scope="module")
def listener() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


@pytest.fixture
def receiver(listener: Receiver) -> Iterator[Receiver]:
    yield listener
    listener.answers.clear()
    listener.always = listener.only_key = None


@pytest.fixture(scope="module")
def system(emulator: process.Running, listener: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Notifier:
    settings = changed(
        config.load("local", {"ENVIRONMENT_SUFFIX": "webhook"}),
        alerts={
            "queue": {},
            "webhook": {"url": f"{listener.url}/alerts?plant=1", "allow_private_addresses": True, "timeout_s": 5},
        },
    )
    out: Path = tmp_path_factory.mktemp("webhook")
    deployed = Notifier(settings.stack_name, up.deploy_system(emulator, settings, out, lambda _: None))
    _use_key(deployed, listener, deployed.rotated({**deployed.credentials(), "api_key": "first"})["api_secret"])
    return deployed


def _use_key(deployed: Notifier, listener: Receiver, key: str) -> None:
    """Let the function read the secret anew: it may hold the first key, since the composite alarm, when it is made,
    tells that all is well."""
    listener.only_key = key
    told = deployed.publish()
    assert eventually(lambda: any(request.is_signed_with(key) for request in listener.about(told)))
    listener.only_key = None


def test_the_key_of_the_template_is_replaced_at_once(system: Notifier) -> None:
    assert eventually(lambda: system.credentials()["api_key"] != "first")


@pytest.mark.promise("iot-processing", "channels")
@pytest.mark.promise("iot-processing", "secret")
def test_an_alert_of_a_hot_reading_arrives_signed(system: Notifier, receiver: Receiver) -> None:
    credentials = system.credentials()
    receiver.only_key = credentials["api_secret"]  # the function may hold those before for a while
    device = system.read(140.0)

    assert eventually(lambda: any(one.is_signed_with(credentials["api_secret"]) for one in receiver.about(device)))
    request = receiver.about(device)[-1]
    assert request.headers["webhook-key-id"].split(" ")[0] == credentials["api_key"]
    assert request.path == "/alerts?plant=1"
    assert request.headers["content-type"].startswith("application/json")
    assert request.content["type"] == "alert"
    assert request.content["id"] == request.headers["webhook-id"]
    assert request.content["topic"] == system.outputs["AlertsTopicArn"]
    assert request.content["data"]["device_id"] == device
    assert request.content["data"]["value"] == 140.0


@pytest.mark.promise("iot-processing", "channels")
def test_the_queue_holds_the_alert_itself(system: Notifier) -> None:
    device = system.read(150.0)

    message = system.queued(device)
    assert json.loads(message["Body"])["value"] == 150.0
    assert message["MessageAttributes"]["device_id"]["StringValue"] == device


@pytest.mark.promise("iot-processing", "secret")
def test_across_a_rotation_receivers_with_either_key_verify(system: Notifier, receiver: Receiver) -> None:
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


def test_a_rotation_that_was_interrupted_is_repeated_to_its_end(system: Notifier) -> None:
    before = system.credentials()
    version = system.begin_and_fail()
    assert [system.step(step, version) for step in STEPS[:-1]] == ["null"] * 3
    assert system.credentials() == before

    system.begin_rotation()

    assert system.rotated(before)["api_secret"].startswith("whsec_")
    assert system.pending() == ""


def test_without_any_one_of_its_permissions_the_rotation_is_refused(system: Notifier) -> None:
    before, may = system.credentials(), allowed("RotateSecretRole")
    version = system.begin_and_fail()
    in_order = sorted(may, key=lambda action: action == MOVE)  # the last step wants a value, which the first one writes
    for action in in_order:
        step = STEPS[-1] if action == MOVE else STEPS[0]
        if action == MOVE:
            assert system.step(STEPS[0], version) == "null"
        with system.denied(system.rotation_function, action):
            said = system.step(step, version)
        assert f"is not authorized to perform: {action}" in said
    assert len(may) == 4
    assert system.credentials() == before

    system.begin_rotation()
    system.rotated(before)


@pytest.mark.parametrize(("action", "status"), [("secretsmanager:GetSecretValue", 401), ("sqs:SendMessage", 410)])
def test_the_webhook_is_refused_without(system: Notifier, receiver: Receiver, action: str, status: int) -> None:
    """A receiver that answers 401 makes it read its keys anew, one that answers 410 makes it set the alert aside."""
    assert set(allowed("DeliverWebhookRole")) == {"secretsmanager:GetSecretValue", "sqs:SendMessage"}
    receiver.always = status, {}
    function = system.outputs["DeliverWebhookName"]
    notification = {"MessageId": "m", "Timestamp": "now", "TopicArn": "topic", "Message": "refused"}
    event = {"Records": [{"Sns": notification}]}

    with system.denied(function, action):
        said = invoke(function, event)

    assert "is not authorized to perform" in said
    assert action in said
    assert invoke(function, event) == "null"


def test_a_receiver_that_fails_once_gets_the_alert_again(system: Notifier, receiver: Receiver) -> None:
    receiver.answers.append((500, {}))
    text = system.publish()

    assert eventually(lambda: len(receiver.about(text)) == 2)
    first, second = receiver.about(text)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_an_alert_that_is_refused_is_set_aside_with_the_reason(system: Notifier, receiver: Receiver) -> None:
    receiver.always = 410, {}
    text = system.publish()

    message = json.loads(system.set_aside(text)["Body"])
    assert message["responsePayload"]["errorMessage"] == "The receiver answered 410."
    assert text in message["requestPayload"]["Records"][0]["Sns"]["Message"]
    assert len(receiver.about(text)) == 1


def test_an_alert_that_is_never_taken_is_tried_by_lambda_again_and_set_aside(
    system: Notifier, receiver: Receiver
) -> None:
    receiver.always = BUSY
    text = system.publish()

    message = json.loads(system.set_aside(text)["Body"])
    assert message["requestContext"]["condition"] == "RetriesExhausted"
    assert text in message["requestPayload"]["Records"][0]["Sns"]["Message"]
    assert len(receiver.about(text)) == 3


def test_a_redirect_is_not_followed(system: Notifier, receiver: Receiver) -> None:
    receiver.always = 307, {"Location": f"{receiver.url}/elsewhere"}
    text = system.publish()

    assert "redirects are not followed" in system.set_aside(text)["Body"]
    assert {one.path for one in receiver.about(text)} == {"/alerts?plant=1"}
    assert not any(one.path == "/elsewhere" for one in receiver.received)


def test_the_commands_of_the_runbook_deliver_an_alert_again_and_rotate_the_secret(
    system: Notifier, receiver: Receiver, tmp_path: Path, aws_cli: Path
) -> None:
    receiver.always = 410, {}
    system.drop_set_aside()
    text = system.publish()
    assert system.set_aside(text)
    receiver.always, before = None, system.credentials()

    typed = type_in(
        tmp_path, [*commands(RUNBOOK, "First")[:3], *OF_THE_WEBHOOK], operator_of(system.stack_name, aws_cli)
    )

    assert typed.returncode == 0, typed.stdout[-6000:]
    assert "The receiver answered 410." in typed.stdout
    assert len(receiver.about(text)) == 2
    assert system.waiting() == 0
    system.rotated(before)


def test_the_logs_hold_no_key_and_no_query(system: Notifier, receiver: Receiver) -> None:
    text = system.publish()
    assert eventually(lambda: receiver.about(text))
    assert eventually(lambda: "WebhooksDelivered" in system.written(system.outputs["DeliverWebhookName"]))

    names = system.outputs["DeliverWebhookName"], system.outputs["RotateSecretName"]
    written = "".join(map(system.written, names))
    assert "rotation step done" in written
    assert "whsec_" not in written
    assert system.credentials()["api_secret"] not in written
    assert "plant=1" not in written
