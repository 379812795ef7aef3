"""What the compaction has set aside of some archive objects and no run has resolved: that needs not be set aside again.

It lies under the days around the objects' arrival. What other runs of `reprocess` have set aside does not count, for it
goes when they are undone. A record that is not found here is set aside once more, which readers allow for.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from typing import Final

from compaction.ahead import ahead
from compaction.errors import ObjectChanged
from compaction.hours import hour_of
from compaction.lines import DAMAGE
from compaction.packing import day_of
from compaction.store import Listed, Store
from reprocessing.decode.draining import lines_of
from reprocessing.marks import Marks
from sensors.quarantine import REASONS, prefix

_MOST_BYTES: Final = 128_000_000
"""Of quarantine objects that a task reads, beyond which it looks at none: 20 million lines at most, in about a minute,
whose places take 160 MB. Lines of usual payloads have 20 to 100 bytes, those of nothing but `{` six."""

_NEIGHBOURS: Final = (timedelta(days=-1), timedelta(0), timedelta(days=1))
"""An object is under the day of its first line, whose record may have come before or after midnight with others."""

_TORN: Final = 2**32 - 1  # in the place of a part: the rest of a damaged object comes after all that could be read


class Standing:
    """The records of the objects with these keys that are set aside, looked up when first asked for."""

    def __init__(self, store: Store, run_id: str, keys: Collection[str]) -> None:
        self._store = store
        self._run_id = run_id
        self._keys = frozenset(keys)
        self._days = {day_of(key) for key in keys}

    def has(self, position: str, detail: str) -> bool:
        """Whether the record at a position, rejected with this detail, is set aside; by whatever reason it was."""
        key, _, place = position.rpartition(":")
        number = _number(place, detail)
        return number is not None and any(_has(numbers, number) for numbers in self._numbers.get(key, ()))

    @cached_property
    def _numbers(self) -> dict[str, list["array[int]"]]:
        """Places by archive object, in ascending order, those of each quarantine object by themselves."""
        numbers: dict[str, list[array[int]]] = {}
        objects = list(self._objects())
        if sum(item.bytes for item in objects) <= _MOST_BYTES:
            for _, found in ahead(lambda item: self._read(item.key), objects):
                for key, more in found.items():
                    numbers.setdefault(key, []).append(more)
        return numbers

    def _objects(self) -> Iterator[Listed]:
        arrived = [hour for key in self._keys if (hour := hour_of(key))]
        days = sorted({(hour + by).date() for hour in arrived for by in _NEIGHBOURS})
        prefixes = (prefix(reason, day, "compact") for reason in REASONS for day in days)
        for _, found in ahead(lambda beginning: list(self._store.objects(beginning)), prefixes):
            yield from found

    def _read(self, key: str) -> dict[str, "array[int]"]:
        """Places of the lines of a quarantine object that are open, by archive object; of one that is none, nothing."""
        found: dict[str, array[int]] = {}
        body = self._store.open(key)
        if body is None:
            return found
        marks: Marks | None = None
        try:
            with closing(body):
                for line in lines_of(key, body):
                    source, _, place = line.position.rpartition(":")
                    if day_of(source) not in self._days:
                        return found  # the compaction's tasks are of one day of arrival each
                    marks = marks or Marks(self._store, key, self._run_id)
                    number = _number(place, line.detail)
                    if not marks.passes(line.position) and source in self._keys and number is not None:
                        found.setdefault(source, array("Q")).append(number)
        except ObjectChanged:
            return {}
        return found


def _number(place: str, detail: str) -> int | None:
    """A number for the place of a record in its object, of later places a larger one; None of one that has none.

    That is the place of a part of a part of a line, or one beyond the four thousandth million.
    """
    line, _, part = place.partition(".")
    try:
        high, low = int(line), int(part or 0)
    except ValueError:
        return None
    if max(high, low) >= _TORN:
        return None
    return high << 32 | (_TORN if detail.startswith(DAMAGE) else low)


def _has(numbers: "array[int]", number: int) -> bool:
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number
