"""The ledger: which archive objects are committed, by which run; lists of names in S3, one an arrival hour and run.

`ledger/year=…/month=…/day=…/hour=…/<run id>.jsonl` holds the names, in order, of the objects of that hour that the run
has committed, a JSON string a line. `ledger/runs/<run id>.json` is written when all of a run's lists are there.

The truth is in the table: a run is committed when a snapshot carries its id. The ledger says the same by object, is
written after the snapshot from the run's plan, and can be written again at any time with the same bytes. Nobody commits
before the ledger of every earlier run is complete (`heal`), so that at most the last run's can be missing.
"""

import heapq
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, takewhile
from operator import attrgetter
from typing import BinaryIO, NamedTuple, cast

import msgspec

from compaction import runs
from compaction.ahead import ahead
from compaction.errors import LedgerIncomplete
from compaction.hours import ARCHIVE_PREFIX, Window, hour_prefix
from compaction.manifests import PlannedObject, Task, plan_key
from compaction.store import Store

LEDGER_PREFIX = "ledger/"
_HOURS = f"{LEDGER_PREFIX}year="
_SMALL_BYTES = 1024 * 1024  # a list of about 13,000 names; some are read ahead
_SPOOL_BYTES = 8 * 1024 * 1024  # an hour of about 100,000 objects stays in memory, a larger one goes to /tmp


class Held(NamedTuple):
    """A committed object and the run that holds it."""

    key: str
    run_id: str


class Entry(msgspec.Struct, frozen=True):
    """A run whose lists are complete: its snapshot, and how many objects of how many arrival hours they name."""

    run_id: str
    snapshot_id: int
    objects: int
    hours: int


class Ledger:
    """The ledger in the bucket of the run manifests."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def entry(self, run_id: str) -> Entry | None:
        """What the ledger says of a run, or None as long as its lists are not complete."""
        body = self._store.read(_entry_key(run_id))
        return None if body is None else msgspec.json.decode(body, type=Entry)

    def held(self, window: Window) -> Iterator[Held]:
        """The committed objects of the window, in order of key. Lists are read as they are needed, not held."""
        by_hour = ((hour, list(keys)) for hour, keys in groupby(self._lists(window), key=_hour_of_list))
        for _, lists in ahead(self._open, by_hour):
            yield from heapq.merge(*lists)

    def held_by(self, unrecorded: Iterable[runs.RunSnapshot], window: Window) -> Iterator[Held]:
        """The same, with the objects of committed runs whose lists are not complete; some may come twice.

        For whoever may not write: planning and commits `heal` the ledger. Raises LedgerIncomplete.
        """
        plans = (self._planned(run, window) for run in unrecorded)
        return heapq.merge(self.held(window), *plans)

    def unrecorded(self, committed: Sequence[runs.RunSnapshot]) -> list[runs.RunSnapshot]:
        """Of the runs, given newest first, those whose lists are not complete; none is before a complete one."""
        return list(takewhile(lambda run: self.entry(run.run_id) is None, committed))

    def heal(self, committed: Sequence[runs.RunSnapshot]) -> None:
        """Write the lists that a crash has left out, of runs given newest first; none is missing before a complete one.

        The oldest is written first, so that a crash here leaves no gap either. Raises LedgerIncomplete when a run's
        plan is gone.
        """
        for run in reversed(self.unrecorded(committed)):
            self.record(run.run_id, run.snapshot_id, self._plan(run))

    def record(self, run_id: str, snapshot_id: int, plan: Iterable[Task]) -> None:
        """Write down what a committed run holds; again, it writes the same."""
        hours = objects = 0
        for hour, found in groupby(in_order(plan), key=lambda planned: _split(planned.key)[0]):
            with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as lines:
                for planned in found:
                    lines.write(msgspec.json.encode(_split(planned.key)[1]) + b"\n")
                    objects += 1
                lines.seek(0)
                self._store.write(f"{LEDGER_PREFIX}{hour}{run_id}.jsonl", cast("BinaryIO", lines))
            hours += 1
        self._store.write(_entry_key(run_id), msgspec.json.encode(Entry(run_id, snapshot_id, objects, hours)))

    def _plan(self, run: runs.RunSnapshot) -> Iterator[Task]:
        plan = runs.read_plan(self._store, run.run_id)
        if plan is None:
            raise LedgerIncomplete(
                f"Run {run.run_id} is in the table (snapshot {run.snapshot_id}), but neither ledger nor plan say "
                f"which objects it holds. Bring back an earlier version of {plan_key(run.run_id)}."
            )
        return plan

    def _planned(self, run: runs.RunSnapshot, window: Window) -> Iterator[Held]:
        start, end = hour_prefix(window.start) if window.start else "", hour_prefix(window.end)
        return (Held(item.key, run.run_id) for item in in_order(self._plan(run)) if start <= item.key < end)

    def _lists(self, window: Window) -> Iterator[str]:
        start = _ledger_hour(window.start) if window.start else _HOURS
        end = _ledger_hour(window.end)
        for key in self._store.keys(_HOURS, after=start):
            if key >= end:
                return
            yield key

    def _open(self, hour: tuple[str, list[str]]) -> list[Iterator[Held]]:
        folder, lists = hour
        return [self._entries(folder, key) for key in lists]

    def _entries(self, folder: str, key: str) -> Iterator[Held]:
        prefix = f"{ARCHIVE_PREFIX}{folder.removeprefix(LEDGER_PREFIX)}"
        run_id = key.removeprefix(folder).removesuffix(".jsonl")
        names = msgspec.json.Decoder(str)
        return (Held(prefix + names.decode(line), run_id) for line in self._lines(key))

    def _lines(self, key: str) -> Iterable[bytes]:
        """The lines of a list: read now when they are few, else when they are needed, so that no connection waits."""
        body = self._store.open(key)
        if body is None:
            return ()
        beginning: bytes = body.read(_SMALL_BYTES)
        if len(beginning) == _SMALL_BYTES:
            return self._later(key)
        beginning += body.read()  # nothing; but only a read to the end raises when the connection broke off
        return beginning.splitlines()

    def _later(self, key: str) -> Iterator[bytes]:
        yield from self._store.lines(key) or ()


def in_order(plan: Iterable[Task]) -> Iterator[PlannedObject]:
    """The objects of a plan in order of key; holds one chunk of it at a time."""
    for _, tasks in groupby(plan, key=attrgetter("chunk")):
        yield from sorted((planned for task in tasks for planned in task.objects), key=attrgetter("key"))


def _entry_key(run_id: str) -> str:
    return f"{LEDGER_PREFIX}runs/{run_id}.json"


def _ledger_hour(hour: object) -> str:
    return LEDGER_PREFIX + hour_prefix(hour).removeprefix(ARCHIVE_PREFIX)  # type: ignore[arg-type]


def _hour_of_list(key: str) -> str:
    return key[: key.rindex("/") + 1]


def _split(key: str) -> tuple[str, str]:
    """An archive key as its hour, `year=…/month=…/day=…/hour=…/`, and the name within."""
    end = key.index("/", key.index("/hour=") + 1) + 1
    return key[len(ARCHIVE_PREFIX) : end], key[end:]
