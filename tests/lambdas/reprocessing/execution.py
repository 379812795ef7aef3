"""Executions of the state machine `reprocess`, with all of its states, on an AWS in memory."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec

from optimization.errors import FilesReplaced
from reprocessing.closing import Closer, Ending
from reprocessing.errors import FewerReadings
from reprocessing.hot import HotWriter
from reprocessing.manifests import MergeTask, merge_plan_key
from reprocessing.report import Refusal
from reprocessing.request import Request
from reprocessing.restoring import Restorer
from sensors.hot_items import TIME_KEY
from sensors.settings import Limits
from tests.faults import copy_of
from tests.lake import Lake
from tests.lambdas.report_reprocess.closing import TOPIC, Run, Topic
from tests.lambdas.write_hot_table.conftest import Clock
from tests.memory_aws import Effects, MemoryStates
from tests.memory_dynamodb import MemoryDynamoDB

Meanwhile = Callable[[Lake], object]


class Alerts(Topic):
    """The topic that alerts go to; each batch is a side effect."""

    def __init__(self, effects: Effects) -> None:
        super().__init__()
        self._effects = effects

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._effects.make("publish alerts", lambda: Topic.publish_batch(self, **request))
        return answer


class Site:
    """What executions have in common: a lake, a hot table, a topic, and who of them runs. All effects are counted.

    `meanwhile` are things that others do to the lake, each once, before the first execution enters a state.
    """

    def __init__(self, lake: Lake) -> None:
        effects = lake.s3.effects
        self.lake = lake
        self.hot = MemoryDynamoDB(effects, "hot", ("device_id", TIME_KEY))
        self.alerts = Alerts(effects)
        self.states = MemoryStates()
        self.meanwhile: dict[str | None, Meanwhile] = {}

    def copy(self) -> "Site":
        """One of its own as this is, with no side effect counted yet."""
        other = Site(copy_of(self.lake))
        other.hot.items = dict(self.hot.items)
        other.alerts.messages = list(self.alerts.messages)
        other.states = copy.deepcopy(self.states)
        other.meanwhile = dict(self.meanwhile)
        return other

    def enter(self, state: str | None) -> None:
        """Have happen what does before this state; it is no side effect of an execution."""
        happens = self.meanwhile.pop(state, None)
        if happens:
            effects = self.lake.s3.effects
            names, fault = list(effects.names), effects.fault
            effects.fault = None
            happens(self.lake)
            effects.names[:], effects.fault = names, fault

    def thaw(self) -> None:
        """Have S3 make all the copies that were asked for."""
        until = format_datetime(datetime.now(UTC) + timedelta(days=9), usegmt=True)
        for key, stored in self.lake.s3.buckets[self.lake.raw].items():
            if stored.restore:
                ready = f'ongoing-request="false", expiry-date="{until}"'
                self.lake.s3.freeze(self.lake.raw, key, stored.storage_class, ready)


class Execution:
    """Takes states until the end; redriven, it goes on with the one that failed. `undoes` is a run to be undone."""

    def __init__(self, site: Site, name: str, asked: Request, limits: Limits, undoes: str | None = None) -> None:
        self.site = site
        self.name = name
        self.undoes = undoes
        self.run = Run(site.lake, undoes or name, asked, limits, site.states)
        self.state: str | None = "undo" if undoes else "plan"
        self._attempt = 1

    @property
    def place(self) -> tuple[str | None, str, str, int]:
        """How far it is: its state, run and merge, and how often the merge was planned."""
        return self.state, self.run.run_id, self.run.merge_id, self._attempt

    def on(self, site: Site) -> "Execution":
        """The execution as far as it is, on a copy of its site."""
        other = copy.copy(self)
        other.site = site
        other.run = Run(site.lake, self.run.execution, self.run.request, self.run.limits, site.states)
        other.run.run_id, other.run.merge_id = self.run.run_id, self.run.merge_id
        return other

    def drive(self) -> None:
        """Take the states that are left."""
        while self.state is not None:
            self.step()

    def step(self) -> None:
        """Take one state, which is left when it was done."""
        self.site.enter(self.state)
        self.site.states.set(self.name, "RUNNING")
        self.state = getattr(self, f"_{self.state}")()
        if self.state is None:
            self.site.states.set(self.name, "SUCCEEDED")

    def _undo(self) -> None:
        self.run.undo(self.name)

    def _plan(self) -> str:
        plan = self.run.plan()
        return "restore" if plan.frozen and plan.request.mode != "dry_run" else "decode"

    def _restore(self) -> str:
        lake = self.site.lake
        look = Restorer(lake.s3, lake.raw, lake.processed).look(self.run.run_id, lake.now(), lambda: 600)
        if look["waiting"]:
            self.site.thaw()
        return "restore" if look["waiting"] else "decode"

    def _decode(self) -> str:
        self.run.decode()
        return "plan_merge"

    def _plan_merge(self) -> str:
        self.run.plan_merge(self._attempt)
        return "merge"

    def _merge(self) -> str:
        self.run.merge()
        return "commit"

    def _commit(self) -> str:
        try:
            self.run.commit()
        except FilesReplaced:
            self._attempt += 1
            return "plan_merge"
        except FewerReadings as why:
            self._refused = Refusal("FewerReadings", str(why))
            return "report_refusal"
        return "hot" if "hot" in self.run.request.targets else "report"

    def _hot(self) -> str:
        run, lake = self.run, self.site.lake
        hot_table = run.settings.hot_table
        clock = Clock()
        writer = HotWriter(
            lake.s3, lake.processed, self.site.hot, "hot", hot_table, lake.partition_by, 1, clock, clock.sleep
        )
        for line in lake.store.lines(merge_plan_key(run.run_id, run.merge_id)) or ():
            task = msgspec.json.decode(line, type=MergeTask)
            is_done = False
            while not is_done:
                is_done = writer.write(run.run_id, run.merge_id, task, lake.now().timestamp(), lambda: 600).done
        return "report"

    def _report(self) -> None:
        self._close(None)

    def _report_refusal(self) -> None:
        self._close(self._refused)

    def _close(self, refused: Refusal | None) -> None:
        run, lake = self.run, self.site.lake
        closer = Closer(
            lake.s3, lake.processed, run.settings, self.site.alerts, TOPIC, run.claims().release, lake.now()
        )
        closer.close(run.run_id, Ending(self.name, run.merge_id, refused))
