"""The four steps of a rotation: repeated, interrupted between any two requests, and refused."""

import json
import types
from typing import Any

import pytest

from rotate_secret.rotation import Rotation, RotationError
from webhook.credentials import generate, parse

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
SECRET, OLD, NEW = "arn:secret", "version-old", "version-new"


class NotFoundError(Exception):
    """ResourceNotFoundException."""


class ExistsError(Exception):
    """ResourceExistsException."""


class CrashError(Exception):
    """The function's end, before or after a request."""


class SecretsManager:
    """A secret in memory, kept as AWS keeps it; it ends the function at the request number `crash_at`."""

    exceptions = types.SimpleNamespace(ResourceNotFoundException=NotFoundError, ResourceExistsException=ExistsError)

    def __init__(self) -> None:
        self.values = {OLD: generate()}
        self.stages = {OLD: ["AWSCURRENT"], NEW: ["AWSPENDING"]}
        self.enabled = True
        self.requests = 0
        self.crash_at: tuple[int, str] | None = None

    def describe_secret(self, SecretId: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        with self._request():
            stages = {version: list(labels) for version, labels in self.stages.items()}
            return {"RotationEnabled": self.enabled, "VersionIdsToStages": stages}

    def get_secret_value(self, SecretId: str, VersionStage: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        with self._request():
            labelled = next((version for version, labels in self.stages.items() if VersionStage in labels), None)
            if labelled is None or VersionId not in (None, labelled) or labelled not in self.values:
                raise NotFoundError
            return {"SecretString": self.values[labelled], "VersionId": labelled}

    def put_secret_value(
        self,
        SecretId: str,  # noqa: N803
        ClientRequestToken: str,  # noqa: N803
        SecretString: str,  # noqa: N803
        VersionStages: list[str],  # noqa: N803
    ) -> None:
        with self._request():
            if self.values.get(ClientRequestToken, SecretString) != SecretString:
                raise ExistsError
            self.values[ClientRequestToken] = SecretString
            self.stages[ClientRequestToken] = VersionStages

    def update_secret_version_stage(
        self,
        SecretId: str,  # noqa: N803
        VersionStage: str,  # noqa: N803
        MoveToVersionId: str,  # noqa: N803
        RemoveFromVersionId: str | None = None,  # noqa: N803
    ) -> None:
        with self._request():
            holder = next((version for version, labels in self.stages.items() if VersionStage in labels), None)
            assert RemoveFromVersionId == holder
            if holder:
                self.stages[holder] = ["AWSPREVIOUS"]
            self.stages[MoveToVersionId] = [*self.stages[MoveToVersionId], VersionStage]

    def _request(self) -> "Request":
        self.requests += 1
        return Request(self.crash_at, self.requests)


class Request:
    """A request that may be the last: ended before it has an effect, or after."""

    def __init__(self, crash_at: tuple[int, str] | None, number: int) -> None:
        self._crash_at, self._number = crash_at, number

    def __enter__(self) -> None:
        if self._crash_at == (self._number, "before"):
            raise CrashError

    def __exit__(self, *_: object) -> None:
        if self._crash_at == (self._number, "after"):
            raise CrashError


@pytest.fixture
def secrets() -> SecretsManager:
    return SecretsManager()


def rotate(secrets: SecretsManager, *steps: str, version: str = NEW) -> None:
    for step in steps or STEPS:
        Rotation(secrets, SECRET, version).run(step)


def requests_of_a_rotation() -> int:
    secrets = SecretsManager()
    rotate(secrets)
    return secrets.requests


def assert_rotated(secrets: SecretsManager, old: str) -> None:
    assert "AWSCURRENT" in secrets.stages[NEW]
    assert secrets.stages[OLD] == ["AWSPREVIOUS"]
    assert secrets.values[OLD] == old
    assert parse(secrets.values[NEW]).key != parse(old).key


def test_a_rotation_makes_a_new_key_current_and_the_old_one_previous(secrets):
    old = secrets.values[OLD]
    rotate(secrets)

    assert_rotated(secrets, old)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, requests_of_a_rotation() + 1))
def test_a_rotation_that_ends_at_any_request_is_repeated_to_its_end(secrets, number, moment):
    old = secrets.values[OLD]
    secrets.crash_at = number, moment
    with pytest.raises(CrashError):
        rotate(secrets)
    made = secrets.values.get(NEW)
    secrets.crash_at = None

    rotate(secrets)

    assert_rotated(secrets, old)
    assert made in (None, secrets.values[NEW]), "a value that was there must not change"


@pytest.mark.parametrize("step", STEPS)
def test_each_step_can_be_repeated(secrets, step):
    before = STEPS[: STEPS.index(step) + 1]
    rotate(secrets, *before)
    values, stages = dict(secrets.values), dict(secrets.stages)

    rotate(secrets, step)

    assert (secrets.values, secrets.stages) == (values, stages)


def test_of_two_invocations_at_once_the_first_value_stays(secrets):
    get, first = secrets.get_secret_value, generate()

    def get_and_be_overtaken(**request: str) -> dict[str, Any]:
        secrets.get_secret_value = get
        try:
            return get(**request)
        finally:
            secrets.values[NEW] = first

    secrets.get_secret_value = get_and_be_overtaken
    rotate(secrets, "createSecret")

    assert secrets.values[NEW] == first


def test_a_current_value_that_is_unusable_is_replaced(secrets):
    secrets.values[OLD] = "written by hand"
    rotate(secrets)

    assert "AWSCURRENT" in secrets.stages[NEW]


def test_a_secret_without_a_current_version_gets_one(secrets):
    secrets.stages[OLD] = []
    rotate(secrets)

    assert "AWSCURRENT" in secrets.stages[NEW]


def test_a_secret_whose_rotation_is_not_enabled_is_refused(secrets):
    secrets.enabled = False

    with pytest.raises(RotationError, match=r"Rotation of arn:secret is not enabled\. Deploy"):
        rotate(secrets)


def test_a_version_that_does_not_exist_is_refused(secrets):
    with pytest.raises(RotationError, match=r"arn:secret has no version absent\. Start a new rotation"):
        rotate(secrets, version="absent")


def test_a_version_that_is_not_pending_is_refused(secrets):
    secrets.stages["version-older"] = ["AWSPREVIOUS"]

    with pytest.raises(RotationError, match=r"version-older of arn:secret is \['AWSPREVIOUS'\], not AWSPENDING"):
        rotate(secrets, version="version-older")


def test_an_unknown_step_is_refused_with_the_known_ones(secrets):
    with pytest.raises(RotationError, match="no step 'deleteSecret'; there are createSecret, setSecret"):
        rotate(secrets, "deleteSecret")


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_version_without_a_value_does_not_go_on(secrets, step):
    with pytest.raises(RotationError, match=r"version-new of arn:secret has no value\. Start the rotation again"):
        rotate(secrets, step)

    assert secrets.stages[OLD] == ["AWSCURRENT"]


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_value_that_is_no_key_does_not_go_on_and_is_not_shown(secrets, step):
    secrets.values[NEW] = json.dumps({"api_key": "key_1", "api_secret": "much too short"})

    with pytest.raises(RotationError, match="version-new of arn:secret cannot be used") as refused:
        rotate(secrets, step)

    assert "much too short" not in str(refused.value)
    assert secrets.stages[OLD] == ["AWSCURRENT"]


@pytest.mark.parametrize("same", ["api_key", "api_secret"])
def test_a_key_or_a_key_id_that_is_not_new_fails_the_test(secrets, same):
    old = json.loads(secrets.values[OLD])
    secrets.values[NEW] = json.dumps({**json.loads(generate()), same: old[same]})

    with pytest.raises(RotationError, match="version-new of arn:secret is not new"):
        rotate(secrets, "testSecret")
