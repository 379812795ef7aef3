"""A lake of its own for each test, on the embedded AWS or in memory, and the planning of runs on it."""

from typing import Any

import msgspec
import pytest

from compaction.manifests import PlannedObject
from config.settings import load
from reprocessing.claims import Claims
from reprocessing.keys import (
    frozen_key,
    missing_key,
    plan_key,
    tasks_key,
)
from reprocessing.manifests import DecodeTask, Execution, Plan
from reprocessing.plan.planning import Planner
from reprocessing.request import Request, Scope
from sensors.settings import FunctionSettings
from tests.lake import AT, Lake
from tests.memory_aws import MemoryStates

STARTED_AT = "2026-11-21T12:00:00.000Z"
DAY_MS = 86_400_000
TODAY = Scope(AT * 1000 // DAY_MS * DAY_MS, AT * 1000 // DAY_MS * DAY_MS + DAY_MS)
SETTINGS = msgspec.convert(load("local", {}).model_dump(mode="json"), FunctionSettings)


def asked(scope: Scope = TODAY, **changes: Any) -> Request:
    """A request that applies its changes to the table, unless it is changed."""
    request = Request(scope, "archive", ("table",), "apply", 100, "Standard", 1, "a note")
    return msgspec.structs.replace(request, **changes)


class Planning:
    """Plans runs over a lake in memory, and reads what was planned."""

    def __init__(self, lake: Lake, settings: FunctionSettings = SETTINGS) -> None:
        self.lake = lake
        self.settings = settings
        self.states = MemoryStates()

    def planner(self, execution: str) -> Planner:
        return Planner(
            s3=self.lake.s3,
            raw_bucket=self.lake.raw,
            store=self.lake.store,
            table=self.lake.lake_table(),
            settings=self.settings,
            claims=Claims(self.lake.store, self.states, self.states.start(execution), sleep=lambda _: None),
            now=self.lake.now(),
        )

    def answer(self, request: Request, execution: str = "run") -> dict[str, Any]:
        return self.planner(execution).plan(Execution(execution, STARTED_AT), request)

    def plan(self, request: Request | None = None, execution: str = "run") -> Plan:
        """What the later steps go by."""
        run_id = self.answer(request or asked(), execution)["run_id"]
        return msgspec.json.decode(self.lake.store.read(plan_key(run_id)) or b"", type=Plan)

    def tasks(self, run_id: str = "run") -> list[DecodeTask]:
        return self._lines(tasks_key(run_id), DecodeTask)

    def names(self, run_id: str = "run", *, to_table: bool | None = None) -> list[str]:
        """The objects that are decoded, without their folders."""
        tasks = [task for task in self.tasks(run_id) if to_table in {None, task.to_table}]
        return sorted(name(planned.key) for task in tasks for planned in task.objects)

    def missing(self, run_id: str = "run") -> list[str]:
        return [name(key) for key in self._lines(missing_key(run_id), str)]

    def frozen(self, run_id: str = "run") -> list[str]:
        return [name(planned.key) for planned in self._lines(frozen_key(run_id), PlannedObject)]

    def _lines(self, key: str, kind: Any) -> list[Any]:
        return [msgspec.json.decode(line, type=kind) for line in self.lake.store.lines(key) or ()]


def name(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]


@pytest.fixture
def planning(memory_lake: Lake) -> Planning:
    return Planning(memory_lake)
