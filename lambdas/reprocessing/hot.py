"""One task of a run for the hot table: the readings of its range of keys in, items and a result out.

What is written follows from the readings and the run alone. So an invocation that takes readings up again, after a
crash or beside another one, finds items as it would write them, knows them by the run's name, and counts them as
written.

Memory does not grow with the input: files are copied to the function's disk, and rows sorted there.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa

from compaction.errors import ResultMissing
from compaction.scratch import scratch_folder
from compaction.spill import ALL_TIMES_MS, SortedRuns
from compaction.store import Store
from optimization.manifests import Key
from optimization.ranges import KeyRange
from optimization.reading import copies, rows, rows_schema
from reprocessing import hot_table
from reprocessing.manifests import HotResult, MergeGroup, MergeTask, Plan, hot_key, plan_key
from reprocessing.pacing import Pace
from reprocessing.settling import Settler
from sensors.hot_items import Items
from sensors.settings import HotTable
from sensors.times import from_text, iso_ms

Manifest = TypeVar("Manifest", bound=msgspec.Struct)


class HotWriter(msgspec.Struct, frozen=True):
    """Where staged readings are, and the hot table; `writers` are the tasks that share a run's rate.

    `dynamodb` is a client that does not try again by itself.
    """

    s3: Any
    bucket: str
    dynamodb: Any
    table: str
    hot_table: HotTable
    writers: int
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def write(
        self, run_id: str, merge_id: str, task: MergeTask, now_s: float, time_left_s: Callable[[], float]
    ) -> HotResult:
        """Go on where the task's result says, until it is done or no time is left; the result is written last.

        `now_s` are epoch seconds. Raises TableBusy when no reading could be settled, ResultMissing when the run's plan
        or the task's group is gone, FileMismatch for a file that is not as it was staged, DiskFull for a task that is
        too large, and ClientError when DynamoDB does not take requests at all.
        """
        store = Store(self.s3, self.bucket)
        key = hot_key(run_id, merge_id, task.task_id)
        body = store.read(key)
        result = msgspec.json.decode(body, type=HotResult) if body else HotResult(task.task_id, None, done=False)
        if result.done:
            return result
        group, keys = _read(store, task.group, MergeGroup), KeyRange(_after(result.after) or task.start, task.end)
        settler = self._settler(_read(store, plan_key(run_id), Plan), time_left_s)
        with scratch_folder("lower compaction.file_mb") as folder:
            result = settler.settle(result, self._rows(group, keys, folder), group.metrics, now_s)
        store.write(key, msgspec.json.encode(result))
        return result

    def _settler(self, plan: Plan, time_left_s: Callable[[], float]) -> Settler:
        pace = Pace(plan.request.max_rate / self.writers, self.clock, self.sleep)
        table = hot_table.HotTable(self.dynamodb, self.table, self.hot_table.device_key, pace, time_left_s, self.sleep)
        started_ms = from_text(plan.started_at)
        if started_ms is None:
            raise ValueError(f"{plan.started_at} in the plan of run {plan.run_id} is not a time")
        return Settler(table, Items(self.hot_table), plan.run_id, iso_ms(started_ms))

    def _rows(self, group: MergeGroup, keys: KeyRange, folder: Path) -> Iterator[pa.Table]:
        """The readings of the range in order of key, each once: the last received (see `arrange`).

        Of a day too whose partitions are hours now: `HotResult.after` is a key, before which all is done.
        """
        schema = rows_schema(group.metrics)
        runs = SortedRuns(folder, ALL_TIMES_MS, lambda _: None)
        for copy in copies(self.s3, self.bucket, group.hot, keys, folder):
            for batch in rows(copy, keys, schema):
                runs.add(batch)
            copy.path.unlink()
        return runs.drain()


def _after(key: Key | None) -> Key | None:
    """The smallest key beyond one: times are whole milliseconds."""
    return None if key is None else (key[0], key[1] + 1)


def _read(store: Store, key: str, kind: type[Manifest]) -> Manifest:
    body = store.read(key)
    if body is None:
        raise ResultMissing(f"The hot table's part of the run needs {key}, which is gone. Start a new run.")
    return msgspec.json.decode(body, type=kind)
