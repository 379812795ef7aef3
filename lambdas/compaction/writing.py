"""One task of a run: archive objects in, Parquet files, quarantine object and result manifest out.

Everything written has a name that follows from run, task and partition, and bytes that follow from the objects, so a
task that runs again, after a crash or twice at once, writes the same again. Nothing is visible in the table yet.

Memory does not grow with the input: rows are sorted in runs on the function's disk and merged from there.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from botocore.exceptions import ClientError

from compaction.arrange import PARTITION_MS, PartitionBy
from compaction.errors import ObjectArchived, ObjectChanged, ObjectMissing
from compaction.intake import Intake
from compaction.manifests import FileResult, ObjectResult, PlannedObject, Task, TaskResult, result_key
from compaction.parquet import Files, Format
from compaction.rejects import Rejects
from compaction.scratch import scratch_folder
from compaction.spill import SortedRuns
from compaction.store import Store, error_code
from sensors.counts import Counts
from sensors.settings import Limits


class Writer(msgspec.Struct, frozen=True):
    """Where a task's objects are, where its files go, and the rules of the environment.

    A file is complete at `file_bytes`, or at the end of its partition.
    """

    s3: Any
    raw_bucket: str
    processed_bucket: str
    limits: Limits
    metrics: Sequence[str]
    partition_by: PartitionBy
    file_bytes: int
    bloom_filter: bool

    def write(self, run_id: str, task: Task) -> TaskResult:
        """Do the task; the result manifest is written last, when everything it names is there.

        Raises ObjectMissing or ObjectChanged for an object that is not as planned, ObjectArchived for one that S3 does
        not read out, DiskFull for a task that is too large, UnbalancedError when a record is not accounted for.
        """
        store = Store(self.s3, self.processed_bucket)
        name = f"{run_id}-{task.task_id}"
        with scratch_folder("lower compaction.task_mb") as folder:
            stored, duplicates = _Stored(), Counter[int]()
            runs = SortedRuns(folder, PARTITION_MS[self.partition_by], lambda rows: duplicates.update(_sources(rows)))
            rejects = Rejects(folder)
            intake = Intake(self.metrics, self.limits, runs.add, rejects.add)
            for planned in task.objects:
                answer = self._open(planned)
                intake.read(planned.key, answer["Body"], answer["LastModified"])
            intake.finish()
            files = self._files(store, task, name, folder)
            for rows in runs.drain():
                stored.add(rows)
                files.add(rows)
            written = files.finish()
            quarantine_key = rejects.publish(store, name)
        objects = _per_object(task, intake, stored, duplicates)
        counts = _totals(objects, written, intake, stored, rejects)
        result = TaskResult(run_id, task.task_id, objects, written, quarantine_key, counts)
        store.write(result_key(run_id, task.task_id), msgspec.json.encode(result))
        return result

    def _open(self, planned: PlannedObject) -> Any:
        try:
            return self.s3.get_object(Bucket=self.raw_bucket, Key=planned.key, IfMatch=f'"{planned.etag}"')
        except ClientError as error:
            place = f"s3://{self.raw_bucket}/{planned.key}"
            if error_code(error) in {"NoSuchKey", "404"}:
                raise ObjectMissing(f"{place} was planned but is gone. A new run plans what is there now.") from None
            if error_code(error) in {"PreconditionFailed", "412"}:
                raise ObjectChanged(
                    f"{place} is not the object that was planned (entity tag {planned.etag}). "
                    "The archive is never edited: find out what wrote it, then start a new run."
                ) from None
            if error_code(error) == "InvalidObjectState":
                raise ObjectArchived(
                    f"{place} is in Glacier. Restore it, or leave its hour out with 'from' and 'to' of a new run."
                ) from None
            raise

    def _files(self, store: Store, task: Task, name: str, folder: Path) -> Files:
        layout = Format(self.metrics, self.partition_by, self.file_bytes, self.bloom_filter)
        return Files(layout, name, folder, store.write_file, [planned.key for planned in task.objects])


class _Stored:
    """Counts the rows that stay."""

    def __init__(self) -> None:
        self.by_source: Counter[int] = Counter()
        self.late = 0
        self.ignored_fields = 0

    def add(self, rows: pa.Table) -> None:
        self.by_source.update(_sources(rows))
        self.late += pc.sum(rows["_late"], min_count=0).as_py()
        self.ignored_fields += pc.sum(rows["_ignored_fields"], min_count=0).as_py()


def _sources(rows: pa.Table) -> dict[int, int]:
    """How many of the rows each source has."""
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(rows["_source"]).to_pylist()}


def _per_object(task: Task, intake: Intake, stored: _Stored, duplicates: Counter[int]) -> tuple[ObjectResult, ...]:
    return tuple(
        ObjectResult(
            key=planned.key,
            etag=planned.etag,
            records=intake.records[number],
            stored=stored.by_source[number],
            duplicate=duplicates[number],
            quarantined=intake.rejected[number].total(),
        )
        for number, planned in enumerate(task.objects)
    )


def _totals(
    objects: Sequence[ObjectResult], files: Sequence[FileResult], intake: Intake, stored: _Stored, rejects: Rejects
) -> Counts:
    """The task's counts: records as read, rows as written, lines as set aside. Raises UnbalancedError."""
    return Counts(
        received=sum(intake.records),
        stored=sum(file.rows for file in files),
        duplicate=sum(item.duplicate for item in objects),
        quarantined=rejects.lines,
        by_reason=dict(sorted(sum(intake.rejected, Counter[str]()).items())),
        late=stored.late,
        ignored_fields=stored.ignored_fields,
    ).check()
