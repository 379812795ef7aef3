"""A run of the reprocessing that a test decodes by hand, and the steps of its merge on the lake of the test."""

import io
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.exceptions import NoSuchTableError

from compaction.arrange import PARTITION_MS
from compaction.manifests import FileResult, PlannedObject
from compaction.parquet import FILES_PREFIX, Files, Format
from compaction.spill import SortedRuns
from optimization.manifests import Key
from optimization.reading import rows_schema
from reprocessing.keys import (
    decoded_key,
    decoded_prefix,
    merge_plan_key,
    missing_key,
    plan_key,
    tasks_key,
)
from reprocessing.manifests import DecodedObject, DecodeResult, DecodeTask, Plan, StagedFile
from reprocessing.merge.merging import Merger
from reprocessing.merge.planning import MergePlanner
from reprocessing.merge_manifests import MergeGroup, MergeResult, MergeTask
from reprocessing.request import Request, Scope
from sensors.settings import Metric
from tests.lake import AT, Lake

AT_MS = AT * 1000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
FILE_BYTES = 128_000_000
RULES = "the rules of now"
EVERYTHING = Scope(0, 2 * AT_MS)


class Row(NamedTuple):
    """A row of the table, with times in milliseconds."""

    device_id: str
    measured_at: int = AT_MS
    temperature: float | None = 20.5
    source_object: str = "one"
    received_at: int = AT_MS + 50
    other_metrics: tuple[tuple[str, float], ...] | None = None

    @property
    def key(self) -> Key:
        return self.device_id, self.measured_at


def request(scope: Scope = EVERYTHING, **changes: Any) -> Request:
    """A request that applies its changes to both targets, unless it is changed."""
    asked = Request(scope, "archive", ("table", "hot"), "apply", 100, "Standard", 1, "a note")
    return msgspec.structs.replace(asked, **changes)


def add(lake: Lake, name: str, rows: Iterable[Row], folder: Path) -> tuple[FileResult, ...]:
    """Commit a file a partition with these rows to the table."""
    files = _write(lake, name, rows, folder)
    table = lake.lake_table()
    table.extend(table.load(), [f"s3://{lake.processed}/{file.key}" for file in files], {})
    return files


class Run:
    """A run over a lake: planned at once, decoded task by task, merged."""

    def __init__(self, lake: Lake, asked: Request, folder: Path, run_id: str = "run", frozen: int = 0) -> None:
        self.lake = lake
        self.run_id = run_id
        self.request = asked
        self._folder = folder
        self._frozen = frozen
        self._snapshot_id = _snapshot_id(lake)
        self._tasks: list[DecodeTask] = []
        self.staged: list[StagedFile] = []
        self.metrics = {name: Metric("unit") for name in lake.metrics}
        self._write_down()

    def decode(
        self,
        rows: Iterable[Row] = (),
        objects: Sequence[str] = ("one",),
        *,
        to_table: bool = True,
        to_hot: bool = True,
        rules: str = RULES,
    ) -> None:
        """Leave what a task would that found these rows in these objects."""
        task = DecodeTask(f"{len(self._tasks):05}", tuple(PlannedObject(key, 1, "tag") for key in objects), to_table)
        written = _write(self.lake, task.task_id, rows, self._folder, decoded_prefix(self.run_id))
        files = [StagedFile(file, to_table, to_hot) for file in written]
        counted = tuple(DecodedObject(key, "tag", 0, 0, 0, 0, 0) for key in objects)
        result = DecodeResult(self.run_id, task.task_id, rules, counted, tuple(files), 0, 0)
        self.lake.store.write(decoded_key(self.run_id, task.task_id), msgspec.json.encode(result))
        self._tasks.append(task)
        self.staged += files
        self._write_down()

    def miss(self, *objects: str) -> None:
        """Say that the archive does not have these."""
        self.lake.store.write(missing_key(self.run_id), b"".join(msgspec.json.encode(key) + b"\n" for key in objects))

    def planner(self, file_bytes: int = FILE_BYTES) -> MergePlanner:
        return MergePlanner(self.lake.lake_table(), self.lake.store, file_bytes, RULES)

    def plan(self, attempt: int = 0, file_bytes: int = FILE_BYTES) -> "Merge":
        """What `plan_merge` does."""
        return Merge(self, self.planner(file_bytes).plan(self.run_id, attempt)["merge_id"])

    def _write_down(self) -> None:
        plan = Plan(
            run_id=self.run_id,
            request=self.request,
            rules=RULES,
            started_at="2026-11-21T12:00:00Z",
            snapshot_id=self._snapshot_id,
            tasks=len(self._tasks),
            objects=0,
            bytes=0,
            waiting=0,
            outside=0,
            missing=0,
            frozen=self._frozen,
            frozen_bytes=0,
        )
        self.lake.store.write(plan_key(self.run_id), msgspec.json.encode(plan))
        lines = b"".join(msgspec.json.encode(task) + b"\n" for task in self._tasks)
        self.lake.store.write(tasks_key(self.run_id), lines)


class Merge:
    """A planned merge."""

    def __init__(self, run: Run, merge_id: str) -> None:
        self.run = run
        self.merge_id = merge_id
        self._store = run.lake.store

    @property
    def tasks(self) -> list[MergeTask]:
        lines = self._store.lines(merge_plan_key(self.run.run_id, self.merge_id)) or ()
        return [msgspec.json.decode(line, type=MergeTask) for line in lines]

    @property
    def groups(self) -> list[MergeGroup]:
        return self._read(dict.fromkeys(task.group for task in self.tasks))

    def _read(self, keys: Iterable[str]) -> list[MergeGroup]:
        return [msgspec.json.decode(self._store.read(key) or b"", type=MergeGroup) for key in keys]

    def merger(self, file_bytes: int = FILE_BYTES) -> Merger:
        lake = self.run.lake
        return Merger(lake.s3, lake.processed, lake.partition_by, file_bytes, RULES, self.run.metrics)

    def cut(self, *cuts: Key) -> None:
        """Plan every group in tasks that are cut at these keys."""
        ranges = list(enumerate(pairwise([None, *cuts, None])))
        tasks = [
            MergeTask(f"{number:05}-{part + 100}", task.group, start, end)
            for number, task in enumerate(self.tasks)
            for part, (start, end) in ranges
        ]
        lines = b"".join(msgspec.json.encode(task) + b"\n" for task in tasks)
        self._store.write(merge_plan_key(self.run.run_id, self.merge_id), lines)

    def merge(self) -> list[MergeResult]:
        """What `merge_readings` does for each task."""
        return [self.merger().merge(self.run.run_id, self.merge_id, task) for task in self.tasks]

    def published(self) -> list[Row]:
        """The table's rows as they would be with what was merged in the place of what it was merged from."""
        lake = self.run.lake
        results = list(zip(self.tasks, self.merge(), strict=True))
        changed = {task.group for task, result in results if not result.keeps_files}
        replaced = {file.key for group in self._read(changed) for file in group.old}
        written = [file.key for task, result in results if task.group in changed for file in result.files]
        return sorted(row for key in [*(set(live(lake)) - replaced), *written] for row in rows_of(lake, key))


def live(lake: Lake) -> list[str]:
    """Keys of the table's files."""
    try:
        tasks = lake.table().scan().plan_files()
    except NoSuchTableError:
        return []
    return sorted(task.file.file_path.removeprefix(f"s3://{lake.processed}/") for task in tasks)


def rows_of(lake: Lake, key: str) -> list[Row]:
    """The rows of a Parquet file."""
    found = pq.read_table(io.BytesIO(lake.store.read(key) or b""))
    for name in ("measured_at", "received_at"):
        found = found.set_column(
            found.schema.get_field_index(name), name, found[name].cast(pa.timestamp("ms", "UTC")).cast(pa.int64())
        )
    names = set(found.schema.names)
    rows = found.select([name for name in Row._fields if name in names]).to_pylist()
    nothing = {"temperature": None}
    return [Row(**{**nothing, **row, "other_metrics": _pairs(row.get("other_metrics"))}) for row in rows]


def _pairs(held: Any) -> tuple[tuple[str, float], ...] | None:
    return None if held is None else tuple(map(tuple, held))


def _write(
    lake: Lake, name: str, rows: Iterable[Row], folder: Path, prefix: str = FILES_PREFIX
) -> tuple[FileResult, ...]:
    """Write rows, each key once, to files of the lake's own form."""
    schema = rows_schema(lake.metrics)
    columns = [row._asdict() for row in rows]
    runs = SortedRuns(folder, PARTITION_MS[lake.partition_by], lambda _: None)
    if columns:
        runs.add(pa.RecordBatch.from_pylist(columns, schema=schema))
    layout = Format(lake.metrics, lake.partition_by, FILE_BYTES, bloom_filter=False)
    files = Files(layout, name, folder, lake.store.write_file, prefix=prefix)
    for piece in runs.drain():
        files.add(piece)
    return files.finish()


def _snapshot_id(lake: Lake) -> str | None:
    table = lake.lake_table().find()
    snapshot = table.current_snapshot() if table else None
    return str(snapshot.snapshot_id) if snapshot else None
