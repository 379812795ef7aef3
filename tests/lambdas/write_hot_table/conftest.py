"""A hot table, staged readings, and the function's core on a clock that moves when somebody waits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from compaction.arrange import PARTITION_MS, arrange
from compaction.columns import batch_of
from compaction.parquet import Files, Format
from compaction.store import Store
from optimization.manifests import Key, SourceFile
from optimization.reading import rows_schema
from reprocessing.hot.writing import HotWriter
from reprocessing.keys import group_key, plan_key
from reprocessing.manifests import Plan
from reprocessing.merge_manifests import HotResult, MergeGroup, MergeTask
from reprocessing.request import Request, Scope
from sensors.hot_items import TIME_KEY, Items
from sensors.reading import Reading
from sensors.settings import HotTable, SensorTypeIndex
from sensors.times import iso_ms
from tests.lambdas.reprocessing.harness import Clock
from tests.memory_aws import Effects, MemoryS3
from tests.memory_dynamodb import MemoryDynamoDB

AT_MS = 1_795_251_600_000  # 2026-11-21T09:00:00Z
RUN_MS = AT_MS + 3_600_000
BUCKET = "processed"
METRICS = ("temperature", "vibration")
BY_NUMBER = HotTable("device_id", "epoch_seconds", 30)
BY_TEXT = HotTable("sensor_id", "iso8601", 30, SensorTypeIndex(4))


def reading(device: str = "pump-1", ms: int = 0, after_ms: int = 50, **values: Any) -> Reading:
    """A reading measured `ms` after AT_MS and received `after_ms` later; text is an attribute, a number a metric."""
    attributes = {name: value for name, value in values.items() if isinstance(value, str)}
    metrics = {name: value for name, value in values.items() if name not in attributes} or {"temperature": 20.5}
    return Reading(device, AT_MS + ms, metrics, attributes, AT_MS + ms + after_ms, 0, late=False)


def stage(store: Store, folder: Path, name: str, readings: Iterable[Reading]) -> SourceFile:
    """A staged file of readings whose source object is `name`."""
    readings = list(readings)
    rows = pa.Table.from_batches([batch_of(readings, METRICS, [0] * len(readings))])
    rows = rows.append_column("source_object", pa.array([name] * len(readings), pa.string()))
    written: list[SourceFile] = []

    def publish(_: str, path: Path) -> None:
        key = f"staging/reprocess/run/{name}.parquet"
        store.write(key, path.read_bytes())
        written.append(SourceFile(key, len(readings), path.stat().st_size))

    files = Files(Format(METRICS, "day", 128_000_000, bloom_filter=False), name, folder, publish)
    files.add(arrange(rows.select(rows_schema(METRICS).names), PARTITION_MS["day"]).rows)
    files.finish()
    (file,) = written
    return file


class Hot:
    """A run that has one group of staged readings, and its hot table."""

    def __init__(
        self, folder: Path, s3: Any, dynamodb: Any, settings: HotTable, table: str = "hot", bucket: str = BUCKET
    ) -> None:
        self.folder = folder
        self.store = Store(s3, bucket)
        self.dynamodb = dynamodb
        self.items = Items(settings)
        self.clock = Clock()
        self.writer = HotWriter(s3, bucket, dynamodb, table, settings, 4, self.clock, self.clock.sleep)
        self._files: tuple[SourceFile, ...] = ()

    def plan(self, max_rate: int = 400, run_id: str = "run") -> None:
        request = Request(Scope(AT_MS, AT_MS + 1), "archive", ("hot",), "apply", max_rate, "Standard", 7, "why")
        plan = Plan(run_id, request, "", iso_ms(RUN_MS), None, 1, 1, 1, 0, 0, 0, 0, 0)
        self.store.write(plan_key(run_id), msgspec.json.encode(plan))
        group = MergeGroup("measured_at_day=2026-11-21", (), (), self._files, METRICS, replaces=True)
        self.store.write(group_key(run_id, "0", 0), msgspec.json.encode(group))

    def stage(self, *readings: Reading, name: str = "a") -> None:
        """Add readings to those that are staged; `name` is their source object."""
        self._files = (*self._files, stage(self.store, self.folder, name, readings))
        self.plan()

    def write(
        self,
        run_id: str = "run",
        start: Key | None = None,
        end: Key | None = None,
        now_ms: int = RUN_MS,
        time_s: float = 600,
    ) -> HotResult:
        """One invocation that has `time_s` seconds."""
        task = MergeTask("00000-000", group_key(run_id, "0", 0), start, end)
        ends_s = self.clock() + time_s
        return self.writer.write(run_id, "0", task, now_ms / 1000, lambda: ends_s - self.clock())

    def item(self, given: Reading, processed_ms: int = AT_MS + 500, **more: Any) -> dict[str, Any]:
        """An item as real time writes it."""
        return self.items.item(given, iso_ms(processed_ms)) | more

    def real_time(self, *readings: Reading, processed_ms: int = AT_MS + 500) -> None:
        """Real time stores readings, in this order."""
        for one in readings:
            self.dynamodb.store(self.item(one, processed_ms))

    def held(self) -> dict[Any, dict[str, Any]]:
        """Items by key without what says when they were written and until when they stay."""
        return {
            place: {name: value for name, value in item.items() if name not in {"processed_at", "expires_at"}}
            for place, item in self.dynamodb.items.items()
        }

    @property
    def puts(self) -> list[str]:
        """The keys of all puts that were tried."""
        return [name for name in self.dynamodb.effects.names if name.startswith("put item ")]


def in_memory(folder: Path, settings: HotTable = BY_NUMBER) -> Hot:
    effects = Effects()
    s3 = MemoryS3(effects)
    s3.create_bucket(Bucket=BUCKET)
    return Hot(folder, s3, MemoryDynamoDB(effects, "hot", (settings.device_key, TIME_KEY)), settings)


@pytest.fixture
def hot(tmp_path: Path) -> Hot:
    return in_memory(tmp_path)
