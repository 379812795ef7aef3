"""Two lists in order of key, walked side by side: neither is held."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol, TypeVar

from compaction.hours import HOUR, hour_of


class Keyed(Protocol):
    """What stands in a list in order of its key."""

    @property
    def key(self) -> str:
        """Key of an archive object."""


Item = TypeVar("Item", bound=Keyed)
Entry = TypeVar("Entry", bound=Keyed)


def beside(
    objects: Iterable[Item], entries_from: Callable[[datetime], Iterator[Entry]]
) -> Iterator[tuple[Item, Entry | None]]:
    """Each archive object, given in order of key, with the entry that has its key, or None.

    `entries_from(hour)` lists the entries from an arrival hour on, in order of key. It is asked again where the entries
    are hours behind the objects: for one late object of last year nobody reads the year.
    """
    entries: Iterator[Entry] | None = None
    entry: Entry | None = None
    for found in objects:
        if entries is None:
            entries = entries_from(_hour(found))
            entry = next(entries, None)
        while entry is not None and entry.key < found.key:
            if _hour(entry) + HOUR < _hour(found):
                entries = entries_from(_hour(found))
            entry = next(entries, None)
        yield found, entry if entry is not None and entry.key == found.key else None


def _hour(item: Keyed) -> datetime:
    hour = hour_of(item.key)
    if hour is None:
        raise ValueError(f"{item.key} is not a key of the archive")
    return hour
