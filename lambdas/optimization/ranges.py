"""A range of the keys of a partition: what one task takes of a group."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from optimization.manifests import Key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KeyRange(NamedTuple):
    """Keys from `start`, up to and without `end`; None is without a bound."""

    start: Key | None
    end: Key | None

    def row_groups(self, metadata: pq.FileMetaData) -> list[int]:
        """The row groups of a file that may have rows of the range, as their statistics say."""
        columns = [metadata.schema.names.index(name) for name in ("device_id", "measured_at")]
        groups = range(metadata.num_row_groups)
        return [number for number in groups if self._meets(metadata.row_group(number), columns)]

    def take(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of the range; `measured_at` is in milliseconds."""
        held = []
        if self.start is not None:
            held.append(_not_before(rows, self.start))
        if self.end is not None:
            held.append(pc.invert(_not_before(rows, self.end)))
        for mask in held[1:]:
            held[0] = pc.and_(held[0], mask)
        return rows.filter(held[0]) if held else rows

    def meets(self, first: Key | None, last: Key | None) -> bool:
        """Whether a key of the range may be one from `first` to `last`, both included; None where that is not known."""
        if self.start is not None and last is not None and last < self.start:
            return False
        return self.end is None or first is None or first < self.end

    def _meets(self, group: pq.RowGroupMetaData, columns: list[int]) -> bool:
        """Smallest device with smallest time is no later than any key of the row group, and so on at the other end."""
        statistics = [group.column(number).statistics for number in columns]
        if not all(column is not None and column.has_min_max for column in statistics):
            return True
        device_id, measured_at = statistics
        return self.meets((device_id.min, to_ms(measured_at.min)), (device_id.max, to_ms(measured_at.max)))


class Ranged(Protocol):
    """What has keys from `first` to `last`, both included, or some between them."""

    @property
    def first(self) -> Key:
        """No key is before it."""

    @property
    def last(self) -> Key:
        """No key is after it."""


Item = TypeVar("Item", bound=Ranged)


def components(items: Iterable[Item]) -> Iterator[list[Item]]:
    """What is connected by keys in common, directly or by way of others, in order of key; of equals, as given."""
    component: list[Item] = []
    last: Key = ("", 0)
    for item in sorted(items, key=lambda item: (item.first, item.last)):
        if component and item.first > last:
            yield component
            component = []
        last = max(last, item.last) if component else item.last
        component.append(item)
    if component:
        yield component


def _not_before(rows: pa.RecordBatch, key: Key) -> pa.BooleanArray:
    device, moment = pa.scalar(key[0], pa.string()), pa.scalar(key[1], pa.int64())
    later = pc.greater(rows["device_id"], device)
    same = pc.equal(rows["device_id"], device)
    return pc.or_(later, pc.and_(same, pc.greater_equal(rows["measured_at"], moment)))


def to_ms(moment: datetime) -> int:
    """A moment of a statistic, in UTC whether it says so or not, in epoch milliseconds, rounded down."""
    return (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
