"""Planning a reprocessing: the run that a request begins or carries on, and what all its later steps go by."""

import hashlib
from datetime import datetime
from typing import Any, Final

import msgspec
from pyiceberg.table import Table

from compaction.age import is_old
from compaction.lake_table import LakeTable, committed
from compaction.store import Store
from reprocessing.claims import Claims
from reprocessing.fingerprint import fingerprint
from reprocessing.keys import (
    committed_key,
    draft_key,
    execution_key,
    frozen_key,
    missing_key,
    plan_key,
    report_key,
    request_key,
    tasks_key,
    undone_key,
)
from reprocessing.manifests import Committed, Execution, Plan
from reprocessing.plan.drafting import PARTS, drafting
from reprocessing.plan.finding import Finder
from reprocessing.request import Request, settles_hot
from reprocessing.runs import read_plan
from reprocessing.snapshots import RUN_ID_PROPERTY, published
from sensors.settings import FunctionSettings

_DRAFT: Final = "draft"  # metadata of the plan
_PLACES: Final = dict(zip(PARTS, (tasks_key, missing_key, frozen_key), strict=True))


class Planner(msgspec.Struct, frozen=True):
    """Where objects, table and manifests are, the settings of now, and the claims of the execution."""

    s3: Any
    raw_bucket: str
    store: Store
    table: LakeTable
    settings: FunctionSettings
    claims: Claims
    now: datetime

    def plan(self, execution: Execution, request: Request) -> dict[str, Any]:
        """Have the range, write the plan unless there is one, and answer its size and place.

        A run keeps its first plan: whoever asks again, after a crash or at the same time, gets that one. An unfinished
        run of the same request, by the same rules, is carried on. Raises RangeHeld, InvalidInput and LedgerIncomplete.
        """
        rules = fingerprint(self.settings)
        marker = request_key(_digest(request, rules))
        run_id = self._begun(execution, request, marker) or execution.name
        if request.mode == "apply":
            self.claims.hold(run_id, request.scope, execution.started_at)
        plan = self._settled(run_id) or self._write(run_id, request, rules, execution.started_at)
        self.store.write(execution_key(run_id, execution.name), msgspec.json.encode(execution))
        self.store.write(marker, msgspec.json.encode(run_id))
        return {
            "run_id": run_id,
            "mode": plan.request.mode,
            "tasks": plan.tasks,
            "objects": plan.objects,
            "bytes": plan.bytes,
            "frozen": plan.frozen,
            "frozen_bytes": plan.frozen_bytes,
            "write_hot": settles_hot(plan.request),
            "plan": {"bucket": self.store.bucket, "key": tasks_key(run_id)},
        }

    def _begun(self, execution: Execution, request: Request, marker: str) -> str | None:
        """The run that the execution goes on with: its own, or the last one of the same request that can be."""
        if self.store.metadata(plan_key(execution.name)) is not None:
            return execution.name
        if request.fresh:
            return None
        body = self.store.read(marker)
        run_id = None if body is None else msgspec.json.decode(body, type=str)
        return run_id if run_id is not None and self._goes_on(run_id) else None

    def _goes_on(self, run_id: str) -> bool:
        """Whether a run has a plan, is neither done nor undone, and is young enough for its files to be there.

        One whose snapshot is not in the table's history is as good as undone: it would not be published again.
        """
        if self.store.metadata(plan_key(run_id)) is None:
            return False
        if any(self.store.metadata(key) is not None for key in (report_key(run_id), undone_key(run_id))):
            return False
        body = self.store.read(committed_key(run_id))
        if body is not None and msgspec.json.decode(body, type=Committed).snapshot_id is not None:
            table = self.table.find()
            if table is None or published(table, run_id) is None:
                return False
        return not is_old(self.store, plan_key(run_id), self.settings.optimization.orphan_days, self.now)

    def _write(self, run_id: str, request: Request, rules: str, started_at: str) -> Plan:
        table = self.table.find()
        finder = Finder(self.s3, self.raw_bucket, self.store, table, self.settings.decoding, request, self.now)
        with drafting(leaves_frozen=request.mode == "dry_run") as draft:
            task_bytes = self.settings.compaction.task_mb * 1_000_000
            draft.take(finder.find(), task_bytes, by_day=request.source == "archive")
            draft.miss(finder.missing)
            snapshot_id = table.metadata.current_snapshot_id if table else None
            plan = Plan(
                run_id=run_id,
                request=request,
                rules=rules,
                started_at=started_at,
                snapshot_id=None if snapshot_id is None else str(snapshot_id),
                waiting=finder.waiting,
                missing=len(finder.missing),
                unmarked=table is not None and self._is_unmarked(table),
                **draft.counts,
            )
            name = draft.publish(self.store, run_id)
        self.store.write_once(plan_key(run_id), msgspec.json.encode(plan), {_DRAFT: name})
        return self._settled(run_id) or plan

    def _is_unmarked(self, table: Table) -> bool:
        """Whether a run of the table's history is not done with its commit, which ends with the marks."""
        runs = committed(table, RUN_ID_PROPERTY)
        return any(self.store.metadata(committed_key(run.run_id)) is None for run in runs)

    def _settled(self, run_id: str) -> Plan | None:
        """The plan that was first, with its files where everybody looks for them; None when there is none."""
        metadata = self.store.metadata(plan_key(run_id))
        if metadata is None:
            return None
        for part, place in _PLACES.items():
            self.store.copy(draft_key(run_id, metadata[_DRAFT], part), place(run_id))
        return read_plan(self.store, run_id)


def _digest(request: Request, rules: str) -> str:
    """What tells requests apart: who asks and why does not, nor whether to begin anew."""
    asked = msgspec.structs.replace(request, note="", by=None, fresh=False)
    return hashlib.sha256(msgspec.json.encode(asked, order="sorted") + rules.encode()).hexdigest()
