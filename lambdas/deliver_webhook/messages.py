"""What is posted: a message of the topic as JSON, with what kind of message it is."""

import json
from dataclasses import dataclass
from typing import Any, Final

KINDS: Final = {"alert_id": "alert", "AlarmName": "alarm"}
"""Field that only this kind of message has → its type: alerts of process_readings, and alarms of CloudWatch."""


@dataclass(frozen=True)
class Message:
    """The bytes that are signed and posted; `id` stays the same however often they are sent."""

    id: str
    type: str
    body: bytes


def message(record: dict[str, Any]) -> Message:
    """The message of one record of an SNS event."""
    notification = record["Sns"]
    data = _object(notification["Message"])
    kind = next((kind for field, kind in KINDS.items() if field in data), "notification")
    content = {
        "id": notification["MessageId"],
        "type": kind,
        "timestamp": notification["Timestamp"],
        "topic": notification["TopicArn"],
        "data": data,
    }
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Message(notification["MessageId"], kind, body)


def _object(text: str) -> dict[str, Any]:
    """A JSON object as it is, any other text as an object that holds it."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"text": text}
