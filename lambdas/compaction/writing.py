"""One task of a run: archive objects in, Parquet files, quarantine object and result manifest out.

Everything written has a name that follows from run, task and partition, and bytes that follow from the objects, so a
task that runs again, after a crash or twice at once, writes the same again. Nothing is visible in the table yet.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from botocore.exceptions import ClientError

from compaction import parquet
from compaction.arrange import Arranged, PartitionBy
from compaction.errors import ObjectArchived, ObjectChanged, ObjectMissing
from compaction.intake import Intake
from compaction.manifests import FileResult, ObjectResult, PlannedObject, Task, TaskResult, result_key
from compaction.store import Store, error_code
from sensors import quarantine
from sensors.counts import Counts
from sensors.settings import Limits

FILES_PREFIX = "warehouse/readings/data/"


class Writer(msgspec.Struct, frozen=True):
    """Where a task's objects are, where its files go, and the rules of the environment."""

    s3: Any
    raw_bucket: str
    processed_bucket: str
    limits: Limits
    metrics: Sequence[str]
    partition_by: PartitionBy

    def write(self, run_id: str, task: Task) -> TaskResult:
        """Do the task; the result manifest is written last, when everything it names is there.

        Raises ObjectMissing or ObjectChanged for an object that is not as planned, ObjectArchived for one that S3 does
        not read out, UnbalancedError when a record is not accounted for.
        """
        store = Store(self.s3, self.processed_bucket)
        intake = Intake(self.metrics, self.limits)
        for planned in task.objects:
            answer = self._open(planned)
            intake.read(planned.key, answer["Body"], answer["LastModified"])
        rows = intake.rows()
        decoded = rows["source"]
        arranged = Arranged(rows, self.partition_by)
        files = self._write_files(store, run_id, task, arranged)
        quarantine_key = _set_aside(store, f"{run_id}-{task.task_id}", intake)
        objects = _per_object(task, intake, decoded, arranged.kept["source"])
        counts = _totals(objects, files, intake, arranged.kept)
        result = TaskResult(run_id, task.task_id, objects, files, quarantine_key, counts)
        store.write(result_key(run_id, task.task_id), msgspec.json.encode(result))
        return result

    def _open(self, planned: PlannedObject) -> Any:
        try:
            return self.s3.get_object(Bucket=self.raw_bucket, Key=planned.key, IfMatch=planned.etag)
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

    def _write_files(self, store: Store, run_id: str, task: Task, arranged: Arranged) -> tuple[FileResult, ...]:
        files = []
        for partition, rows in arranged.partitions(self.metrics, [planned.key for planned in task.objects]):
            key = f"{FILES_PREFIX}{partition}/{run_id}-{task.task_id}.parquet"
            data = parquet.encode(rows)
            store.write(key, data.to_pybytes())
            files.append(parquet.describe(key, partition, rows, data.size))
        return tuple(files)


def _set_aside(store: Store, name: str, intake: Intake) -> str | None:
    if not intake.rejections:
        return None
    key = quarantine.key(intake.rejections, name)
    store.write(key, quarantine.pack(intake.quarantine_lines))
    return key


def _per_object(task: Task, intake: Intake, decoded: pa.Array, kept: pa.Array) -> tuple[ObjectResult, ...]:
    rows, stored = _by_source(decoded), _by_source(kept)
    return tuple(
        ObjectResult(
            key=planned.key,
            etag=planned.etag,
            records=intake.records[number],
            stored=stored[number],
            duplicate=rows[number] - stored[number],
            quarantined=intake.rejected[number].total(),
        )
        for number, planned in enumerate(task.objects)
    )


def _by_source(sources: pa.Array) -> Counter[int]:
    return Counter({entry["values"]: entry["counts"] for entry in pc.value_counts(sources).to_pylist()})


def _totals(objects: Sequence[ObjectResult], files: Sequence[FileResult], intake: Intake, kept: pa.Table) -> Counts:
    """The task's counts: records as read, rows as written, lines as set aside. Raises UnbalancedError."""
    return Counts(
        received=sum(intake.records),
        stored=sum(file.rows for file in files),
        duplicate=sum(item.duplicate for item in objects),
        quarantined=len(intake.quarantine_lines),
        by_reason=dict(sorted(sum(intake.rejected, Counter[str]()).items())),
        late=pc.sum(kept["late"], min_count=0).as_py(),
        ignored_fields=pc.sum(kept["ignored_fields"], min_count=0).as_py(),
    ).check()
