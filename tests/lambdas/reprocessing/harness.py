"""A run of `reprocess` on the lake of a test, step by step as the state machine takes them."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from compaction.hours import ARCHIVE_PREFIX, Window
from compaction.ledger import Ledger
from compaction.manifests import PlannedObject
from optimization.errors import FilesReplaced
from reprocessing.claims import Claims
from reprocessing.decoding import Decoder
from reprocessing.manifests import (
    Committed,
    DecodeResult,
    DecodeTask,
    MergeResult,
    MergeTask,
    Plan,
    Undone,
    merge_plan_key,
    missing_key,
    plan_key,
    tasks_key,
)
from reprocessing.merge_planning import MergePlanner
from reprocessing.merging import Merger
from reprocessing.publishing import Publisher
from reprocessing.request import Request, Scope
from reprocessing.undoing import Undoer, Wish
from sensors.settings import Limits, Metric
from sensors.times import MAX_MS
from tests.lake import AT, ORPHAN_DAYS, Lake
from tests.memory_aws import MemoryStates

RULES = "the rules of now"
FILE_BYTES = 128_000_000
STARTED_AT = "2026-11-21T12:00:00.000Z"
DAY_MS = 86_400_000
TODAY = Scope(AT * 1000 // DAY_MS * DAY_MS, AT * 1000 // DAY_MS * DAY_MS + DAY_MS)
EVERYTHING = Scope(0, MAX_MS)


def request(scope: Scope = TODAY, **changes: Any) -> Request:
    """A request that applies its changes to the table, unless it is changed."""
    asked = Request(scope, "archive", ("table",), "apply", 100, "Standard", 1, "a note")
    return msgspec.structs.replace(asked, **changes)


class Reprocessing:
    """One run and its execution, which has the same name. Each step can be taken again."""

    def __init__(
        self,
        lake: Lake,
        run_id: str = "run",
        asked: Request | None = None,
        limits: Limits | None = None,
        states: MemoryStates | None = None,
    ) -> None:
        self.lake = lake
        self.run_id = run_id
        self.request = asked or request()
        self.limits = limits or Limits()
        self.states = states or MemoryStates()
        self.merge_id = ""

    def on(self, lake: Lake) -> "Reprocessing":
        """The run as far as it is, on a copy of its lake."""
        other = Reprocessing(lake, self.run_id, self.request, self.limits)
        other.merge_id = self.merge_id
        return other

    def run(self) -> Committed:
        """All steps up to the commit, which is merged anew as long as others are faster."""
        self.plan()
        self.decode()
        for attempt in range(1, 5):
            with contextlib.suppress(FilesReplaced):
                return self.merge_and_commit(attempt)
        return self.merge_and_commit(5)

    def prepare(self) -> "Reprocessing":
        """All steps before the commit."""
        self.plan()
        self.decode()
        self.plan_merge(1)
        self.merge()
        return self

    def merge_and_commit(self, attempt: int) -> Committed:
        self.plan_merge(attempt)
        self.merge()
        return self.commit()

    def plan(self, task_objects: int = 1) -> Plan:
        """Plan every object there is, so many a task; a run keeps its first plan."""
        body = self.lake.store.read(plan_key(self.run_id))
        if body is not None:
            return msgspec.json.decode(body, type=Plan)
        tasks = list(self._tasks(task_objects))
        table = self.lake.lake_table().find()
        snapshot = table.current_snapshot() if table else None
        missing = sorted(self._named() - set(self._keys(self.lake.raw, ARCHIVE_PREFIX)))
        plan = Plan(
            run_id=self.run_id,
            request=self.request,
            rules=RULES,
            started_at=STARTED_AT,
            snapshot_id=str(snapshot.snapshot_id) if snapshot else None,
            tasks=len(tasks),
            objects=sum(len(task.objects) for task in tasks),
            bytes=0,
            waiting=sum(len(task.objects) for task in tasks if not task.to_table),
            outside=0,
            missing=len(missing),
            frozen=0,
            frozen_bytes=0,
        )
        self._write_lines(tasks_key(self.run_id), tasks)
        self._write_lines(missing_key(self.run_id), missing)
        self.lake.store.write(plan_key(self.run_id), msgspec.json.encode(plan))
        return plan

    def decode(self) -> list[DecodeResult]:
        """What `decode_objects` does for each task."""
        lake = self.lake
        decoder = Decoder(
            lake.s3, lake.raw, lake.processed, RULES, self.limits, lake.metrics, lake.partition_by, FILE_BYTES
        )
        return [decoder.decode(self.run_id, task) for task in self._lines(tasks_key(self.run_id), DecodeTask)]

    def plan_merge(self, attempt: int) -> dict[str, Any]:
        """What `plan_merge` does."""
        planner = MergePlanner(self.lake.lake_table(), self.lake.store, FILE_BYTES, RULES)
        answer = planner.plan(self.run_id, attempt)
        self.merge_id = answer["merge_id"]
        return answer

    def merge(self) -> list[MergeResult]:
        """What `merge_readings` does for each task."""
        lake = self.lake
        metrics = {name: Metric("unit") for name in lake.metrics}
        merger = Merger(lake.s3, lake.processed, lake.partition_by, FILE_BYTES, RULES, metrics)
        tasks = self._lines(merge_plan_key(self.run_id, self.merge_id), MergeTask)
        return [merger.merge(self.run_id, self.merge_id, task) for task in tasks]

    def commit(self) -> Committed:
        """What `commit_reprocess` does."""
        claims = self._claims(self.run_id)
        publisher = Publisher(
            self.lake.store,
            self.lake.lake_table(),
            ORPHAN_DAYS,
            self.lake.now(),
            hold=lambda plan: claims.hold(plan.run_id, plan.request.scope, STARTED_AT),
            sleep=lambda _: None,
        )
        return publisher.commit(self.run_id, self.merge_id)

    def undo(self, execution: str = "undo") -> Undone:
        """What `undo_reprocess` does in an execution of its own, once the run's is over."""
        self.states.set(self.run_id, "SUCCEEDED")
        claims = self._claims(execution)
        undoer = Undoer(
            self.lake.store,
            self.lake.lake_table(),
            self.lake.now(),
            hold=lambda plan: claims.hold(plan.run_id, plan.request.scope, STARTED_AT),
            release=claims.release,
            sleep=lambda _: None,
        )
        return undoer.undo(Wish(self.run_id, execution, STARTED_AT, "a mistake", "me"))

    def _claims(self, execution: str) -> Claims:
        return Claims(self.lake.store, self.states, self.states.start(execution), sleep=lambda _: None)

    def _tasks(self, task_objects: int) -> Iterator[DecodeTask]:
        is_archive = self.request.source == "archive"
        bucket, prefix = (self.lake.raw, ARCHIVE_PREFIX) if is_archive else (self.lake.processed, "quarantine/")
        held = {held.key for held in Ledger(self.lake.store).held(Window(None, self.lake.now()))}
        number = 0
        for to_table in (True, False):
            keys = [key for key in self._keys(bucket, prefix) if (not is_archive or key in held) == to_table]
            if not to_table and "hot" not in self.request.targets:
                return
            for start in range(0, len(keys), task_objects):
                planned = tuple(self._planned(bucket, key) for key in keys[start : start + task_objects])
                yield DecodeTask(f"{number:05}", planned, to_table)
                number += 1

    def _planned(self, bucket: str, key: str) -> PlannedObject:
        head = self.lake.s3.head_object(Bucket=bucket, Key=key)
        return PlannedObject(key, head["ContentLength"], head["ETag"].strip('"'))

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self.lake.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def _named(self) -> set[str]:
        """The objects that rows of the table come from."""
        return {row["source_object"] for row in self.lake.rows()} if self.lake.lake_table().find() else set()

    def _lines(self, key: str, kind: Any) -> list[Any]:
        return [msgspec.json.decode(line, type=kind) for line in self.lake.store.lines(key) or ()]

    def _write_lines(self, key: str, lines: Sequence[Any]) -> None:
        self.lake.store.write(key, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
