"""The decoder: the bytes of a record become a reading or a rejection, the same wherever they are read.

docs/contracts.md is the reference of every rule here.
"""

import re
from collections.abc import Mapping
from typing import Final

from sensors.parse import Fields, RefusedError, open_envelope, parse
from sensors.reading import (
    ATTRIBUTES,
    MAX_ATTRIBUTE_CHARS,
    MAX_METRIC_NAME_CHARS,
    MAX_METRICS,
    RESERVED_NAMES,
    Reading,
    Reason,
    Rejection,
)
from sensors.settings import Calibration, Decoding
from sensors.times import from_number, from_text

SMALLEST_METRIC: Final = 1e-130  # a DynamoDB number is zero or of magnitude 1E-130 to 9.99...E+125
METRIC_LIMIT: Final = 1e126

_ABSENT: Final = object()
_NEVER_READ: Final = frozenset({"payload_b64", "processed_at", "reprocessed_by", "expires_at", "sensor_type_shard"})
is_device_id = re.compile(r"[A-Za-z0-9._:-]{1,128}").fullmatch


def decode(record: bytes, arrived_at_ms: int, decoding: Decoding) -> Reading | Rejection:
    """Decode one record: a device's JSON object, or the envelope of a payload that the topic rule could not read.

    `arrived_at_ms` is when the store that holds the record got it; the rule's own `received_at` takes precedence.
    Never raises, whatever the bytes.
    """
    received_at_ms = arrived_at_ms
    try:
        fields = parse(record)
        received_at_ms = _received_at(fields, arrived_at_ms)
        fields = open_envelope(fields)
        device_id = _device_id(fields)
        measured_at_ms = _measured_at(fields, received_at_ms + decoding.future_tolerance_s * 1000)
        attributes, unfit = _attributes(fields)
        metrics, ignored = _metrics(fields)
        if decoding.calibrations:
            _calibrate(metrics, decoding.calibrations)
    except RefusedError as refused:
        return Rejection(refused.reason, refused.detail, received_at_ms)
    late = received_at_ms - measured_at_ms >= decoding.late_after_h * 3_600_000
    return Reading(device_id, measured_at_ms, metrics, attributes, received_at_ms, unfit + ignored, late)


def _received_at(fields: Fields, arrived_at_ms: int) -> int:
    received_at = fields.get("received_at")
    if type(received_at) is float or type(received_at) is int:
        return from_number(received_at) or arrived_at_ms
    return arrived_at_ms


def _device_id(fields: Fields) -> str:
    sensor_id = fields.pop("sensor_id", _ABSENT)
    device_id = fields.pop("device_id", sensor_id)
    topic_id = fields.pop("topic_device_id", device_id)
    if device_id is _ABSENT:
        device_id = topic_id
    if device_id is _ABSENT:
        raise RefusedError(Reason.MISSING_DEVICE_ID, "neither the payload nor the topic names the device")
    if not isinstance(device_id, str) or is_device_id(device_id) is None:
        raise RefusedError(Reason.BAD_DEVICE_ID, "a device id is 1 to 128 of A-Z a-z 0-9 . _ : -")
    if topic_id != device_id:
        raise RefusedError(Reason.IDENTITY_MISMATCH, f"the payload says {device_id}, the topic {str(topic_id)[:128]}")
    if sensor_id is not _ABSENT and sensor_id != device_id:
        raise RefusedError(Reason.IDENTITY_MISMATCH, f"device_id is {device_id}, sensor_id {str(sensor_id)[:128]}")
    return device_id


def _measured_at(fields: Fields, latest_ms: int) -> int:
    timestamp = fields.pop("timestamp", _ABSENT)
    if timestamp is _ABSENT:
        raise RefusedError(Reason.MISSING_TIMESTAMP, "the payload has no timestamp")
    measured_at_ms = None
    if type(timestamp) is float or type(timestamp) is int:
        measured_at_ms = from_number(timestamp)
    elif type(timestamp) is str:
        measured_at_ms = from_text(timestamp)
    if measured_at_ms is None:
        raise RefusedError(Reason.BAD_TIMESTAMP, "neither epoch seconds or milliseconds nor ISO-8601 with an offset")
    if measured_at_ms > latest_ms:
        raise RefusedError(Reason.TIMESTAMP_IN_FUTURE, f"{measured_at_ms - latest_ms} ms past what clocks may differ")
    return measured_at_ms


def _attributes(fields: Fields) -> tuple[dict[str, str], int]:
    """The attributes, and how many fields of their names hold something else."""
    attributes: dict[str, str] = {}
    unfit = 0
    for name in ATTRIBUTES:
        if name in fields:
            value = fields[name]
            if type(value) is str and len(value) <= MAX_ATTRIBUTE_CHARS:
                attributes[name] = value
            else:
                unfit += 1
    return attributes, unfit


def _metrics(fields: Fields) -> tuple[dict[str, float], int]:
    """The metrics of all three forms, and how many fields are neither a metric nor anything else of the contract."""
    groups = []
    if "value" in fields and isinstance(fields.get("sensor_type"), str):
        groups.append({fields["sensor_type"]: fields.pop("value")})
    ignored = sum(name in fields for name in _NEVER_READ) if not _NEVER_READ.isdisjoint(fields) else 0
    if "metrics" in fields:
        if isinstance(fields["metrics"], dict):
            groups.append(fields["metrics"])
        else:
            ignored += 1
    metrics, others = _numbers(fields)
    ignored += others
    for group in groups:
        ignored += _add_group(metrics, group)
    if not metrics:
        raise RefusedError(Reason.NO_METRICS, "the payload holds no number beside its timestamp")
    if len(metrics) > MAX_METRICS:
        raise RefusedError(Reason.TOO_MANY_METRICS, f"{len(metrics)} metrics, a reading has at most {MAX_METRICS}")
    return metrics, ignored


def _add_group(metrics: dict[str, float], group: Fields) -> int:
    """Add the metrics of a group to those of the top level; how many of its fields hold no number."""
    if misplaced := RESERVED_NAMES & group.keys():
        raise RefusedError(Reason.BAD_METRIC, f"{min(misplaced)} cannot be the name of a metric")
    named, ignored = _numbers(group)
    if twice := {name for name in named.keys() & metrics.keys() if named[name] != metrics[name]}:
        raise RefusedError(Reason.BAD_METRIC, f"{min(twice)} has two values")
    metrics.update(named)
    return ignored


def _numbers(fields: Fields) -> tuple[dict[str, float], int]:
    """The numbers among fields, reserved names left out, and how many of the other fields hold no number."""
    numbers: dict[str, float] = {}
    ignored = 0
    for name, value in fields.items():
        if name not in RESERVED_NAMES:
            kind = type(value)
            if kind is float and SMALLEST_METRIC <= value < METRIC_LIMIT and 0 < len(name) <= MAX_METRIC_NAME_CHARS:
                numbers[name] = value
            elif kind is float or kind is int:
                numbers[name] = _checked(name, value)
            else:
                ignored += 1
    return numbers, ignored


def _checked(name: str, value: float) -> float:
    if not 0 < len(name) <= MAX_METRIC_NAME_CHARS:
        raise RefusedError(Reason.BAD_METRIC, f"a metric's name has 1 to {MAX_METRIC_NAME_CHARS} characters")
    return _storable(name, value)


def _storable(what: str, value: float) -> float:
    if value == 0:
        return 0.0  # of -0.0 too
    if not SMALLEST_METRIC <= abs(value) < METRIC_LIMIT:
        raise RefusedError(Reason.BAD_METRIC, f"{what} is not finite, or of a magnitude outside 1e-130 to 1e126")
    return float(value)


def _calibrate(metrics: dict[str, float], calibrations: Mapping[str, Calibration]) -> None:
    """Replace what was sent by what is stored; a sum of a product, each rounded, as it is of columns too."""
    for name, by in calibrations.items():
        if name in metrics:
            sent = metrics[name]
            metrics[name] = _storable(f"{name}, {sent!r} x {by.scale!r} + {by.offset!r},", sent * by.scale + by.offset)
