"""The credentials that a version of the secret holds: a public key id, and the key, which nothing here shows."""

import base64
import binascii
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

PREFIX: Final = "whsec_"  # what the Standard Webhooks scheme writes before a key
KEY_BYTES: Final = 32
SHORTEST_KEY_BYTES: Final = 24  # of that scheme, which allows 24 to 64
LONGEST_KEY_BYTES: Final = 64
KEY_ID_BYTES: Final = 8
KEY_ID: Final = re.compile(r"[!-~]{1,128}")  # it stands in a header, with a space to the next one


class CredentialsError(Exception):
    """A version of the secret that holds no usable credentials; the message says why and shows nothing of it."""


@dataclass(frozen=True)
class Credentials:
    """One version's key, and the id by which a receiver finds it."""

    key_id: str
    key: bytes = field(repr=False)


def generate() -> str:
    """New credentials, as the text that the secret holds."""
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return json.dumps({"api_key": f"key_{secrets.token_hex(KEY_ID_BYTES)}", "api_secret": PREFIX + key})


def parse(text: str) -> Credentials:
    """The credentials in a version of the secret. Raises CredentialsError."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CredentialsError("The secret is not a JSON object with api_key and api_secret.")
    key_id, key = value.get("api_key"), value.get("api_secret")
    if not isinstance(key_id, str) or not KEY_ID.fullmatch(key_id):
        raise CredentialsError("The secret's api_key is not a text of 1 to 128 visible ASCII characters.")
    if not isinstance(key, str):
        raise CredentialsError("The secret's api_secret is not a text.")
    return Credentials(key_id, _key(key))


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise CredentialsError("The secret's api_secret is not base64.") from None  # the cause would quote it
    if not SHORTEST_KEY_BYTES <= len(key) <= LONGEST_KEY_BYTES:
        raise CredentialsError(
            f"The secret's api_secret has {len(key)} bytes, not {SHORTEST_KEY_BYTES} to {LONGEST_KEY_BYTES}."
        )
    return key
