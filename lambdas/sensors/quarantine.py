"""The quarantine: gz NDJSON objects that hold every rejected record with its bytes, reason and position."""

import binascii
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from sensors.reading import Reason, Rejection
from sensors.times import iso_ms

GZIP_WINDOW: Final = (
    31  # zlib's 15 bits, and 16 for a gzip header; zlib leaves its date out, so bytes depend on input alone
)
GZIP_LEVEL: Final = 6

Source = Literal["stream", "archive"]


class QuarantineLine(msgspec.Struct, frozen=True):
    """One line. `position` identifies it: a retry may write a line again, and readers count a position once.

    It is `<shard id>:<sequence number>` on the stream, `<bucket key>:<line number>` in the archive. `received_at` is
    ISO-8601 in UTC with milliseconds; `payload_b64` holds the record's bytes as they stood at that position.
    """

    reason: Reason
    detail: str
    source: Source
    position: str
    received_at: str
    payload_b64: str


def line(rejection: Rejection, record: bytes, source: Source, position: str) -> bytes:
    """The NDJSON line of one rejected record, with its line feed."""
    payload_b64 = binascii.b2a_base64(record, newline=False).decode("ascii")
    received_at = iso_ms(rejection.received_at_ms)
    entry = QuarantineLine(rejection.reason, rejection.detail, source, position, received_at, payload_b64)
    return msgspec.json.encode(entry) + b"\n"


def pack(lines: Iterable[bytes]) -> bytes:
    """The object's bytes; the same lines give the same bytes."""
    return zlib.compress(b"".join(lines), GZIP_LEVEL, GZIP_WINDOW)


def key(rejections: Iterable[Rejection], name: str) -> str:
    """The object's key: by the common reason or `mixed`, and the UTC day of arrival of the first line.

    `name` is the writer's: deterministic, so that a retry overwrites what it wrote before.
    """
    held = list(rejections)
    reasons = {rejection.reason.value for rejection in held}
    reason = reasons.pop() if len(reasons) == 1 else "mixed"
    day = datetime.fromtimestamp(held[0].received_at_ms // 1000, UTC)
    return f"quarantine/reason={reason}/year={day:%Y}/month={day:%m}/day={day:%d}/{name}.jsonl.gz"
