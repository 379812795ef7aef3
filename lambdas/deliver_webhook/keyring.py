"""The keys that sign: the current version of the secret, then the previous one, held for a short while."""

from collections.abc import Callable
from typing import Any, Final

from webhook.credentials import Credentials, CredentialsError, parse

HELD_S: Final = 60.0
"""A minute saves most requests; a receiver that refuses makes the keys be read anew before that."""

SecretsManager = Any


class Keyring:
    """Reads the secret's versions; `now_s` is a clock that only goes forward."""

    def __init__(self, client: SecretsManager, secret_id: str, now_s: Callable[[], float]) -> None:
        self._client = client
        self._secret_id = secret_id
        self._now_s = now_s
        self._held: list[Credentials] = []
        self._read_s = 0.0

    def signers(self) -> list[Credentials]:
        """Current credentials, then the previous ones while there are any.

        Raises CredentialsError for a current version that cannot be used, and what boto3 raises.
        """
        if not self._held or self._now_s() - self._read_s >= HELD_S:
            self.renew()
        return self._held

    def renew(self) -> bool:
        """Read the versions anew; whether they are others than those held."""
        before, self._held, self._read_s = self._held, self._read(), self._now_s()
        return self._held != before

    def _read(self) -> list[Credentials]:
        current = parse(self._value("AWSCURRENT"))
        try:
            previous = parse(self._value("AWSPREVIOUS"))
        except (self._client.exceptions.ResourceNotFoundException, CredentialsError):
            return [current]  # never rotated, or what was there before was no key: nobody can verify with it
        return [current] if previous == current else [current, previous]

    def _value(self, stage: str) -> str:
        found = self._client.get_secret_value(SecretId=self._secret_id, VersionStage=stage)
        text: str = found.get("SecretString", "")
        return text
