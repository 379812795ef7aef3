"""What the two topic rules make of a message: the bytes that stand on the stream."""

import base64
import json

from local.fleet.message import Message


def record(message: Message, received_at_ms: int) -> bytes:
    """The device's object with the rule's fields, or an envelope for whatever has no `timestamp`."""
    added = {"topic_device_id": message.device_id, "received_at": received_at_ms}
    try:
        fields = json.loads(message.payload, parse_constant=_refuse)
    except ValueError:
        fields = None
    if isinstance(fields, dict) and "timestamp" in fields:
        return json.dumps(fields | added).encode()
    return json.dumps({"payload_b64": base64.b64encode(message.payload).decode()} | added).encode()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
