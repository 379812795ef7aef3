"""The four steps of a rotation, each of which can be interrupted anywhere and repeated.

Secrets Manager invokes them in order, and begins anew with the same version when one of them fails
(https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html). The receivers of the
webhook have to learn the new key by themselves, so that no other system is told here: until they have it, deliveries
are signed with the previous key too.
"""

from typing import Any, Final

from webhook.credentials import Credentials, CredentialsError, generate, parse
from webhook.signing import headers, verifies

CURRENT: Final = "AWSCURRENT"
PENDING: Final = "AWSPENDING"
TRIAL: Final = ("rotation-test", 0, b"{}")
"""Message id, time and body of the message that a pending key is tried with."""

SecretsManager = Any


class RotationError(Exception):
    """A rotation that cannot go on; the message names the secret and the version, and shows nothing of either."""


class Rotation:
    """The rotation of one secret to one version."""

    def __init__(self, client: SecretsManager, secret_id: str, version_id: str) -> None:
        self._client = client
        self._secret_id = secret_id
        self._version_id = version_id

    def run(self, step: str) -> None:
        """Do one step. Raises RotationError, and what boto3 raises when Secrets Manager fails."""
        steps = {
            "createSecret": self._create,
            "setSecret": self._set,
            "testSecret": self._test,
            "finishSecret": self._finish,
        }
        if step not in steps:
            raise RotationError(f"There is no step '{step}'; there are {', '.join(steps)}.")
        if CURRENT not in self._stages():  # else finished already, and repeated
            steps[step]()

    def _stages(self) -> list[str]:
        """Labels of the version. Raises RotationError unless it is this secret's next one, or current already."""
        secret = self._client.describe_secret(SecretId=self._secret_id)
        if not secret.get("RotationEnabled"):
            raise RotationError(f"Rotation of {self._secret_id} is not enabled. Deploy the stack's rotation schedule.")
        versions: dict[str, list[str]] = secret.get("VersionIdsToStages", {})
        stages = versions.get(self._version_id)
        if stages is None:
            raise RotationError(f"{self._secret_id} has no version {self._version_id}. Start a new rotation.")
        if not {CURRENT, PENDING} & set(stages):
            raise RotationError(
                f"Version {self._version_id} of {self._secret_id} is {stages}, not {PENDING}. Start a new rotation."
            )
        return stages

    def _create(self) -> None:
        """Give the version a value, unless an earlier try has: what was announced once must not change."""
        if self._value(PENDING) is not None:
            return
        try:
            self._client.put_secret_value(
                SecretId=self._secret_id,
                ClientRequestToken=self._version_id,
                SecretString=generate(),
                VersionStages=[PENDING],
            )
        except self._client.exceptions.ResourceExistsException:
            return  # another invocation was faster: its value stays

    def _set(self) -> None:
        """Nobody to be told; but what nobody could read is not passed on to the next step."""
        self._pending()

    def _test(self) -> None:
        """Prove that the pending key signs, that it is a new one, and that the two keys cannot be mistaken."""
        pending, current = self._pending(), self._current()
        signatures = headers([pending], *TRIAL)["webhook-signature"]
        if not verifies(pending, signatures, *TRIAL):
            raise RotationError(f"A signature of version {self._version_id} of {self._secret_id} does not verify.")
        if current and (pending.key_id == current.key_id or verifies(current, signatures, *TRIAL)):
            raise RotationError(f"Version {self._version_id} of {self._secret_id} is not new. Start a new rotation.")

    def _finish(self) -> None:
        """Make the version the current one; Secrets Manager makes the one before it the previous one."""
        versions = self._client.describe_secret(SecretId=self._secret_id)["VersionIdsToStages"]
        current = next((version for version, stages in versions.items() if CURRENT in stages), None)
        self._pending()  # an empty version would leave nothing to sign with
        moved_from = {"RemoveFromVersionId": current} if current else {}
        self._client.update_secret_version_stage(
            SecretId=self._secret_id, VersionStage=CURRENT, MoveToVersionId=self._version_id, **moved_from
        )

    def _current(self) -> Credentials | None:
        """The current credentials; None when they are unusable, which a rotation puts right."""
        try:
            return parse(self._value(CURRENT) or "")
        except CredentialsError:
            return None

    def _pending(self) -> Credentials:
        """The version's credentials. Raises RotationError when there are none."""
        text = self._value(PENDING)
        if text is None:
            raise RotationError(
                f"Version {self._version_id} of {self._secret_id} has no value. Start the rotation again."
            )
        try:
            return parse(text)
        except CredentialsError as error:
            raise RotationError(f"Version {self._version_id} of {self._secret_id} cannot be used. {error}") from None

    def _value(self, stage: str) -> str | None:
        """The text under a label (the pending one of this version alone), None while there is none."""
        version = {"VersionId": self._version_id} if stage == PENDING else {}
        try:
            found = self._client.get_secret_value(SecretId=self._secret_id, VersionStage=stage, **version)
        except self._client.exceptions.ResourceNotFoundException:
            return None
        text: str | None = found.get("SecretString")
        return text
