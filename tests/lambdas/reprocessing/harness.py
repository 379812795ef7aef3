"""A run of `reprocess` on the lake of a test, step by step as the state machine takes them."""

import contextlib
import functools
import threading
from datetime import timedelta
from typing import Any, Self

import msgspec

from config.settings import load
from optimization.errors import FilesReplaced
from reprocessing.claims import Claims
from reprocessing.decode.decoding import Decoder
from reprocessing.errors import FewerReadings
from reprocessing.fingerprint import fingerprint
from reprocessing.hot.writing import HotWriter
from reprocessing.keys import merge_plan_key, tasks_key
from reprocessing.manifests import Committed, DecodeResult, DecodeTask, Execution, Plan, Undone
from reprocessing.merge.merging import Merger
from reprocessing.merge.planning import MergePlanner
from reprocessing.merge_manifests import HotResult, MergeResult, MergeTask
from reprocessing.plan.planning import Planner
from reprocessing.plan.restoring import Restorer
from reprocessing.publish.publishing import Publisher
from reprocessing.report.closing import Closer, Ending
from reprocessing.report.contents import Refusal, Report
from reprocessing.request import Request, Scope
from reprocessing.runs import read_plan
from reprocessing.undo.undoing import Undoer, Wish
from sensors.settings import Decoding, FunctionSettings, Metric
from sensors.settings import Lake as LakeSettings
from tests.lake import AT, ORPHAN_DAYS, Lake
from tests.memory_aws import Effects, MemoryS3, MemorySns, MemoryStates
from tests.memory_dynamodb import MemoryDynamoDB

FILE_BYTES = 128_000_000
STARTED_AT = "2026-11-21T12:00:00.000Z"
TOPIC = "arn:aws:sns:eu-central-1:000000000000:alerts"
HOT_TABLE = "hot"
DAY_MS = 86_400_000
TODAY = Scope(AT * 1000 // DAY_MS * DAY_MS, AT * 1000 // DAY_MS * DAY_MS + DAY_MS)
EVERYTHING = Scope(0, 2 * AT * 1000)


def request(scope: Scope = TODAY, **changes: Any) -> Request:
    """A request that applies its changes to the table, unless it is changed."""
    asked = Request(scope, "archive", ("table",), "apply", 100, "Standard", 1, "a note")
    return msgspec.structs.replace(asked, **{"fresh": True} | changes)


class Clock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now_s += seconds


class Reprocessing:
    """An execution, and its run, which has the same name unless another is carried on. Each step can be taken again.

    Its writes to the hot table and to the topic are side effects of the lake's AWS.
    """

    def __init__(
        self,
        lake: Lake,
        run_id: str = "run",
        asked: Request | None = None,
        decoding: Decoding | None = None,
        states: MemoryStates | None = None,
        hot_table: MemoryDynamoDB | None = None,
    ) -> None:
        self.lake = lake
        self.execution = self.run_id = run_id
        self.request = asked or request()
        self.decoding = decoding or lake.decoding
        self.states = states or MemoryStates()
        effects = lake.s3.effects if isinstance(lake.s3, MemoryS3) else Effects()
        self.hot_table = hot_table or MemoryDynamoDB(effects, HOT_TABLE, ("device_id", "timestamp"))
        self.topic = MemorySns(effects)
        self.merge_id = ""
        self.started_at = STARTED_AT

    def on(self, lake: Lake) -> Self:
        """The run as far as it is, on a copy of its lake and with a copy of the hot table."""
        other = type(self)(lake, self.execution, self.request, self.decoding)
        other.run_id, other.merge_id = self.run_id, self.merge_id
        other.hot_table.items = dict(self.hot_table.items)
        return other

    def whole(self) -> Report:
        """The execution from its beginning to its end, which is the report. Raises what would end it otherwise."""
        plan = self.plan()
        if plan.frozen and plan.request.mode != "dry_run":
            self.restore()
        self.decode()
        refused = None
        try:
            self.publish()
        except FewerReadings as error:
            refused = error
        if refused is None and plan.request.mode == "apply" and "hot" in plan.request.targets:
            self.write_hot()
        report = self.report(refused)
        self.states.set(self.execution, "FAILED" if refused else "SUCCEEDED")
        return report

    def run(self) -> Committed:
        """All steps up to the commit."""
        self.plan()
        self.decode()
        return self.publish()

    def publish(self) -> Committed:
        """Merge and commit: anew, as often as the machine does, while others are faster."""
        for attempt in range(1, 5):
            with contextlib.suppress(FilesReplaced):
                return self.merge_and_commit(attempt)
        return self.merge_and_commit(5)

    def prepare(self) -> Self:
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
        """What `plan_reprocess` does."""
        lake = self.lake
        claims = self._claims(self.execution)
        planner = Planner(lake.s3, lake.raw, lake.store, lake.lake_table(), self.settings, claims, lake.now())
        self.run_id = planner.plan(Execution(self.execution, self.started_at), self.request)["run_id"]
        return read_plan(lake.store, self.run_id)

    def restore(self) -> None:
        """What `restore_objects` does, look after look; the time between them passes."""
        lake = self.lake
        restorer = Restorer(lake.s3, lake.raw, lake.processed)
        for _ in range(150):
            answer = restorer.look(self.run_id, lake.now(), lambda: 900)
            if answer["waiting"] == 0:
                return
            lake.s3.now += timedelta(seconds=answer["wait_s"])
        raise AssertionError("the objects are never restored")

    def decode(self) -> list[DecodeResult]:
        """What `decode_objects` does for each task."""
        lake, settings = self.lake, self.settings
        decoder = Decoder(
            s3=lake.s3,
            raw_bucket=lake.raw,
            processed_bucket=lake.processed,
            rules=self.rules,
            decoding=settings.decoding,
            metrics=tuple(settings.metrics),
            partition_by=lake.partition_by,
            file_bytes=FILE_BYTES,
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
        claims = self._claims(self.execution)
        publisher = Publisher(
            self.lake.store,
            self.lake.lake_table(),
            ORPHAN_DAYS,
            self.lake.now(),
            hold=lambda plan: claims.hold(plan.run_id, plan.request.scope, STARTED_AT),
            sleep=lambda _: None,
        )
        return publisher.commit(self.run_id, self.merge_id)

    def write_hot(self) -> list[HotResult]:
        """What `write_hot_table` does for each task: one call, in which time stands still but for the rate's sake."""
        lake = self.lake
        clock = Clock()
        settings = self.settings
        writer = HotWriter(
            s3=lake.s3,
            bucket=lake.processed,
            dynamodb=self.hot_table,
            table=HOT_TABLE,
            hot_table=settings.hot_table,
            writers=settings.reprocessing.hot_writers,
            clock=clock,
            sleep=clock.sleep,
        )

        now_s = lake.now().timestamp()
        return [
            writer.write(self.run_id, self.merge_id, task, now_s, lambda: 600)
            for task in self._lines(merge_plan_key(self.run_id, self.merge_id), MergeTask)
        ]

    def report(self, refused: Exception | None = None) -> Report:
        """What `report_reprocess` does, of a run that is done or that was refused."""
        lake = self.lake
        closer = Closer(
            s3=lake.s3,
            bucket=lake.processed,
            glue=lake.glue,
            database=lake.database,
            settings=self.settings,
            sns=self.topic,
            topic_arn=TOPIC,
            release=self._claims(self.execution).release,
            now=lake.now(),
        )
        refusal = Refusal(type(refused).__name__, str(refused)) if refused else None
        return closer.close(self.run_id, Ending(self.merge_id, refusal))

    def undo(self, execution: str = "undo") -> Undone:
        """What `undo_reprocess` does in an execution of its own, once the run's is over."""
        self.states.set(self.execution, "SUCCEEDED")
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

    @property
    def settings(self) -> FunctionSettings:
        """The settings of the lake, and those of decoding that this run has."""
        return msgspec.structs.replace(
            local_settings(),
            decoding=self.decoding,
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
def local_settings() -> FunctionSettings:
    """What the functions of the embedded AWS are deployed with."""
    return msgspec.convert(load("local", {}).model_dump(mode="json"), FunctionSettings)
