"""The steps of a run of `optimize` on the lake of a test."""

from datetime import datetime
from typing import Any

import msgspec

from optimization.manifests import Group, RewriteTask
from optimization.planning import Planner
from optimization.runs import read_plan
from tests.lake import Lake

FILE_BYTES = 128_000_000


class Upkeep:
    """Looks after the table of a lake, with files of a target size in bytes."""

    def __init__(self, lake: Lake, file_bytes: int = FILE_BYTES) -> None:
        self.lake = lake
        self.file_bytes = file_bytes

    def planner(self) -> Planner:
        return Planner(self.lake.lake_table(), self.lake.store, self.file_bytes)

    def plan(self, run_id: str, start: datetime | None = None, end: datetime | None = None) -> dict[str, Any]:
        return self.planner().plan(run_id, start, end)

    def dry_run(self, start: datetime | None = None, end: datetime | None = None) -> dict[str, Any]:
        return self.planner().dry_run(start, end)

    def tasks(self, run_id: str) -> list[RewriteTask]:
        return list(read_plan(self.lake.store, run_id) or ())

    def groups(self, run_id: str) -> list[Group]:
        """The groups of a run's tasks, in the order of the plan."""
        keys = dict.fromkeys(task.group for task in self.tasks(run_id))
        return [msgspec.json.decode(self.lake.store.read(key) or b"", type=Group) for key in keys]
