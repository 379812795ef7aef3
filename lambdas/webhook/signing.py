"""Signatures of the Standard Webhooks scheme, version `v1`: HMAC-SHA256 over `<id>.<timestamp>.<body>` in base64.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
from collections.abc import Sequence

from webhook.credentials import Credentials


def sign(credentials: Credentials, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The signature of a body sent at a moment in epoch seconds, as `v1,<base64>`."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(credentials.key, content, 'sha256')).decode()}"


def verifies(credentials: Credentials, signatures: str, message_id: str, timestamp_s: int, body: bytes) -> bool:
    """Whether one of the space-separated signatures is of these credentials, as a receiver would check it."""
    own = sign(credentials, message_id, timestamp_s, body)
    return any(hmac.compare_digest(own.encode(), given.encode()) for given in signatures.split(" "))


def headers(signers: Sequence[Credentials], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of a signed message: one signature a signer, and their key ids in the same order."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(sign(one, message_id, timestamp_s, body) for one in signers),
        "webhook-key-id": " ".join(one.key_id for one in signers),
    }
