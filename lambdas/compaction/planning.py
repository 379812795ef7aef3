"""Planning a run: the archive objects that no committed run holds, in tasks, written down as `plan.jsonl`.

Archive and ledger are both listed in order of key and walked side by side, and what is left is packed and written chunk
by chunk: a plan of a million objects takes the memory of one of ten thousand.
"""

import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from compaction import archive, runs
from compaction.hours import Window, hour_of
from compaction.joining import beside
from compaction.ledger import Ledger
from compaction.manifests import PlannedObject, Task, plan_key
from compaction.packing import chunks, pack
from compaction.store import Store

MAX_OBJECTS = 1_000_000
"""Objects of one run at most: listed in minutes, their plan is some 200 MB; the next run takes what is left."""
MAX_TASKS = 10_000
"""Tasks that one run's bytes make at most; the next run takes what is left.

The commit has fifteen minutes, in which it reads every footer twice: six requests and, with six metrics, 4 ms of CPU a
file. The Map may answer 256 KiB, at three bytes a task. And 40 workers at once have two hours of work.
"""

_SPOOL_BYTES = 8 * 1024 * 1024  # a plan of about 50,000 objects stays in memory, a larger one goes to /tmp


class Planner(msgspec.Struct, frozen=True):
    """Where a run's inputs and its plan are, and how large its tasks shall be (compressed bytes).

    `lookback` is how far before the settled time a run over every closed hour begins; None: with the archive.
    """

    s3: Any
    glue: Any
    raw_bucket: str
    processed_bucket: str
    database: str
    task_bytes: int
    lookback: timedelta | None = None

    @property
    def store(self) -> Store:
        """The bucket of the run manifests."""
        return Store(self.s3, self.processed_bucket)

    def plan(self, run_id: str, window: Window) -> dict[str, Any]:
        """Write the run's plan, unless it has one, and answer its size and place.

        A run keeps its first plan: whoever asks again, after a crash or at the same time, gets that one. A plan
        without a task is not written: there is nothing to come back to.
        """
        planned = runs.read_plan(self.store, run_id)
        return {
            "run_id": run_id,
            **(self._write(run_id, window) if planned is None else Size.of(planned).answer()),
            "plan": {"bucket": self.processed_bucket, "key": plan_key(run_id)},
        }

    def dry_run(self, window: Window) -> tuple["Size", list[runs.RunSnapshot]]:
        """The size of the plan that a run over the window would get, and the runs before it, newest first."""
        committed = self._committed()
        share = _Share(self._uncommitted(window, committed), self.task_bytes)
        return Size.of(_tasks(share, self.task_bytes)), committed

    def _committed(self) -> list[runs.RunSnapshot]:
        """The committed runs, newest first; the ledger knows of all of them afterwards."""
        committed = runs.committed(self.glue, self.s3, self.database)
        Ledger(self.store).heal(committed)
        return committed

    def _uncommitted(self, window: Window, committed: list[runs.RunSnapshot]) -> Iterator[PlannedObject]:
        """Archive objects of the window that no committed run holds, in order of key."""
        settled = runs.settled_until(committed)
        if window.every_closed and self.lookback is not None and settled is not None:
            window = Window(settled - self.lookback, window.end, every_closed=True)
        ledger = Ledger(self.store)
        found = archive.objects(self.s3, self.raw_bucket, window)
        both = beside(found, lambda hour: ledger.held(Window(hour, window.end)))
        return (planned for planned, held in both if held is None)

    def _write(self, run_id: str, window: Window) -> dict[str, Any]:
        share = _Share(self._uncommitted(window, self._committed()), self.task_bytes)
        encode = msgspec.json.Encoder().encode
        size = Size()
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as lines:
            for task in _tasks(share, self.task_bytes):
                lines.write(encode(task) + b"\n")
                size = size.plus(task)
            if not size.tasks:
                return size.answer()
            lines.seek(0)
            is_first = runs.write_plan(self.store, run_id, lines, _settles(window, share.left))
        return (size if is_first else Size.of(runs.read_plan(self.store, run_id) or ())).answer()


class _Share:
    """What one run takes of the objects; afterwards `left` is the first that was too much for it, or None."""

    def __init__(self, objects: Iterator[PlannedObject], task_bytes: int) -> None:
        self._objects = objects
        self._bytes = MAX_TASKS * task_bytes
        self.left: PlannedObject | None = None

    def __iter__(self) -> Iterator[PlannedObject]:
        taken_bytes = 0
        for number, planned in enumerate(self._objects):
            taken_bytes += planned.bytes
            if number and (number == MAX_OBJECTS or taken_bytes > self._bytes):
                self.left = planned
                return
            yield planned


class Size(NamedTuple):
    """How large a plan is; `first_key` is the first of its objects' keys, of the oldest arrival hour."""

    tasks: int = 0
    objects: int = 0
    bytes: int = 0
    first_key: str | None = None

    def plus(self, task: Task) -> "Size":
        """The size with one more task."""
        first = min(planned.key for planned in task.objects)
        return Size(
            self.tasks + 1,
            self.objects + len(task.objects),
            self.bytes + task.bytes,
            first if self.first_key is None else min(self.first_key, first),
        )

    @staticmethod
    def of(tasks: Iterable[Task]) -> "Size":
        """The size of these tasks together."""
        size = Size()
        for task in tasks:
            size = size.plus(task)
        return size

    def answer(self) -> dict[str, Any]:
        """Tasks, objects, compressed bytes, and the oldest arrival hour (None when there is no object)."""
        oldest = hour_of(self.first_key) if self.first_key else None
        return {
            "tasks": self.tasks,
            "objects": self.objects,
            "bytes": self.bytes,
            "oldest_hour": oldest.isoformat() if oldest else None,
        }


def _tasks(objects: Iterable[PlannedObject], task_bytes: int) -> Iterator[Task]:
    """Tasks of objects given in order of key; holds one chunk of them."""
    number = 0
    for chunk, together in enumerate(chunks(objects)):
        for packed in pack(together, task_bytes):
            yield Task(f"{number:05}", tuple(packed), chunk)
            number += 1


def _settles(window: Window, left: PlannedObject | None) -> datetime | None:
    """Before which time nothing waits any more once the run is committed; None for chosen hours.

    `left` is the first object that the run could not take.
    """
    if not window.every_closed:
        return None
    return window.end if left is None else hour_of(left.key)
