"""One decoding task of a run: objects of the archive or of the quarantine in, sorted readings of the scope in staging.

Everything written has a name that follows from run and task, and bytes that follow from the objects, so a task that
runs again, after a crash or twice at once, writes the same again. Nothing is visible outside the run yet.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from compaction.arrange import PARTITION_MS, PartitionBy
from compaction.intake import Intake, Keep
from compaction.manifests import PlannedObject
from compaction.opening import open_planned
from compaction.parquet import Files, Format
from compaction.scratch import scratch_folder
from compaction.sorting import SortedRows, by_source
from compaction.store import Store
from reprocessing.decode.draining import Drain
from reprocessing.decode.rejecting import Rejected
from reprocessing.decode.standing import Standing
from reprocessing.keys import decoded_key, decoded_prefix, resolved_key
from reprocessing.manifests import DecodedObject, DecodeResult, DecodeTask, Plan, StagedFile, total
from reprocessing.marks import Marks
from reprocessing.request import Request, Scope, publishes
from reprocessing.runs import plan_by
from reprocessing.scope import mask
from sensors.counts import UnbalancedError
from sensors.settings import Decoding

_IF_ARCHIVED: Final = (
    'Restore it and redrive the execution, or start one with the same input and "fresh": true, which restores what it '
    "needs."
)


class _Job(NamedTuple):
    """What one invocation is about: the task's objects in order of key, and the folder that it works in."""

    run_id: str
    task_id: str
    objects: Sequence[PlannedObject]
    to_table: bool
    request: Request
    folder: Path


class Decoder(msgspec.Struct, frozen=True):
    """Where a task's objects are, where its files go, and the rules of the environment.

    `rules` tells these from others (`reprocessing.fingerprint`). A file is complete at `file_bytes`, or at the end of
    its partition.
    """

    s3: Any
    raw_bucket: str
    processed_bucket: str
    rules: str
    decoding: Decoding
    metrics: Sequence[str]
    partition_by: PartitionBy
    file_bytes: int

    def decode(self, run_id: str, task: DecodeTask) -> DecodeResult:
        """Do the task, unless it is done; the result manifest is written last, when everything it names is there.

        Raises RulesChanged when the run was planned by other rules, ResultMissing when it has no plan, and what
        `compaction.writing.Writer.write` raises.
        """
        plan = plan_by(self._store, run_id, self.rules)
        done = self._store.read(decoded_key(run_id, task.task_id))
        if done is not None:
            result = msgspec.json.decode(done, type=DecodeResult)
            if result.rules == self.rules:
                return result
        with scratch_folder("lower compaction.task_mb") as folder:
            objects = sorted(task.objects, key=lambda planned: planned.key)
            job = _Job(run_id, task.task_id, objects, task.to_table, plan.request, folder)
            is_archive = plan.request.source == "archive"
            result = self._archive(job, self._standing(plan, task)) if is_archive else self._quarantine(job)
        _check(result)
        self._store.write(decoded_key(run_id, task.task_id), msgspec.json.encode(result))
        return result

    @property
    def _store(self) -> Store:
        return Store(self.s3, self.processed_bucket)

    def _standing(self, plan: Plan, task: DecodeTask) -> Standing | None:
        """What of the task's objects is set aside already; None where nothing will be, or not all marks are written."""
        if not (task.to_table and publishes(plan.request)) or plan.unmarked:
            return None
        return Standing(self._store, plan.run_id, [planned.key for planned in task.objects])

    def _archive(self, job: _Job, standing: Standing | None) -> DecodeResult:
        """Of the archive: compaction's own way, but for the readings that are not of the scope."""
        rows, rejected = self._rows(job.folder), Rejected(job.folder, standing)
        scoped = _Scoped(job.request.scope, rows.add)
        intake = Intake(self.metrics, self.decoding, scoped.add, rejected.add)
        for planned in job.objects:
            answer = open_planned(self.s3, self.raw_bucket, planned, _IF_ARCHIVED)
            intake.read(planned.key, answer["Body"], answer["LastModified"])
        intake.finish()
        sources = [planned.key for planned in job.objects]
        written = rows.write(self._files(job, job.task_id, sources))
        staged = rejected.stage(self._store, job.run_id, job.task_id)
        to_hot = "hot" in job.request.targets or not job.to_table
        return DecodeResult(
            run_id=job.run_id,
            task_id=job.task_id,
            rules=self.rules,
            objects=_decoded(job, intake, scoped.outside, [rows]),
            files=tuple(StagedFile(file, job.to_table, to_hot) for file in written),
            late=rows.late,
            ignored_fields=rows.ignored_fields,
            rejects_key=staged.rejects_key,
            new_rejects_key=staged.new_rejects_key,
            quarantine_key=staged.quarantine_key,
        )

    def _quarantine(self, job: _Job) -> DecodeResult:
        """Of the quarantine: records of the archive are for the table, those of the stream for the other one."""
        table, hot = (self._rows(job.folder / name) for name in ("table", "hot"))
        path = job.folder / "resolved.jsonl"
        with path.open("wb") as resolved:
            drain = Drain(job.request, self.decoding, self.metrics, {"archive": table.add, "stream": hot.add}, resolved)
            for planned in job.objects:
                answer = open_planned(self.s3, self.processed_bucket, planned, _IF_ARCHIVED)
                drain.read(planned.key, answer["Body"], Marks(self._store, planned.key, job.run_id))
            drain.finish()
        to_table = table.write(self._files(job, f"{job.task_id}-table"))
        to_hot = hot.write(self._files(job, f"{job.task_id}-hot"))
        key = resolved_key(job.run_id, job.task_id) if path.stat().st_size else None
        if key:
            self._store.write_file(key, path)
        return DecodeResult(
            run_id=job.run_id,
            task_id=job.task_id,
            rules=self.rules,
            objects=_decoded(job, drain, drain.outside, [table, hot]),
            files=(
                *(StagedFile(file, True, False) for file in to_table),
                *(StagedFile(file, False, True) for file in to_hot),
            ),
            late=table.late + hot.late,
            ignored_fields=table.ignored_fields + hot.ignored_fields,
            resolved_key=key,
        )

    def _rows(self, folder: Path) -> SortedRows:
        folder.mkdir(exist_ok=True)
        return SortedRows(folder, PARTITION_MS[self.partition_by])

    def _files(self, job: _Job, name: str, sources: Sequence[str] | None = None) -> Files:
        layout = Format(self.metrics, self.partition_by, self.file_bytes, bloom_filter=False)
        return Files(layout, name, job.folder, self._store.write_file, sources, decoded_prefix(job.run_id))


class _Scoped:
    """Hands on the rows that are of the scope, and counts the others by source."""

    def __init__(self, scope: Scope, keep: Keep) -> None:
        self._scope = scope
        self._keep = keep
        self.outside = Counter[int]()

    def add(self, rows: pa.RecordBatch) -> None:
        inside = mask(self._scope, rows)
        if not pc.all(inside, min_count=0).as_py():
            self.outside.update(by_source(rows.filter(pc.invert(inside))))
            rows = rows.filter(inside)
        if rows.num_rows:
            self._keep(rows)


def _decoded(
    job: _Job, read: Intake | Drain, outside: Counter[int], written: Iterable[SortedRows]
) -> tuple[DecodedObject, ...]:
    stored = sum((rows.stored for rows in written), Counter[int]())
    duplicates = sum((rows.duplicates for rows in written), Counter[int]())
    return tuple(
        DecodedObject(
            key=planned.key,
            etag=planned.etag,
            records=read.records[number],
            stored=stored[number],
            duplicate=duplicates[number],
            quarantined=read.rejected[number].total(),
            outside=outside[number],
            by_reason=dict(sorted(read.rejected[number].items())),
        )
        for number, planned in enumerate(job.objects)
    )


def _check(result: DecodeResult) -> None:
    """Raise UnbalancedError unless every record of each object, and every row of the files, is accounted for."""
    counts = total(result.objects, result.late, result.ignored_fields)
    rows = sum(staged.file.rows for staged in result.files)
    if counts.stored != rows:
        raise UnbalancedError(f"task {result.task_id} has written {rows} rows: {counts}")
    for item in result.objects:
        if not item.balances:
            raise UnbalancedError(f"task {result.task_id}: {item}")
