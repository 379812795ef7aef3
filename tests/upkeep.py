"""The steps of a run of `optimize` on the lake of a test."""

from datetime import datetime
from typing import Any

import msgspec

from optimization.manifests import Group, RewriteResult, RewriteTask, Rewritten, plan_key
from optimization.planning import Planner
from optimization.replacing import Replacer
from optimization.rewriting import Rewriter
from tests.lake import ORPHAN_DAYS, Lake

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
        """The tasks of a planned run."""
        lines = self.lake.store.lines(plan_key(run_id)) or ()
        return [msgspec.json.decode(line, type=RewriteTask) for line in lines]

    def groups(self, run_id: str) -> list[Group]:
        """The groups of a run's tasks, in the order of the plan."""
        keys = dict.fromkeys(task.group for task in self.tasks(run_id))
        return [msgspec.json.decode(self.lake.store.read(key) or b"", type=Group) for key in keys]

    def rewriter(self) -> Rewriter:
        return Rewriter(self.lake.s3, self.lake.processed, self.lake.partition_by, self.file_bytes)

    def write(self, run_id: str) -> list[RewriteResult]:
        return [self.rewriter().rewrite(run_id, task) for task in self.tasks(run_id)]

    def commit(self, run_id: str) -> Rewritten:
        lake = self.lake
        replacer = Replacer(lake.store, lake.lake_table(), ORPHAN_DAYS, lake.now(), sleep=lambda _: None)
        return replacer.replace(run_id)

    def run(self, run_id: str) -> Rewritten | None:
        """Plan, rewriting and commit as the state machine does them; None when there was nothing to do."""
        if self.plan(run_id)["tasks"] == 0:
            return None
        self.write(run_id)
        return self.commit(run_id)
