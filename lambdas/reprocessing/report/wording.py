"""How a page says numbers, sizes, moments and durations."""

from datetime import UTC, datetime, timedelta
from typing import Final

from reprocessing.changes import Alarm
from sensors.settings import Threshold
from sensors.times import from_text

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def number(value: int) -> str:
    """With commas between thousands."""
    return f"{value:,}"


def count(value: int, thing: str) -> str:
    """A number of things: `1 reading`, `2 readings`."""
    return f"{value:,} {thing}{'' if value == 1 else 's'}"


def amount(value: float) -> str:
    """A measured value, as many digits as say something."""
    return f"{value:,.6g}"


def size(value: int) -> str:
    """Bytes, in the unit that suits them."""
    power = min((len(str(value)) - 1) // 3, len(_UNITS) - 1)
    return f"{value / 1000**power:,.3g} {_UNITS[power]}" if power else f"{value:,} bytes"


def moment(ms: int) -> str:
    """Epoch milliseconds in UTC, as exact as they are; a time that the calendar lacks as a number."""
    try:
        text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(sep=" ", timespec="milliseconds")[:-6]
    except OverflowError:
        return f"{ms} ms"
    return text.removesuffix(":00.000").removesuffix(".000")


def day_or_moment(ms: int) -> str:
    """The same; of midnight the day alone."""
    return moment(ms).removesuffix(" 00:00")


def minute(text: str) -> str:
    """A moment that a manifest has as ISO-8601, to the minute; what is none as it is."""
    ms = from_text(text)
    return text if ms is None else moment(ms // 60_000 * 60_000)


def period(seconds: int) -> str:
    """A duration in its two largest units."""
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    said = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(said[:2]) or "0 s"


def usd(value: float) -> str:
    """Dollars, cents' fractions too where there is little else."""
    return f"${value:,.2f}" if value >= 1 else f"${value:.4f}"


def limit(rule: Alarm | Threshold) -> str:
    """What an alarm or a threshold says of its limit."""
    return f"above {amount(rule.above)}" if rule.above is not None else f"below {amount(rule.below or 0.0)}"
