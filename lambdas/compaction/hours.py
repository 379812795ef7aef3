"""Arrival hours: the unit in which Firehose lays down the archive and compaction takes it up."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec

from compaction.errors import InvalidInput, shown

ARCHIVE_PREFIX = "raw-data/"
HOUR = timedelta(hours=1)

_FOLDER = re.compile(r"raw-data/year=(\d{4})/month=(\d\d)/day=(\d\d)/hour=(\d\d)/", re.ASCII)
_FOLDER_LENGTH = len("raw-data/year=2026/month=11/day=21/hour=09/")


class Window(msgspec.Struct, frozen=True):
    """Whole arrival hours, half-open; `start` None means from the beginning of the archive.

    `every_closed` tells a run that was asked for all that is closed from one over chosen hours.
    """

    start: datetime | None
    end: datetime
    every_closed: bool = False


def floor_hour(moment: datetime) -> datetime:
    """The beginning of the moment's hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def ceil_hour(moment: datetime) -> datetime:
    """The moment itself when it begins an hour, else the beginning of the next hour, in UTC."""
    floor = floor_hour(moment)
    return floor if floor == moment else floor + HOUR


def hour_prefix(hour: datetime) -> str:
    """Where the objects that arrived in this hour are."""
    return f"{ARCHIVE_PREFIX}year={hour.year:04}{hour:/month=%m/day=%d/hour=%H}/"  # %Y has no leading zeros on Linux


def hour_of(key: str) -> datetime | None:
    """The arrival hour of an archive object, or None for a key that is not one."""
    return _hour_of_folder(key[:_FOLDER_LENGTH]) if len(key) > _FOLDER_LENGTH else None


@lru_cache
def _hour_of_folder(folder: str) -> datetime | None:
    match = _FOLDER.fullmatch(folder)
    if match is None:
        return None
    try:
        return datetime(*(int(part) for part in match.groups()), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:  # month=13
        return None


def closed_until(now: datetime, grace_minutes: int) -> datetime:
    """The end of the last hour whose grace is over: what Firehose held for it has landed."""
    return floor_hour(now - timedelta(minutes=grace_minutes))


def window_of(run_input: object, now: datetime, grace_minutes: int) -> Window:
    """The hours a run takes up: those of its input, aligned outward to whole hours; without `to`, the closed ones.

    Times are ISO-8601; one without an offset is UTC. A `to` beyond the closed hours is taken as it is: that is how a
    person asks for an hour that is still open. Raises InvalidInput naming the field and the reason.
    """
    start, end = range_of(run_input)
    return Window(
        floor_hour(start) if start else None,
        ceil_hour(end) if end else closed_until(now, grace_minutes),
        every_closed=start is None and end is None,
    )


def range_of(run_input: object) -> tuple[datetime | None, datetime | None]:
    """`from` and `to` of a run's input, in UTC, None where it has none. Raises InvalidInput as `window_of` does."""
    if not isinstance(run_input, dict):
        raise InvalidInput("input: not an object. Write {}, or give 'from' and 'to'.")
    unknown = sorted(set(run_input) - {"from", "to"})
    if unknown:
        raise InvalidInput(f"{unknown[0]}: unknown field. The input takes 'from' and 'to', both optional.")
    start, end = (_given(field, run_input.get(field)) for field in ("from", "to"))
    if start and end and start >= end:
        raise InvalidInput(f"from: {start.isoformat()} is not before 'to', {end.isoformat()}. The range is half-open.")
    return start, end


def _given(field: str, value: object) -> datetime | None:
    return None if value is None else moment_of(field, value)


def moment_of(field: str, value: object) -> datetime:
    """The moment, in UTC, of an ISO-8601 text; one without an offset is UTC. Raises InvalidInput naming the field."""
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InvalidInput(
            f"{field}: {shown(value)} is not an ISO-8601 time. Write it like 2026-11-21T09:00:00Z or 2026-11-21."
        ) from None
    if not 1970 <= moment.year < 9998:  # offsets, and the year that a reading may be late, do not leave the calendar
        raise InvalidInput(f"{field}: {shown(value)} is outside the years 1970 to 9997.")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
