"""One task of a run for the hot table: the readings of its range of keys in, items and a result out.

What a reading becomes is compared with what the table holds, and written where they differ. What is written follows
from the readings and the run alone. So an invocation that takes readings up again, after a crash or beside another one,
finds items as it would write them, knows them by the run's name, and counts them as written. Of two at once, the one
that writes its result first has counted; the task goes on from there.

Memory does not grow with the input: files are copied to the function's disk, and rows sorted there.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from compaction.ahead import ahead
from compaction.columns import readings_of
from compaction.scratch import scratch_folder
from compaction.spill import ALL_TIMES_MS, SortedRuns
from compaction.store import Store, Version
from optimization.manifests import Key
from optimization.ranges import KeyRange
from optimization.reading import copies, rows, rows_schema
from reprocessing.errors import TableBusy
from reprocessing.hot.table import KEYS, Access, NewerItem, Pace, RefusedItem, TimeIsUp, content, is_newer
from reprocessing.keys import hot_key
from reprocessing.manifests import Plan
from reprocessing.merge_manifests import HotRefusal, HotResult, MergeGroup, MergeTask
from reprocessing.runs import read_group, read_plan
from sensors.hot_items import Item, Items
from sensors.settings import HotTable
from sensors.times import from_text, iso_ms

REFUSALS_LISTED: Final = 20

Outcome = Literal["written", "unchanged", "newer"] | HotRefusal


class Candidate(NamedTuple):
    """What the table should hold and what it does, and how many readings before it are past their time.

    The last has no item: there are no more readings, or there is no more time.
    """

    item: Item | TimeIsUp | None
    held: Item | None
    expired: int


class Settler(NamedTuple):
    """The table, how its items are made, and of which run they are: `started_at` in the form of `processed_at`."""

    table: Access
    items: Items
    run_id: str
    started_at: str

    def settle(self, result: HotResult, pieces: Iterable[pa.Table], metrics: Sequence[str], now_s: float) -> HotResult:
        """Take up rows in order of key, and say with the counts of `result` how far they got.

        Raises TableBusy when none was settled for want of time, and what `Access` raises.
        """
        begun = result
        try:
            for candidate, outcome in ahead(self._settle, self._candidates(pieces, metrics, now_s)):
                result = self._counted(result, candidate, outcome)
        except TimeIsUp as why:
            if result is begun:
                raise TableBusy(
                    f"Not one reading of task {result.task_id} was settled in this invocation: {why}. What is written "
                    "stays; redrive the execution when the hot table takes writes again."
                ) from None
            return result
        return replace(result, done=True)

    def _candidates(self, pieces: Iterable[pa.Table], metrics: Sequence[str], now_s: float) -> Iterator[Candidate]:
        try:
            yield from self._compared(pieces, metrics, now_s)
        except TimeIsUp as why:  # raised where its turn is, after what was found until then
            yield Candidate(why, None, 0)

    def _compared(self, pieces: Iterable[pa.Table], metrics: Sequence[str], now_s: float) -> Iterator[Candidate]:
        expired = 0
        for piece in pieces:
            kept = pc.indices_nonzero(pc.greater_equal(piece["received_at"], self.items.kept_from_ms(now_s)))
            taken = 0
            for start in range(0, len(kept), KEYS):
                page = kept[start : start + KEYS]
                readings = readings_of(piece.take(page), metrics)
                items = [self.items.item(reading, self.started_at) for reading in readings]
                held = {self.items.identity(item): item for item in self.table.read(map(self.items.key, items))}
                for place, item in zip(page.to_pylist(), items, strict=True):
                    yield Candidate(
                        item | {"reprocessed_by": {"S": self.run_id}},
                        held.get(self.items.identity(item)),
                        expired + place - taken,
                    )
                    expired, taken = 0, place + 1
            expired += piece.num_rows - taken
        yield Candidate(None, None, expired)

    def _settle(self, candidate: Candidate) -> Outcome | None:
        item, held = candidate.item, candidate.held
        if isinstance(item, TimeIsUp):
            raise item
        if item is None:
            return None
        if held is not None and content(held) == content(item):
            return "written" if held.get("reprocessed_by") == item["reprocessed_by"] else "unchanged"
        if held is not None and is_newer(held, item):
            return "newer"
        try:
            self.table.write(item)
        except NewerItem:
            return "newer"
        except RefusedItem as refused:
            return HotRefusal(self.items.identity(item), str(refused))
        return "written"

    def _counted(self, result: HotResult, candidate: Candidate, outcome: Outcome | None) -> HotResult:
        result = replace(result, expired=result.expired + candidate.expired)
        if outcome is None or not isinstance(candidate.item, dict):
            return result
        result = replace(result, after=self.items.identity(candidate.item))
        if isinstance(outcome, HotRefusal):
            refusals = (*result.refusals, outcome)[:REFUSALS_LISTED]
            return replace(result, refused=result.refused + 1, refusals=refusals)
        return replace(result, **{outcome: getattr(result, outcome) + 1})


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

        Where another invocation has written one meanwhile, that is the answer, and this one's work is found done.
        `now_s` are epoch seconds. Raises TableBusy when no reading could be settled, ResultMissing when the run's plan
        or the task's group is gone, FileMismatch for a file that is not as it was staged, DiskFull for a task that is
        too large, and ClientError when DynamoDB does not take requests at all.
        """
        store = Store(self.s3, self.bucket)
        key = hot_key(run_id, merge_id, task.task_id)
        held = store.version(key)
        result = _so_far(task, held)
        if result.done:
            return result
        group, keys = read_group(store, task), KeyRange(_after(result.after) or task.start, task.end)
        settler = self._settler(read_plan(store, run_id), time_left_s)
        with scratch_folder("lower compaction.file_mb") as folder:
            result = settler.settle(result, self._rows(group, keys, folder), group.metrics, now_s)
        is_first = store.write_after(held, key, msgspec.json.encode(result))
        return result if is_first else _so_far(task, store.version(key))

    def _settler(self, plan: Plan, time_left_s: Callable[[], float]) -> Settler:
        pace = Pace(plan.request.max_rate / self.writers, self.clock, self.sleep)
        table = Access(self.dynamodb, self.table, self.hot_table.device_key, pace, time_left_s, self.sleep)
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


def _so_far(task: MergeTask, held: Version | None) -> HotResult:
    """How far the task is, as its result says."""
    if held is None:
        return HotResult(task.task_id, None, done=False)
    return msgspec.json.decode(held.body, type=HotResult)


def _after(key: Key | None) -> Key | None:
    """The smallest key beyond one: times are whole milliseconds."""
    return None if key is None else (key[0], key[1] + 1)
