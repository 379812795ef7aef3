"""One task of a run: archive objects in, Parquet files, quarantine object and result manifest out.

Everything written has a name that follows from run, task and partition, and bytes that follow from the objects, so a
task that runs again, after a crash or twice at once, writes the same again. Nothing is visible in the table yet.

Memory does not grow with the input: rows are sorted in runs on the function's disk and merged from there.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from compaction.arrange import PARTITION_MS, PartitionBy
from compaction.intake import Intake
from compaction.manifests import FileResult, ObjectResult, Task, TaskResult, result_key
from compaction.opening import open_planned
from compaction.parquet import Files, Format
from compaction.rejects import Rejects
from compaction.scratch import scratch_folder
from compaction.sorting import SortedRows
from compaction.store import Store
from sensors.counts import Counts
from sensors.settings import Decoding

_IF_ARCHIVED: Final = "Restore it, or leave its hour out with 'from' and 'to' of a new run."


class Writer(msgspec.Struct, frozen=True):
    """Where a task's objects are, where its files go, and the rules of the environment.

    A file is complete at `file_bytes`, or at the end of its partition.
    """

    s3: Any
    raw_bucket: str
    processed_bucket: str
    decoding: Decoding
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
            rows = SortedRows(folder, PARTITION_MS[self.partition_by])
            rejects = Rejects(folder)
            intake = Intake(self.metrics, self.decoding, rows.add, rejects.add)
            for planned in task.objects:
                answer = open_planned(self.s3, self.raw_bucket, planned, _IF_ARCHIVED)
                intake.read(planned.key, answer["Body"], answer["LastModified"])
            intake.finish()
            sources = [planned.key for planned in task.objects]
            layout = Format(self.metrics, self.partition_by, self.file_bytes, self.bloom_filter)
            written = rows.write(Files(layout, name, folder, store.write_file, sources))
            quarantine_key = rejects.complete("compact", name)
            if quarantine_key:
                store.write_file(quarantine_key, rejects.path)
        objects = _per_object(task, intake, rows)
        counts = _totals(objects, written, intake, rows, rejects)
        result = TaskResult(run_id, task.task_id, objects, written, quarantine_key, counts)
        store.write(result_key(run_id, task.task_id), msgspec.json.encode(result))
        return result


def _per_object(task: Task, intake: Intake, rows: SortedRows) -> tuple[ObjectResult, ...]:
    return tuple(
        ObjectResult(
            key=planned.key,
            etag=planned.etag,
            records=intake.records[number],
            stored=rows.stored[number],
            duplicate=rows.duplicates[number],
            quarantined=intake.rejected[number].total(),
        )
        for number, planned in enumerate(task.objects)
    )


def _totals(
    objects: Sequence[ObjectResult], files: Sequence[FileResult], intake: Intake, rows: SortedRows, rejects: Rejects
) -> Counts:
    """The task's counts: records as read, rows as written, lines as set aside. Raises UnbalancedError."""
    return Counts(
        received=sum(intake.records),
        stored=sum(file.rows for file in files),
        duplicate=sum(item.duplicate for item in objects),
        quarantined=rejects.lines,
        by_reason=dict(sorted(sum(intake.rejected, Counter[str]()).items())),
        late=rows.late,
        ignored_fields=rows.ignored_fields,
    ).check()
