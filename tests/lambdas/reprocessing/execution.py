"""Executions of the state machine `reprocess`, state by state, on an AWS in memory that they share."""

import copy
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

from optimization.errors import FilesReplaced
from reprocessing.errors import FewerReadings
from reprocessing.plan.restoring import Restorer
from reprocessing.request import Request
from sensors.hot_items import TIME_KEY
from sensors.settings import Decoding
from tests.faults import copy_of
from tests.lake import Lake
from tests.lambdas.report_reprocess.closing import Run
from tests.lambdas.reprocessing.harness import HOT_TABLE
from tests.memory_aws import MemorySns, MemoryStates
from tests.memory_dynamodb import MemoryDynamoDB

Meanwhile = Callable[[Lake], object]


class Site:
    """A lake, a hot table, a topic, and who of the executions runs. All side effects are counted together.

    `meanwhile` are things that others do to the lake, each once, before the first execution enters a state.
    """

    def __init__(self, lake: Lake) -> None:
        effects = lake.s3.effects
        self.lake = lake
        self.hot = MemoryDynamoDB(effects, HOT_TABLE, ("device_id", TIME_KEY))
        self.topic = MemorySns(effects)
        self.states = MemoryStates()
        self.meanwhile: dict[str | None, Meanwhile] = {}

    def copy(self) -> "Site":
        """One of its own as this is, with no side effect counted yet."""
        other = Site(copy_of(self.lake))
        other.hot.items = dict(self.hot.items)
        other.topic.messages = list(self.topic.messages)
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
        until = format_datetime(self.lake.now() + timedelta(days=9), usegmt=True)
        for key, stored in self.lake.s3.buckets[self.lake.raw].items():
            if stored.restore:
                ready = f'ongoing-request="false", expiry-date="{until}"'
                self.lake.s3.freeze(self.lake.raw, key, stored.storage_class, ready)


class Execution:
    """Takes states until the end; redriven, it goes on with the one that failed. `undoes` is a run to be undone."""

    def __init__(self, site: Site, name: str, asked: Request, decoding: Decoding, undoes: str | None = None) -> None:
        self.site = site
        self.name = name
        self.undoes = undoes
        self.run = Run(site.lake, undoes or name, asked, decoding, site.states, site.hot)
        self.run.topic = site.topic
        self.state: str | None = "undo" if undoes else "plan"
        self._attempt = 1
        self._refused: FewerReadings | None = None

    @property
    def place(self) -> tuple[str | None, str, str, int]:
        """How far it is: its state, run and merge, and how often the merge was planned."""
        return self.state, self.run.run_id, self.run.merge_id, self._attempt

    def on(self, site: Site) -> "Execution":
        """The execution as far as it is, on a copy of its site."""
        other = Execution(site, self.name, self.run.request, self.run.decoding, self.undoes)
        other.run.run_id, other.run.merge_id = self.run.run_id, self.run.merge_id
        other.state, other._attempt, other._refused = self.state, self._attempt, self._refused
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
        return "restore" if self.run.plan().frozen else "decode"

    def _restore(self) -> str:
        """One look, and the wait after it."""
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
            if self._attempt == 5:
                raise
            self._attempt += 1
            return "plan_merge"
        except FewerReadings as why:
            self._refused = why
            return "report"
        return "write_hot" if "hot" in self.run.request.targets else "report"

    def _write_hot(self) -> str:
        self.run.write_hot()
        return "report"

    def _report(self) -> None:
        self.run.report(self._refused)
