"""Marks on lines of the quarantine: which of them a run has resolved, so that no later run takes them up again.

`ledger/quarantine/<object>/<run id>.jsonl` has the positions of the lines that the run has drained, a JSON string each.
The objects themselves are never edited. All lines of an object come from the archive, or all from the stream.
"""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import BinaryIO, Literal, cast

import msgspec

from compaction.hours import ARCHIVE_PREFIX
from compaction.store import Store
from reprocessing.keys import mark_key, resolved_prefix
from reprocessing.manifests import Plan
from reprocessing.runs import planned_tasks

Kind = Literal["archive", "stream"]
"""Where lines come from: those of the archive are drained into the table, those of the stream into the hot table."""

_SPOOL_BYTES = 8 * 1024 * 1024  # some 100,000 positions stay in memory, more go to /tmp


class Marks:
    """Which lines of a quarantine object other runs have resolved. Of each run's marks one is held at a time."""

    def __init__(self, store: Store, quarantine_key: str, run_id: str) -> None:
        own = mark_key(quarantine_key, run_id)
        decoder = msgspec.json.Decoder(str)
        keys = (key for key in store.keys(resolved_prefix(quarantine_key)) if key != own)
        self._positions = [map(decoder.decode, store.lines(key) or ()) for key in keys]
        self._next = [next(positions, None) for positions in self._positions]

    def passes(self, position: str) -> bool:
        """Whether the line is marked. To be asked of every line of the object, in the order in which they stand."""
        marked = False
        for number, positions in enumerate(self._positions):
            if self._next[number] == position:
                self._next[number] = next(positions, None)
                marked = True
        return marked


def mark(store: Store, run_id: str, resolved: Iterable[str], kind: Kind) -> None:
    """Mark the lines of a kind that the run has drained; again, the same is written.

    `resolved` are the keys of all its drained lines (`DecodeResult.resolved_key`). To be called when their readings are
    where they belong.
    """
    for key, positions in _drained(store, resolved):
        first = next(positions)
        if kind_of(first) == kind:
            with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as lines:
                lines.write(msgspec.json.encode(first) + b"\n")
                lines.writelines(msgspec.json.encode(position) + b"\n" for position in positions)
                lines.seek(0)
                store.write(mark_key(key, run_id), cast("BinaryIO", lines))


def unmark(store: Store, plan: Plan, kind: Kind) -> None:
    """Take the run's marks of a kind away: its lines count as unresolved again."""
    for task in planned_tasks(store, plan.run_id):
        for planned in task.objects:
            key = mark_key(planned.key, plan.run_id)
            first = next(store.lines(key) or iter(()), None)
            if first is not None and kind_of(msgspec.json.decode(first, type=str)) == kind:
                store.delete(key)


def kind_of(position: str) -> Kind:
    """Whether a line with this position comes from the archive or from the stream (`sensors.quarantine`)."""
    return "archive" if position.startswith(ARCHIVE_PREFIX) else "stream"


def _drained(store: Store, resolved: Iterable[str]) -> Iterator[tuple[str, Iterator[str]]]:
    """The quarantine objects of which the run has drained lines, each once, with the positions of these."""
    decode = msgspec.json.Decoder(tuple[str, str]).decode
    for resolved_key in resolved:
        for key, found in groupby(map(decode, store.lines(resolved_key) or ()), key=lambda line: line[0]):
            yield key, (position for _, position in found)
