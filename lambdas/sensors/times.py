"""Moments as the contracts write them: milliseconds since 1970 in UTC inside, numbers or ISO-8601 text outside."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

MAX_MS: Final = 253_402_300_799_999  # the last millisecond of the year 9999
SMALLEST_MS: Final = 100_000_000_000  # from here on a number means milliseconds; as seconds it is the year 5138

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_ISO_8601 = re.compile(
    rf"\d{{4}}-\d\d-\d\d[T ]{_CLOCK}(:[0-5]\d([.,]\d{{1,9}})?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)", re.ASCII
)
"""What every Python version that we run on reads alike; `datetime.fromisoformat` takes more, and more each year."""


def from_number(value: float) -> int | None:
    """Epoch seconds or milliseconds as the nearest millisecond; None outside the years 1970 to 9999."""
    if 0 <= value <= MAX_MS:
        return round(value if value >= SMALLEST_MS else value * 1000)
    return None


def from_text(text: str) -> int | None:
    """ISO-8601 date and time with an offset as the nearest millisecond; None if not, or outside 1970 to 9999."""
    if _ISO_8601.fullmatch(text) is None:
        return None
    try:
        moment_ms = round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:  # a 13th month, a 30th of February
        return None
    return moment_ms if 0 <= moment_ms <= MAX_MS else None


def iso_ms(moment_ms: int) -> str:
    """A moment of the years 1970 to 9999 as `2026-11-21T09:00:00.000Z`."""
    return (_EPOCH + timedelta(milliseconds=moment_ms)).isoformat(timespec="milliseconds")[:-6] + "Z"
