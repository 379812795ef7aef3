"""A run of `reprocess` on the lake of a test, step by step as the state machine takes them."""

import contextlib
import functools
from typing import Any

import msgspec

from config.settings import load
from optimization.errors import FilesReplaced
from reprocessing.claims import Claims
from reprocessing.decoding import Decoder
from reprocessing.fingerprint import fingerprint
from reprocessing.manifests import (
    Committed,
    DecodeResult,
    DecodeTask,
    MergeResult,
    MergeTask,
    Plan,
    Undone,
    merge_plan_key,
    tasks_key,
)
from reprocessing.merge_planning import MergePlanner
from reprocessing.merging import Merger
from reprocessing.planning import Execution, Planner
from reprocessing.publishing import Publisher
from reprocessing.request import Request, Scope
from reprocessing.runs import read_plan
from reprocessing.undoing import Undoer, Wish
from sensors.settings import FunctionSettings, Limits, Metric
from sensors.settings import Lake as LakeSettings
from tests.lake import AT, ORPHAN_DAYS, Lake
from tests.memory_aws import MemoryStates

FILE_BYTES = 128_000_000
STARTED_AT = "2026-11-21T12:00:00.000Z"
DAY_MS = 86_400_000
TODAY = Scope(AT * 1000 // DAY_MS * DAY_MS, AT * 1000 // DAY_MS * DAY_MS + DAY_MS)
EVERYTHING = Scope(0, 2 * AT * 1000)


def request(scope: Scope = TODAY, **changes: Any) -> Request:
    """A request that applies its changes to the table, unless it is changed."""
    asked = Request(scope, "archive", ("table",), "apply", 100, "Standard", 1, "a note")
    return msgspec.structs.replace(asked, **{"fresh": True} | changes)


class Reprocessing:
    """One run, and an execution of the same name, unless it carries another's run on. Each step can be taken again."""

    def __init__(
        self,
        lake: Lake,
        run_id: str = "run",
        asked: Request | None = None,
        limits: Limits | None = None,
        states: MemoryStates | None = None,
    ) -> None:
        self.lake = lake
        self.run_id = self.execution = run_id
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

    def plan(self) -> Plan:
        """What `plan_reprocess` does: unless a request is `fresh`, an unfinished run of the same one is carried on."""
        lake = self.lake
        planner = Planner(lake.s3, lake.raw, lake.store, lake.lake_table(), self.settings, self.claims(), lake.now())
        self.run_id = planner.plan(Execution(self.execution, STARTED_AT), self.request)["run_id"]
        return read_plan(lake.store, self.run_id)

    def decode(self) -> list[DecodeResult]:
        """What `decode_objects` does for each task."""
        lake = self.lake
        decoder = Decoder(
            lake.s3, lake.raw, lake.processed, self.rules, self.limits, lake.metrics, lake.partition_by, FILE_BYTES
        )
        return [decoder.decode(self.run_id, task) for task in self._lines(tasks_key(self.run_id), DecodeTask)]

    def plan_merge(self, attempt: int) -> dict[str, Any]:
        """What `plan_merge` does."""
        planner = MergePlanner(self.lake.lake_table(), self.lake.store, FILE_BYTES, self.rules)
        answer = planner.plan(self.run_id, attempt)
        self.merge_id = answer["merge_id"]
        return answer

    def merge(self) -> list[MergeResult]:
        """What `merge_readings` does for each task."""
        lake = self.lake
        settings = self.settings
        merger = Merger(lake.s3, lake.processed, lake.partition_by, FILE_BYTES, self.rules, settings.metrics)
        tasks = self._lines(merge_plan_key(self.run_id, self.merge_id), MergeTask)
        return [merger.merge(self.run_id, self.merge_id, task) for task in tasks]

    def commit(self) -> Committed:
        """What `commit_reprocess` does."""
        claims = self.claims()
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
        claims = self.claims(execution)
        undoer = Undoer(
            self.lake.store,
            self.lake.lake_table(),
            self.lake.now(),
            hold=lambda plan: claims.hold(plan.run_id, plan.request.scope, STARTED_AT),
            release=claims.release,
            sleep=lambda _: None,
        )
        return undoer.undo(Wish(self.run_id, execution, STARTED_AT, "a mistake", "me"))

    def claims(self, execution: str | None = None) -> Claims:
        """What an execution, this one unless another is named, has its range by."""
        arn = self.states.start(execution or self.execution)
        return Claims(self.lake.store, self.states, arn, sleep=lambda _: None)

    @property
    def settings(self) -> FunctionSettings:
        """The settings of the lake and of these limits."""
        return msgspec.structs.replace(
            _settings(),
            decoding=self.limits,
            metrics={name: Metric("unit") for name in self.lake.metrics},
            lake=LakeSettings(self.lake.partition_by),
        )

    @property
    def rules(self) -> str:
        """What tells these settings from others."""
        return fingerprint(self.settings)

    def _lines(self, key: str, kind: Any) -> list[Any]:
        return [msgspec.json.decode(line, type=kind) for line in self.lake.store.lines(key) or ()]


@functools.cache
def _settings() -> FunctionSettings:
    return msgspec.convert(load("local", {}).model_dump(mode="json"), FunctionSettings)
