"""Planning a run: the archive objects that no committed run holds, in tasks, written down as `plan.jsonl`."""

import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, BinaryIO, cast

import msgspec

from compaction import archive, runs
from compaction.hours import Window, hour_of
from compaction.manifests import PlannedObject, Task, plan_key
from compaction.packing import by_day, pack
from compaction.store import Store

_SPOOL_BYTES = 8 * 1024 * 1024  # a plan of about 50,000 objects stays in memory, a larger one goes to /tmp


class Planner(msgspec.Struct, frozen=True):
    """Where a run's inputs and its plan are, and how large its tasks shall be (compressed bytes)."""

    s3: Any
    glue: Any
    raw_bucket: str
    processed_bucket: str
    database: str
    task_bytes: int

    @property
    def store(self) -> Store:
        """The bucket of the run manifests."""
        return Store(self.s3, self.processed_bucket)

    def uncommitted(self, window: Window) -> Iterator[PlannedObject]:
        """Archive objects of the window that no committed run holds, in order of key."""
        in_snapshots = runs.snapshot_run_ids(self.glue, self.s3, self.database)
        held = runs.committed_keys(self.store, in_snapshots, window)
        return (found for found in archive.objects(self.s3, self.raw_bucket, window) if found.key not in held)

    def tasks(self, window: Window) -> Iterator[Task]:
        """The tasks a run over the window would have, day by day of arrival; holds one day's objects at a time."""
        number = 0
        for day in by_day(self.uncommitted(window)):
            for objects in pack(day, self.task_bytes):
                yield Task(f"{number:05}", tuple(objects))
                number += 1

    def plan(self, run_id: str, window: Window) -> dict[str, Any]:
        """Write the run's plan, unless it has one, and answer its size and place.

        A run keeps its first plan: whoever asks again, after a crash or at the same time, gets that one. A plan
        without a task is not written: there is nothing to come back to.
        """
        planned = runs.read_plan(self.store, run_id)
        return {
            "run_id": run_id,
            **summary(self._write(run_id, self.tasks(window)) if planned is None else planned),
            "plan": {"bucket": self.processed_bucket, "key": plan_key(run_id)},
        }

    def _write(self, run_id: str, tasks: Iterable[Task]) -> Iterable[Task]:
        encode = msgspec.json.Encoder().encode
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as lines:
            for task in tasks:
                lines.write(encode(task) + b"\n")
            if lines.tell() == 0:
                return ()
            lines.seek(0)
            self.store.write_once(plan_key(run_id), cast("BinaryIO", lines))
        return runs.read_plan(self.store, run_id) or ()


def summary(tasks: Iterable[Task]) -> dict[str, Any]:
    """Tasks, objects, compressed bytes, and the oldest arrival hour (None when there is no object)."""
    count = objects = size = 0
    oldest: datetime | None = None
    for task in tasks:
        count += 1
        objects += len(task.objects)
        size += task.bytes
        hours = (hour for planned in task.objects if (hour := hour_of(planned.key)))
        oldest = min((hour for hour in (oldest, *hours) if hour), default=None)
    return {"tasks": count, "objects": objects, "bytes": size, "oldest_hour": oldest.isoformat() if oldest else None}
