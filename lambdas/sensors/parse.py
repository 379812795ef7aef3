"""From the bytes of a record to the fields of the device's JSON object: size, JSON, envelope."""

import binascii
import contextlib
from typing import Any, Final

import msgspec

from sensors.reading import MAX_PAYLOAD_BYTES, RULE_FIELDS, Reason

MAX_DEPTH: Final = 64  # well under any interpreter's recursion limit, so that every Python gives the same answer
MAX_RECORD_BYTES: Final = MAX_PAYLOAD_BYTES * 4 // 3 + 1024  # a payload of the full size in base64, and its envelope

Fields = dict[str, Any]

# Nearly every payload is flat; read like this, its numbers are floats already.
_decode_flat = msgspec.json.Decoder(dict[str, float | str | bool | None]).decode
# With the hook, a number that no double holds (1e999) becomes infinity instead of an error without a place.
_decode_any = msgspec.json.Decoder(float_hook=float).decode


class RefusedError(Exception):
    """Inside the decoder: this record can never become a reading."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def parse(record: bytes) -> Fields:
    """The fields of the JSON object that a record is; raises RefusedError (too_large, not_json, not_an_object).

    Of a key that stands twice the last value counts. Numbers may come as int or float.
    """
    if len(record) > MAX_PAYLOAD_BYTES:
        return _parse_oversized(record)
    return _parse_object(record)


def open_envelope(fields: Fields) -> Fields:
    """The fields of the payload that the topic rule wrapped because it found no `timestamp` in it.

    Fields that are no envelope come back as they are. What the rule says of device and arrival stands beside the
    payload's fields, whatever the payload says of them. Raises RefusedError like `parse`.
    """
    if not _is_envelope(fields):
        return fields
    try:
        payload = binascii.a2b_base64(fields["payload_b64"], strict_mode=True)
    except ValueError as error:
        raise RefusedError(Reason.NOT_JSON, f"payload_b64 is not base64: {error}") from error
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _too_large(len(payload))
    inner = _parse_object(payload)
    for name in RULE_FIELDS:
        inner.pop(name, None)
        if name in fields:
            inner[name] = fields[name]
    return inner


def _is_envelope(fields: Fields) -> bool:
    return "timestamp" not in fields and isinstance(fields.get("payload_b64"), str)


def _parse_object(payload: bytes) -> Fields:
    try:
        return _decode_flat(payload)
    except msgspec.ValidationError:  # JSON so far, but not a flat object
        value = _decode_value(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(Reason.NOT_JSON, str(error)) from error
    if not isinstance(value, dict):
        raise RefusedError(Reason.NOT_AN_OBJECT, f"the JSON value is of type {type(value).__name__}")
    return value


def _decode_value(payload: bytes) -> object:
    try:
        value = _decode_any(payload)
    except msgspec.ValidationError as error:
        raise RefusedError(Reason.BAD_METRIC, "a number has too many digits") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(Reason.NOT_JSON, str(error)) from error
    except RecursionError as error:
        raise _too_deep() from error
    if _is_deeper_than(MAX_DEPTH, value):
        raise _too_deep()
    return value


def _is_deeper_than(levels: int, value: object) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_is_deeper_than(levels - 1, part) for part in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_is_deeper_than(levels - 1, part) for part in value)
    return False


def _parse_oversized(record: bytes) -> Fields:
    """A record over the payload's limit may hold a payload within it: the rule adds fields, or wraps it in base64."""
    if len(record) <= MAX_RECORD_BYTES:
        with contextlib.suppress(RefusedError):
            fields = _parse_object(record)
            added_bytes = sum(len(_member(name, fields[name])) for name in RULE_FIELDS if name in fields)
            if _is_envelope(fields) or len(record) - added_bytes <= MAX_PAYLOAD_BYTES:
                return fields
    raise _too_large(len(record))


def _member(name: str, value: object) -> bytes:
    """A field as the rule writes it into an object that holds others."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a moment, which the parser made a float of
    return b"," + msgspec.json.encode({name: value})[1:-1]


def _too_large(size_bytes: int) -> RefusedError:
    return RefusedError(Reason.TOO_LARGE, f"{size_bytes} bytes, a payload has at most {MAX_PAYLOAD_BYTES}")


def _too_deep() -> RefusedError:
    return RefusedError(Reason.NOT_JSON, f"nested deeper than {MAX_DEPTH} levels")
