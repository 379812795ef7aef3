"""Two lists in order of key, walked side by side: neither is held."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol, TypeVar

from compaction.hours import HOUR, hour_of
from compaction.manifests import PlannedObject


class Keyed(Protocol):
    """What stands in a list in order of its key."""

    @property
    def key(self) -> str:
        """Key of an archive object."""


Entry = TypeVar("Entry", bound=Keyed)


def beside(
    objects: Iterable[PlannedObject], entries_from: Callable[[datetime], Iterator[Entry]]
) -> Iterator[tuple[PlannedObject, Entry | None]]:
    """Each archive object, given in order of key, with the entry that has its key, or None.

    `entries_from(hour)` lists the entries from an arrival hour on, in order of key. It is asked again wherever the
    objects leave an hour out: a late object of last year does not make anybody list the year.
    """
    reached: datetime | None = None
    entries: Iterator[Entry] = iter(())
    entry: Entry | None = None
    for found in objects:
        hour = hour_of(found.key)
        if hour is None:
            raise ValueError(f"{found.key} is not a key of the archive")
        if reached is None or hour > reached + HOUR:
            entries = entries_from(hour)
            entry = next(entries, None)
        reached = hour
        while entry is not None and entry.key < found.key:
            entry = next(entries, None)
        yield found, entry if entry is not None and entry.key == found.key else None
