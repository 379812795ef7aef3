"""What makes the functions of the reprocessing use everything that their roles allow."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

import boto3

from tests.e2e.least_privilege.functions import PLANNED, Functions, new_run_id
from tests.e2e.least_privilege.saving import Steps

NOW = "2026-11-21T12:00:00.000Z"
OUTSIDE = 1
"""An hour of the archive that ended before the range begins, and has a reading of it."""

rates = itertools.count(1_000)


class Reprocessing:
    """A run, step by step: each `before_…` does all that comes before a step, and answers what the step is given."""

    def __init__(self, outputs: dict[str, str], functions: Functions, steps: Steps) -> None:
        self._outputs = outputs
        self._functions = functions
        self._there = steps.there

    def input(self, **fields: object) -> dict[str, object]:
        """An input that no run had: who asks for the same again carries a run on."""
        scope = {"from": "2026-01-02T03:00:00Z", "to": "2026-01-02T05:00:00Z"}
        targets = {"source": "archive", "targets": ["table", "hot"], "max_rate": next(rates)}
        return {**scope, **targets, "mode": "apply", "alerts": "send", "note": "least privilege", **fields}

    def before_run(self) -> None:
        """There is a table with files to put together, and an object of the range."""
        self._functions.fragment()
        self._functions.archive(PLANNED)

    def before_plan(self) -> dict[str, object]:
        """There is a table whose rows are to change, objects that wait for the compaction, and a claim of an execution
        that is no more.
        """
        self._functions.fragment()
        self._functions.archive_as(self._functions.commit_hour(OUTSIDE))
        self._functions.archive(PLANNED)
        self.plan(new_run_id(), self.input())
        return self.input()

    def plan(self, run_id: str, run_input: dict[str, object]) -> str:
        return self._functions.invoke("PlanReprocessName", self._begin(run_id, run_input))

    @contextlib.contextmanager
    def frozen(self) -> Iterator[dict[str, object]]:
        """An object of the archive in Glacier; no other run is to find it, and wait for it."""
        s3, bucket = boto3.client("s3"), self._outputs["RawBucketName"]
        key, _ = self._functions.archive(PLANNED)
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        put = s3.put_object(Bucket=bucket, Key=key, Body=body, StorageClass="GLACIER")
        try:
            yield {"key": key, "bytes": len(body), "etag": put["ETag"].strip('"')}
        finally:
            s3.delete_object(Bucket=bucket, Key=key)

    def restore(self, run_id: str) -> str:
        """Restore for a run that is planned, as if its plan had a frozen object."""
        s3, bucket = boto3.client("s3"), self._outputs["ProcessedBucketName"]
        place = f"runs/reprocess/{run_id}/plan.json"
        plan = json.loads(s3.get_object(Bucket=bucket, Key=place)["Body"].read())
        s3.put_object(Bucket=bucket, Key=place, Body=json.dumps({**plan, "frozen": 1}).encode())
        with self.frozen() as line:
            s3.put_object(Bucket=bucket, Key=f"runs/reprocess/{run_id}/frozen.jsonl", Body=json.dumps(line).encode())
            return self._functions.invoke("RestoreObjectsName", {"run_id": run_id})

    def before_decode(self) -> str:
        """A run that is planned."""
        run_input, run_id = self._there(self.before_plan), new_run_id()
        self.plan(run_id, run_input)
        return run_id

    def decode(self, run_id: str) -> str:
        tasks = self._functions.planned(f"runs/reprocess/{run_id}/plan.jsonl")
        return "".join(self._functions.invoke("DecodeObjectsName", {"run_id": run_id, "task": task}) for task in tasks)

    def before_plan_merge(self) -> str:
        """A run whose objects are decoded."""
        run_id = self._there(self.before_decode)
        self.decode(run_id)
        return run_id

    def plan_merge(self, run_id: str) -> str:
        return self._functions.invoke("PlanMergeName", {"run_id": run_id, "attempt": 1})

    def before_merge(self) -> dict[str, str]:
        """A run that has a plan of its merge."""
        run_id = self._there(self.before_plan_merge)
        return {"run_id": run_id, "merge_id": json.loads(self.plan_merge(run_id))["merge_id"]}

    def merge(self, merge: dict[str, str]) -> str:
        return self._tasks("MergeReadingsName", merge)

    def before_commit(self) -> dict[str, str]:
        """A run that is merged, in whose way is the claim of an execution that is no more."""
        merge = self._there(self.before_merge)
        self.merge(merge)
        self.plan(new_run_id(), self.input())
        return merge

    def commit(self, merge: dict[str, str]) -> str:
        said = self._functions.invoke("CommitReprocessName", {**merge, **self._who(merge["run_id"])})
        self._functions.put_together()
        return said

    def before_hot(self) -> dict[str, str]:
        """A run that is committed."""
        merge = self._there(self.before_commit)
        self.commit(merge)
        return merge

    def write_hot(self, merge: dict[str, str]) -> str:
        return self._tasks("WriteHotTableName", merge)

    def before_report(self) -> dict[str, str]:
        """A run that has written the hot table."""
        merge = self._there(self.before_hot)
        self.write_hot(merge)
        return merge

    def report(self, merge: dict[str, str]) -> str:
        return self._functions.invoke("ReportReprocessName", {**merge, **self._who(merge["run_id"])})

    def before_undo(self) -> str:
        """A run that is over, in whose way is the claim of an execution that is no more."""
        merge = self._there(self.before_report)
        self.report(merge)
        self.plan(new_run_id(), self.input())
        return merge["run_id"]

    def undo(self, run_id: str) -> str:
        wish: dict[str, object] = {"undo": run_id, "note": "least privilege"}
        said = self._functions.invoke("UndoReprocessName", self._begin(new_run_id(), wish))
        self._functions.put_together()
        return said

    def _tasks(self, output: str, merge: dict[str, str]) -> str:
        tasks = self._functions.planned(f"runs/reprocess/{merge['run_id']}/merges/{merge['merge_id']}/plan.jsonl")
        return "".join(self._functions.invoke(output, {**merge, "task": task}) for task in tasks)

    def _begin(self, execution: str, run_input: dict[str, object]) -> dict[str, Any]:
        return {**self._who(execution), "started_at": NOW, "input": run_input}

    def _who(self, execution: str) -> dict[str, str]:
        machine = self._outputs["ReprocessStateMachineArn"]
        return {
            "execution": execution,
            "execution_arn": f"{machine.replace(':stateMachine:', ':execution:')}:{execution}",
        }
