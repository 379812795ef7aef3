"""Which readings are of a scope: row by row, by what the statistics of a file or row group say, by hour of arrival."""

import fnmatch
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compaction.hours import Window, ceil_hour, floor_hour
from optimization.ranges import to_ms
from reprocessing.request import SPECIAL, Scope, is_glob
from sensors.settings import Decoding

FIREHOSE_HOLDS: Final = timedelta(minutes=15)
"""An object is in the hour in which its oldest record arrived; the youngest may have come this much later.

https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html on the namespace `timestamp`, and
https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html: 900 seconds at most.
"""

_DAY: Final = timedelta(days=1)
_AFTER_ALL: Final = "\U0010ffff"


class Bounds(NamedTuple):
    """No row has a smaller or larger device or `measured_at` (epoch milliseconds); None where that is not known."""

    first_device: str | None
    last_device: str | None
    first_ms: int | None
    last_ms: int | None


def mask(scope: Scope, rows: pa.RecordBatch) -> pa.BooleanArray:
    """Which rows are of the scope; `measured_at` is in milliseconds, `device_id` text or a dictionary of it."""
    moments = rows["measured_at"]
    within = pc.and_(pc.greater_equal(moments, scope.start_ms), pc.less(moments, scope.end_ms))
    if not scope.devices:
        return within
    devices = rows["device_id"]
    encoded = devices if pa.types.is_dictionary(devices.type) else devices.dictionary_encode()
    matches = _devices(scope.devices).matches
    wanted = pa.array([matches(name) for name in encoded.dictionary.to_pylist()], pa.bool_())
    return pc.and_(within, wanted.take(encoded.indices))


def has_device(scope: Scope, device_id: str) -> bool:
    """Whether the scope names the device, itself or by a glob, or all."""
    return not scope.devices or _devices(scope.devices).matches(device_id)


def may_meet(scope: Scope, bounds: Bounds) -> bool:
    """Whether a row within the bounds may be of the scope."""
    if bounds.first_ms is not None and bounds.first_ms >= scope.end_ms:
        return False
    if bounds.last_ms is not None and bounds.last_ms < scope.start_ms:
        return False
    return not scope.devices or _devices(scope.devices).may_be_between(bounds.first_device, bounds.last_device)


def holds_all(scope: Scope, bounds: Bounds) -> bool:
    """Whether every row within the bounds is of the scope."""
    if bounds.first_ms is None or bounds.last_ms is None:
        return False
    if bounds.first_ms < scope.start_ms or bounds.last_ms >= scope.end_ms:
        return False
    only = bounds.first_device if bounds.first_device == bounds.last_device else None
    return not scope.devices or (only is not None and has_device(scope, only))


def may_overlap(one: Scope, other: Scope) -> bool:
    """Whether a reading may be of both; globs that begin differently have no device in common."""
    if one.start_ms >= other.end_ms or other.start_ms >= one.end_ms:
        return False
    if not one.devices or not other.devices:
        return True
    return _devices(one.devices).may_share(_devices(other.devices))


def row_groups(metadata: pq.FileMetaData) -> list[Bounds]:
    """The bounds of each row group of a file, as its statistics say."""
    columns = [metadata.schema.names.index(name) for name in ("device_id", "measured_at")]
    return [_bounds(metadata.row_group(number), columns) for number in range(metadata.num_row_groups)]


def archive_window(scope: Scope, decoding: Decoding) -> Window:
    """The hours of arrival that can hold readings of the scope, unless these came later than the limit for late ones.

    A device's clock may be ahead by the tolerance, and Firehose has its part (`FIREHOSE_HOLDS`).
    """
    return Window(
        floor_hour(moment(scope.start_ms) - timedelta(seconds=decoding.future_tolerance_s) - FIREHOSE_HOLDS),
        ceil_hour(moment(scope.end_ms) + timedelta(hours=decoding.late_after_h)),
    )


def quarantine_days(scope: Scope, decoding: Decoding) -> tuple[datetime, datetime]:
    """The first day, and the day after the last, on which records of the scope can have been set aside.

    They are those of the archive, and one more on either side: an object stands under the day of its first record.
    """
    start = moment(scope.start_ms) - timedelta(seconds=decoding.future_tolerance_s) - _DAY
    end = moment(scope.end_ms) + timedelta(hours=decoding.late_after_h) + 2 * _DAY
    return start.replace(hour=0, minute=0, second=0, microsecond=0), end


class _Devices:
    """Names and globs, made ready to be looked up: a list of thousands of names costs what one does."""

    def __init__(self, devices: Iterable[str]) -> None:
        globs = [device for device in devices if is_glob(device)]
        self._names = frozenset(devices).difference(globs)
        self._match = re.compile("|".join(map(fnmatch.translate, globs))).match if globs else None
        self._beginnings = [SPECIAL.split(glob, maxsplit=1)[0] for glob in globs]

    def matches(self, device_id: str) -> bool:
        return device_id in self._names or (self._match is not None and self._match(device_id) is not None)

    def may_be_between(self, first: str | None, last: str | None) -> bool:
        """Whether one of them may be from `first` to `last`, both included."""
        if first is not None and first == last:
            return self.matches(first)
        low, high = first or "", last if last is not None else _AFTER_ALL
        return any(low <= name <= high for name in self._names) or any(
            beginning <= high and beginning + _AFTER_ALL >= low for beginning in self._beginnings
        )

    def may_share(self, other: "_Devices") -> bool:
        """Whether a device may be one of both."""
        return (
            any(map(other.matches, self._names))
            or any(map(self.matches, other._names))
            or any(
                here.startswith(there) or there.startswith(here)
                for here in self._beginnings
                for there in other._beginnings
            )
        )


@lru_cache(maxsize=4)
def _devices(devices: tuple[str, ...]) -> _Devices:
    return _Devices(devices)


def _bounds(group: pq.RowGroupMetaData, columns: list[int]) -> Bounds:
    device_id, measured_at = (group.column(number).statistics for number in columns)
    first, last = (device_id.min, device_id.max) if _has_ends(device_id) else (None, None)
    if not _has_ends(measured_at):
        return Bounds(first, last, None, None)
    return Bounds(first, last, to_ms(measured_at.min), to_ms(measured_at.max))


def _has_ends(statistics: pq.Statistics | None) -> bool:
    return statistics is not None and statistics.has_min_max


def moment(moment_ms: int) -> datetime:
    """The time that epoch milliseconds stand for, in UTC."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=moment_ms)
