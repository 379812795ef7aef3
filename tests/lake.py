"""A small lake for tests, on the embedded AWS or in memory: two buckets, a Glue database, the three steps of a run."""

import atexit
import functools
import gzip
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.table import Table

from compaction.catalog import open_catalog
from compaction.hours import hour_prefix, window_of
from compaction.lake_table import LakeTable
from compaction.manifests import Report, Task, TaskResult
from compaction.planning import Planner
from compaction.publishing import Publisher
from compaction.runs import read_plan
from compaction.store import Store
from compaction.writing import Writer
from local import process
from sensors.settings import Decoding
from tests.memory_aws import Effects, MemoryGlue, MemoryS3, memory_catalog

REGION = "eu-central-1"
NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
HOUR = datetime(2026, 11, 21, 9, tzinfo=UTC)
ORPHAN_DAYS = 16
METRICS = ("temperature", "vibration")
AT = 1_795_251_600  # 2026-11-21T09:00:00Z in epoch seconds


@functools.cache
def emulator() -> process.Running:
    """The embedded AWS of this test process; started once, stopped when the process ends."""
    state_dir = Path(tempfile.mkdtemp(prefix="sensorkeep-tests-"))
    atexit.register(shutil.rmtree, state_dir, ignore_errors=True)
    atexit.register(process.stop, state_dir)  # runs first
    return process.start(REGION, state_dir=state_dir, port=0, mqtt_port=0)


def environ() -> dict[str, str]:
    """The environment that makes AWS clients talk to it."""
    return emulator().environ


@functools.cache
def client(service: str) -> Any:
    """A client of the embedded AWS; the environment must point to it."""
    return boto3.client(service)  # type: ignore[call-overload]


@functools.cache
def _catalog() -> GlueCatalog:
    return open_catalog(boto3.Session(), os.environ)


def reading(device: str = "pump-1", at: float = AT, **fields: Any) -> dict[str, Any]:
    """A valid payload as the topic rule puts it on the stream."""
    payload = {"device_id": device, "timestamp": at, "topic_device_id": device, "received_at": int(at * 1000) + 50}
    return payload | (fields or {"temperature": 20.5})


class Aws(NamedTuple):
    """What a lake is on: the clients, the catalog of its table, and the clock of S3."""

    s3: Any
    glue: Any
    catalog: GlueCatalog
    now: Callable[[], datetime] = functools.partial(datetime.now, UTC)


def in_memory(effects: Effects) -> Aws:
    """An AWS without a server, whose side effects can be made to fail."""
    s3, glue = MemoryS3(effects), MemoryGlue(effects)
    return Aws(s3, glue, memory_catalog(glue, s3), lambda: s3.now)


class Lake:
    """Buckets and database of one test, and the steps of a run on them."""

    def __init__(self, metrics: tuple[str, ...] = METRICS, partition_by: str = "day", aws: Aws | None = None) -> None:
        name = uuid.uuid4().hex[:12]
        self.raw, self.processed, self.database = f"raw-{name}", f"processed-{name}", f"lake_{name}"
        self.metrics = metrics
        self.partition_by: Any = partition_by
        self.decoding = Decoding()
        self.s3, self.glue, self.catalog, self.now = aws or Aws(client("s3"), client("glue"), _catalog())
        for bucket in (self.raw, self.processed):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.glue.create_database(DatabaseInput={"Name": self.database})

    def clear(self) -> None:
        """Empty the buckets, and forget the table."""
        for bucket in (self.raw, self.processed):
            store = Store(self.s3, bucket)
            for key in list(store.keys("")):
                store.delete(key)
        for table in self.glue.get_tables(DatabaseName=self.database)["TableList"]:
            self.glue.delete_table(DatabaseName=self.database, Name=table["Name"])

    @property
    def store(self) -> Store:
        return Store(self.s3, self.processed)

    def put(self, name: str, records: Iterable[dict[str, Any] | bytes], hour: datetime = HOUR) -> str:
        """Put an archive object as Firehose does: gzip, a record a line."""
        lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
        return self.put_bytes(name, gzip.compress(b"".join(line + b"\n" for line in lines)), hour)

    def put_bytes(self, name: str, body: bytes, hour: datetime = HOUR) -> str:
        key = f"{hour_prefix(hour)}{name}.gz"
        self.s3.put_object(Bucket=self.raw, Key=key, Body=body)
        return key

    def planner(self, task_bytes: int = 64_000_000, lookback: timedelta | None = None) -> Planner:
        return Planner(self.s3, self.glue, self.raw, self.processed, self.database, task_bytes, lookback)

    def plan(self, run_id: str, task_bytes: int = 64_000_000, **run_input: str) -> dict[str, Any]:
        window = window_of({"from" if key == "start" else "to": value for key, value in run_input.items()}, NOW, 16)
        return self.planner(task_bytes).plan(run_id, window)

    def tasks(self, run_id: str) -> list[Task]:
        return list(read_plan(self.store, run_id) or ())

    def write(self, run_id: str) -> list[TaskResult]:
        writer = Writer(
            self.s3,
            self.raw,
            self.processed,
            self.decoding,
            self.metrics,
            self.partition_by,
            file_bytes=128_000_000,
            bloom_filter=False,
        )
        return [writer.write(run_id, task) for task in self.tasks(run_id)]

    def lake_table(self) -> LakeTable:
        location = f"s3://{self.processed}/warehouse/readings"
        return LakeTable(self.catalog, self.database, location, self.metrics, self.partition_by)

    def commit(self, run_id: str) -> Report:
        publisher = Publisher(
            self.s3, self.raw, self.store, self.lake_table(), ORPHAN_DAYS, self.now(), sleep=lambda _: None
        )
        return publisher.publish(run_id).report

    def run(self, run_id: str, task_bytes: int = 64_000_000, **run_input: str) -> Report | None:
        """All three steps as the state machine does them; None when there was nothing to do."""
        if self.plan(run_id, task_bytes, **run_input)["tasks"] == 0:
            return None
        self.write(run_id)
        return self.commit(run_id)

    def table(self) -> Table:
        return self.catalog.load_table((self.database, "readings"))

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the table, by device and time."""
        return arrow_rows(self.table().scan().to_arrow())


def arrow_rows(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: (row["device_id"], row["measured_at"], row["received_at"]))
