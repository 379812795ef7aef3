"""What makes the functions of the deployed system use everything that their roles allow."""

import base64
import contextlib
import gzip
import itertools
import json
import re
import time
from typing import Any

import boto3

from tests.e2e.resources import eventually

REFUSED = re.compile("access.?denied|not authorized|forbidden", re.IGNORECASE)
PLANNED, WRITTEN, RUN = 3, 4, 5
"""Hours of the archive: of runs that wait for their commit, of single tasks, and of the state machine."""

numbers = itertools.count()


def reading(temperature: float) -> bytes:
    """A payload whose time is no other's."""
    at = 1_767_323_000 + next(numbers)
    return json.dumps({"device_id": "press-1", "timestamp": at, "temperature": temperature}).encode()


class Functions:
    """The functions of a deployed system, each of whose methods answers what was said."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self._outputs = outputs
        self._written_run: str | None = None
        self._rewritten_run: str | None = None
        self._fragmented = False

    def process(self) -> str:
        """A batch with a good reading, one that raises an alert, and one that is set aside."""
        records = [reading(21.5), reading(140.0), b"not json"]
        return self.invoke(
            "ProcessReadingsName", {"Records": [_record(number, data) for number, data in enumerate(records)]}
        )

    def read_the_stream(self, action: str) -> str:
        """A record on the stream, and what the event source says once it misses the action."""
        self.put_record()
        functions = boto3.client("lambda")

        def last_result() -> str:
            source = functions.list_event_source_mappings(FunctionName=self._outputs["ProcessReadingsName"])
            return str(source["EventSourceMappings"][0]["LastProcessingResult"])

        def about_the_action() -> str:
            said = last_result()  # the next attempt's result may take its place at any moment
            return said if action in said else ""

        return eventually(about_the_action) or last_result()

    def put_record(self) -> bytes:
        """A record on the stream."""
        data = reading(20.0)
        boto3.client("kinesis").put_record(StreamName=self._outputs["StreamName"], Data=data, PartitionKey="press-1")
        return data

    def archive(self, hour: int) -> tuple[str, str]:
        """An archive object with a reading and a line that is set aside; its key and entity tag."""
        key = f"raw-data/year=2026/month=01/day=02/hour={hour:02}/{time.time_ns()}.gz"
        return key, self.archive_as(key)

    def archive_as(self, key: str) -> str:
        """The same under this key, in the place of what was there; its entity tag."""
        body = gzip.compress(reading(20.0) + b"\nnot json\n")
        stored = boto3.client("s3").put_object(Bucket=self._outputs["RawBucketName"], Key=key, Body=body)
        tag: str = stored["ETag"]
        return tag

    def plan(self, run_id: str) -> str:
        """Plan a run."""
        return self.invoke("PlanCompactionName", {"run_id": run_id, "input": window(PLANNED)})

    def write(self, run_id: str, key: str, etag: str) -> str:
        """Write the task of one object."""
        task = {"task_id": "00000", "objects": [{"key": key, "bytes": 100, "etag": etag}]}
        return self.invoke("WriteParquetName", {"run_id": run_id, "task": task})

    def written_run(self) -> str:
        """A run that waits for its commit: the same again, as long as nobody has published it."""
        if self._written_run is None:
            self._written_run = new_run_id()
            self.archive(PLANNED)
            self.plan(self._written_run)
            self._write_planned(self._written_run)
        return self._written_run

    def commit(self, run_id: str) -> str:
        """Commit a run."""
        said = self.invoke("CommitTableName", {"run_id": run_id})
        if not REFUSED.search(said) or "PutObject" in said:  # the report of a run that is published may be what failed
            self._written_run = None
        return said

    def commit_hour(self, hour: int) -> str:
        """A new object of an hour, whose key it is, and a run that compacts it."""
        run_id = new_run_id()
        key, _ = self.archive(hour)
        self.invoke("PlanCompactionName", {"run_id": run_id, "input": window(hour)})
        self._write_planned(run_id)
        self.invoke("CommitTableName", {"run_id": run_id})
        return key

    def make_table(self) -> None:
        """See to it that there is a table."""
        glue = boto3.client("glue")
        try:
            glue.get_table(DatabaseName=self._outputs["LakeDatabaseName"], Name="readings")
        except glue.exceptions.EntityNotFoundException:
            self.commit(self.written_run())

    def forget_table(self) -> None:
        """Let the next commit create the table."""
        glue = boto3.client("glue")
        with contextlib.suppress(glue.exceptions.EntityNotFoundException):
            glue.delete_table(DatabaseName=self._outputs["LakeDatabaseName"], Name="readings")
        self._fragmented = False

    def forget_ledger(self) -> None:
        """Let the next plan or commit write the ledger of the committed runs again."""
        self._forget("ledger/")

    def _forget(self, prefix: str) -> None:
        """Delete the processed bucket's objects below a prefix."""
        s3, bucket = boto3.client("s3"), self._outputs["ProcessedBucketName"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])

    def fragment(self) -> None:
        """See to it that there is a table, no other's files beside its own, with files that are to be put together."""
        if not self._fragmented:
            self.forget_table()
            self.forget_ledger()
            self._forget("warehouse/")
            self.begin_anew()
            for _ in range(2):
                self.commit(self.written_run())
            self._fragmented = True

    def begin_anew(self) -> None:
        """Nothing that was prepared is there any more."""
        self._written_run = self._rewritten_run = None
        self._fragmented = False

    def plan_upkeep(self, run_id: str) -> str:
        """Plan a run of the table's upkeep."""
        return self.invoke("PlanOptimizationName", {"run_id": run_id, "input": {}})

    def rewrite(self, run_id: str) -> str:
        """Rewrite what a run has planned."""
        tasks = self.planned(f"runs/optimize/{run_id}/plan.jsonl")
        return "".join(self.invoke("RewriteParquetName", {"run_id": run_id, "task": task}) for task in tasks)

    def rewritten_run(self) -> str:
        """A run of the upkeep that waits for its commit: the same again, as long as nobody has published it."""
        self.fragment()
        if self._rewritten_run is None:
            self._rewritten_run = new_run_id()
            self.plan_upkeep(self._rewritten_run)
            self.rewrite(self._rewritten_run)
        return self._rewritten_run

    def commit_rewrite(self, run_id: str) -> str:
        """Commit a run of the upkeep."""
        said = self.invoke("CommitRewriteName", {"run_id": run_id})
        if not REFUSED.search(said):
            self.put_together()
        return said

    def put_together(self) -> None:
        """Somebody has, or may have, put the table's files together."""
        self._fragmented = False

    def expire(self) -> str:
        """Let old snapshots of the table go."""
        return self.invoke("ExpireSnapshotsName", {"run_id": new_run_id()})

    def sweep(self) -> str:
        """Delete what no snapshot names, and close the run."""
        expired = {"expired": 0, "kept": 2}
        return self.invoke("SweepOrphansName", {"run_id": new_run_id(), "rewritten": None, "expired": expired})

    def _write_planned(self, run_id: str) -> None:
        for task in self.planned(f"runs/compact/{run_id}/plan.jsonl"):
            self.invoke("WriteParquetName", {"run_id": run_id, "task": task})

    def planned(self, key: str) -> list[dict[str, Any]]:
        """The tasks of a plan."""
        plan = boto3.client("s3").get_object(Bucket=self._outputs["ProcessedBucketName"], Key=key)
        return [json.loads(line) for line in plan["Body"].read().splitlines()]

    def invoke(self, output: str, event: dict[str, Any]) -> str:
        """What a function (by the output that names it) answers to an event, its error when it fails."""
        answer = boto3.client("lambda").invoke(FunctionName=self._outputs[output], Payload=json.dumps(event))
        return answer["Payload"].read().decode()


def window(hour: int) -> dict[str, str]:
    """The input of a run over one hour of `archive`."""
    return {"from": f"2026-01-02T{hour:02}:00:00Z", "to": f"2026-01-02T{hour + 1:02}:00:00Z"}


def new_run_id() -> str:
    """A name that no run had."""
    return f"least-privilege-{next(numbers)}-{time.time_ns()}"


def _record(number: int, data: bytes) -> dict[str, Any]:
    kinesis = {
        "sequenceNumber": str(number),
        "partitionKey": "press-1",
        "data": base64.b64encode(data).decode(),
        "approximateArrivalTimestamp": time.time(),
    }
    return {"kinesis": kinesis, "eventID": f"shardId-000000000000:{number}", "eventSource": "aws:kinesis"}
