"""The quarantine: gz NDJSON objects that hold every rejected record with its bytes, reason and position."""

import binascii
import zlib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final, Literal

import msgspec

from sensors.reading import Reason, Rejection
from sensors.times import iso_ms

GZIP_WINDOW: Final = (
    31  # zlib's 15 bits, and 16 for a gzip header; zlib leaves its date out, so bytes depend on input alone
)
GZIP_LEVEL: Final = 6

Source = Literal["stream", "archive"]
Writer = Literal["stream", "compact", "reprocess"]
"""Who has written an object, which its name begins with: real time, or a run of one of these machines."""

REASONS: Final = tuple(sorted({*(reason.value for reason in Reason), "mixed"}))
"""What an object may be of: one reason, or several."""

_SOURCES: Final[dict[str, Source]] = {"stream": "stream", "compact": "archive", "reprocess": "archive"}


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


def key(rejections: Iterable[Rejection], writer: Writer, name: str) -> str:
    """The object's key: by the common reason or `mixed`, and the UTC day of arrival of the first rejection.

    `name` is deterministic, so that a retry overwrites what it wrote before.
    """
    held = list(rejections)
    reasons = {rejection.reason.value for rejection in held}
    reason = reasons.pop() if len(reasons) == 1 else "mixed"
    day = datetime.fromtimestamp(held[0].received_at_ms // 1000, UTC).date()
    return f"{prefix(reason, day, writer)}{name}.jsonl.gz"


def source_of(key: str) -> Source | None:
    """Where all lines of an object come from, as its name says; None when that begins with no Writer."""
    return _SOURCES.get(key.rpartition("/")[2].partition("-")[0])


def reason_prefix(reason: str) -> str:
    """What the keys begin with of all that was set aside for one of the REASONS; the days follow in order."""
    return f"quarantine/reason={reason}/"


def day_prefix(reason: str, day: date) -> str:
    """What the keys begin with of that of a day."""
    return f"{reason_prefix(reason)}year={day:%Y}/month={day:%m}/day={day:%d}/"


def prefix(reason: str, day: date, writer: Writer) -> str:
    """What the keys begin with of that of a writer."""
    return f"{day_prefix(reason, day)}{writer}-"
