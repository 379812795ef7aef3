"""Rotations and versions of secrets, against what AWS's documentation says of them."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ministack import app
from ministack.core.responses import request_scope
from ministack.services import lambda_svc, secretsmanager
from ministack.services.cloudformation import provisioners

from local.additions.secrets_manager import rotation, secret_versions
from local.additions.services import RefusedError

REGION = "eu-central-1"
ACCOUNTS = (f"{number:012}" for number in itertools.count(17_000))
TOKEN = "0" * 32

Request = dict[str, Any]
Answer = tuple[int, Request]


class Function:
    """A rotation function: it notes the steps, and fails at one when asked to."""

    def __init__(self, account: str) -> None:
        self.arn = f"arn:aws:lambda:{REGION}:{account}:function:rotate"
        self.steps: list[str] = []
        self.fails_at = ""
        self.done = threading.Event()
        config = {"FunctionName": "rotate", "FunctionArn": self.arn, "Role": "role", "Version": "$LATEST"}
        policy: Request = {"Version": "2012-10-17", "Statement": []}
        lambda_svc._functions["rotate"] = {"config": config, "policy": policy, "versions": {}, "aliases": {}}

    def admit(self, **source: str) -> None:
        permission = {"Principal": rotation.SERVICE, "Action": "lambda:InvokeFunction", **source}
        lambda_svc._add_permission("rotate", {"StatementId": "rotation", **permission})

    def execute(self, _record: Request, event: Request) -> Request:
        self.steps.append(event["Step"])
        is_failed = event["Step"] == self.fails_at
        if not is_failed and event["Step"] == "createSecret":
            ask(
                secretsmanager._put_secret_value,
                SecretId="key",
                ClientRequestToken=event["ClientRequestToken"],
                SecretString="new",
                VersionStages=["AWSPENDING"],
            )
        if not is_failed and event["Step"] == "finishSecret":
            current, _ = secretsmanager._find_stage_version(secretsmanager._secrets["key"], "AWSCURRENT")
            ask(
                secretsmanager._update_secret_version_stage,
                SecretId="key",
                VersionStage="AWSCURRENT",
                MoveToVersionId=event["ClientRequestToken"],
                RemoveFromVersionId=current,
            )
        if is_failed or event["Step"] == "finishSecret":
            self.done.set()
        return {"error": True, "body": "failed"} if is_failed else {"body": None}

    def ended(self) -> list[str]:
        """The steps, once the last has ended."""
        assert self.done.wait(10)
        self.done.clear()
        return self.steps


def ask(handler: Callable[[Request], Any], **request: Any) -> Answer:
    status, _, body = handler(request)
    return status, json.loads(body)


def value(stage: str) -> str:
    _, answer = ask(secretsmanager._get_secret_value, SecretId="key", VersionStage=stage)
    return str(answer.get("SecretString", answer.get("__type")))


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An account with permissions enforced, and the additions installed until the test ends."""
    monkeypatch.setattr(app, "AUTH", True)
    for name in ("_rotate_secret", "_put_secret_value", "_get_secret_value"):
        monkeypatch.setattr(secretsmanager, name, getattr(secretsmanager, name))
    monkeypatch.setattr(provisioners, "_sm_secret_string", provisioners._sm_secret_string)
    for store in ("_RESOURCE_HANDLERS", "_REPLACING_PROPERTIES"):
        monkeypatch.setattr(provisioners, store, dict(getattr(provisioners, store)))
    rotation.install()
    secret_versions.install()
    number = next(ACCOUNTS)
    with request_scope(number, REGION):
        ask(secretsmanager._create_secret, Name="key", SecretString="old")
        yield number


@pytest.fixture
def function(account: str, monkeypatch: pytest.MonkeyPatch) -> Function:
    made = Function(account)
    monkeypatch.setattr(lambda_svc, "_execute_function_with_config_scope", made.execute)
    return made


@pytest.fixture
def admitted(function: Function, account: str) -> Function:
    function.admit(SourceAccount=account)
    return function


def rotate(function: Function | None = None, **more: Any) -> Answer:
    given = {"RotationLambdaARN": function.arn} if function else {}
    return ask(secretsmanager._rotate_secret, SecretId="key", **given, **more)


def test_a_rotation_goes_through_its_four_steps(admitted: Function) -> None:
    status, answer = rotate(admitted, ClientRequestToken=TOKEN)

    assert (status, answer["VersionId"]) == (200, TOKEN)
    assert admitted.ended() == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert (value("AWSCURRENT"), value("AWSPREVIOUS")) == ("new", "old")


def test_a_rotation_that_failed_stays_pending_and_is_tried_again(admitted: Function) -> None:
    admitted.fails_at = "testSecret"
    rotate(admitted)
    assert admitted.ended() == ["createSecret", "setSecret", "testSecret"]
    assert (value("AWSCURRENT"), value("AWSPENDING")) == ("old", "new")

    admitted.fails_at = ""
    status, answer = rotate()

    assert (status, answer["__type"]) == (400, "InvalidRequestException")
    assert "will be reattempted" in answer["message"]
    assert admitted.ended()[3:] == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert value("AWSCURRENT") == "new"


@pytest.mark.parametrize("source", [{}, {"SourceAccount": "999999999999"}])
def test_a_function_that_does_not_admit_the_service_is_refused(function: Function, source: dict[str, str]) -> None:
    if source:
        function.admit(**source)
    status, answer = rotate(function)

    assert (status, answer["__type"]) == (400, "AccessDeniedException")
    assert "Ensure that the function policy grants access" in answer["message"]
    assert function.steps == []


def test_a_rotation_can_be_configured_without_being_begun(admitted: Function) -> None:
    rotate(admitted, RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 7})
    _, secret = ask(secretsmanager._describe_secret, SecretId="key")

    assert secret["RotationEnabled"] is True
    assert secret["RotationRules"] == {"AutomaticallyAfterDays": 7}
    assert list(secret["VersionIdsToStages"].values()) == [["AWSCURRENT"]]


@pytest.mark.parametrize(
    ("request_", "error"),
    [({"SecretId": "absent"}, "ResourceNotFoundException"), ({"SecretId": "key"}, "InvalidRequestException")],
)
def test_what_cannot_be_rotated_is_refused(request_: Request, error: str) -> None:
    assert ask(secretsmanager._rotate_secret, **request_)[1]["__type"] == error


def test_a_schedule_of_a_stack_rotates_at_once_and_ends_with_it(admitted: Function) -> None:
    properties = {
        "SecretId": "key",
        "RotationLambdaARN": admitted.arn,
        "RotationRules": {"AutomaticallyAfterDays": "30"},
        "RotateImmediatelyOnUpdate": True,
    }
    made, _ = provisioners._provision_resource(rotation.TYPE, "Rotation", properties, "stack")
    admitted.ended()
    provisioners._update_resource(rotation.TYPE, made, properties, {**properties, "RotationRules": {}}, "stack", "R")
    assert len(admitted.ended()) == 8

    for _ in range(2):
        provisioners._delete_resource(rotation.TYPE, made, properties)

    assert ask(secretsmanager._describe_secret, SecretId="key")[1]["RotationEnabled"] is False


def test_a_schedule_whose_function_admits_nobody_is_not_made(function: Function) -> None:
    properties = {"SecretId": "key", "RotationLambdaARN": function.arn, "RotationRules": {}}

    with pytest.raises(RefusedError, match="AccessDeniedException"):
        provisioners._provision_resource(rotation.TYPE, "Rotation", properties, "stack")


def put(text: str, token: str = TOKEN) -> Answer:
    given = {"SecretId": "key", "ClientRequestToken": token, "VersionStages": ["AWSPENDING"]}
    return ask(secretsmanager._put_secret_value, SecretString=text, **given)


def test_a_value_is_put_once_and_never_changed() -> None:
    assert put("one")[0] == 200
    assert put("one") == (200, {**put("one")[1], "VersionStages": ["AWSPENDING"]})
    assert put("other")[1]["__type"] == "ResourceExistsException"
    assert value("AWSPENDING") == "one"


def test_a_label_is_on_one_version_only() -> None:
    put("one")
    put("two", token="1" * 32)

    _, secret = ask(secretsmanager._describe_secret, SecretId="key")
    assert [stages for stages in secret["VersionIdsToStages"].values() if "AWSPENDING" in stages] == [["AWSPENDING"]]
    assert value("AWSPENDING") == "two"


def test_a_version_without_a_value_is_not_found(admitted: Function) -> None:
    admitted.fails_at = "createSecret"
    rotate(admitted, ClientRequestToken=TOKEN)
    admitted.ended()

    _, by_id = ask(secretsmanager._get_secret_value, SecretId="key", VersionId=TOKEN, VersionStage="AWSPENDING")
    assert by_id["__type"] == value("AWSPENDING") == "ResourceNotFoundException"


def test_a_version_by_id_and_label_has_to_be_both() -> None:
    put("one")
    given = {"SecretId": "key", "VersionId": TOKEN}

    assert ask(secretsmanager._get_secret_value, VersionStage="AWSPENDING", **given)[1]["SecretString"] == "one"
    assert ask(secretsmanager._get_secret_value, VersionStage="AWSCURRENT", **given)[0] == 400
    assert ask(secretsmanager._get_secret_value, **given)[1]["SecretString"] == "one"


def test_a_generated_secret_has_no_character_that_is_excluded() -> None:
    wanted = {"PasswordLength": 44, "ExcludePunctuation": True}
    text = provisioners._sm_secret_string({"GenerateSecretString": wanted})
    in_template = provisioners._sm_secret_string(
        {"GenerateSecretString": {**wanted, "SecretStringTemplate": '{"api_key": "a"}', "GenerateStringKey": "s"}}
    )

    assert text.isalnum()
    assert len(text) == 44
    assert json.loads(in_template)["api_key"] == "a"
    assert json.loads(in_template)["s"].isalnum()
    assert provisioners._sm_secret_string({"SecretString": "given"}) == "given"
