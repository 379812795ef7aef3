"""The vocabulary of the domain: what a record on the stream turns into."""

import enum
from typing import Final

import msgspec


class Reason(enum.StrEnum):
    """Why a record can never become a reading. The list is part of the quarantine contract."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_DEVICE_ID = "missing_device_id"
    BAD_DEVICE_ID = "bad_device_id"
    IDENTITY_MISMATCH = "identity_mismatch"
    MISSING_TIMESTAMP = "missing_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"
    NO_METRICS = "no_metrics"
    BAD_METRIC = "bad_metric"
    TOO_MANY_METRICS = "too_many_metrics"
    TOO_LARGE = "too_large"


class Reading(msgspec.Struct, frozen=True):
    """What one device measured at one moment. Times are milliseconds since 1970 in UTC.

    `(device_id, measured_at_ms)` is the identity: two readings that share it are duplicates. `ignored_fields` counts
    what the payload held beside the contract; `late` says that it was older on arrival than the settings' limit.
    """

    device_id: str
    measured_at_ms: int
    metrics: dict[str, float]
    attributes: dict[str, str]
    received_at_ms: int
    ignored_fields: int
    late: bool


class Rejection(msgspec.Struct, frozen=True):
    """A record that can never become a reading, with the reason and a sentence for people."""

    reason: Reason
    detail: str
    received_at_ms: int


ATTRIBUTES: Final = ("sensor_type", "location", "facility", "equipment_type")
"""The attributes a payload may carry, strings of at most MAX_ATTRIBUTE_CHARS."""

RULE_FIELDS: Final = ("topic_device_id", "received_at")
"""What the topic rule adds to the device's object."""

RESERVED_NAMES: Final = frozenset(
    {
        *ATTRIBUTES,
        *RULE_FIELDS,
        "device_id",
        "sensor_id",
        "timestamp",
        "metrics",
        "payload_b64",
        "processed_at",
        "reprocessed_by",
        "expires_at",
        "sensor_type_shard",
    }
)
"""Names that no metric may have: they are attributes of the payload, of the envelope or of the hot table's item."""

MAX_PAYLOAD_BYTES: Final = 128 * 1024
MAX_METRICS: Final = 64
MAX_METRIC_NAME_CHARS: Final = 255
MAX_ATTRIBUTE_CHARS: Final = 256
