"""One task of a run: rows of a group's files in, new data files and a result manifest out.

Everything written has a name that follows from run, task and partition, and bytes that follow from the files read, so a
task that runs again, after a crash or twice at once, writes the same again. Nothing is visible in the table yet.

Memory does not grow with the input: files are copied to the function's disk, and rows sorted there.
"""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from compaction import checksum
from compaction.arrange import PARTITION_MS, PartitionBy
from compaction.errors import ResultMissing
from compaction.parquet import Files, Format
from compaction.scratch import scratch_folder
from compaction.spill import SortedRuns
from compaction.store import Store
from optimization.manifests import Group, RewriteResult, RewriteTask, SourceResult, result_key
from optimization.ranges import KeyRange
from optimization.reading import copies, rows, rows_schema

MOST_OF_TARGET = 1.8
"""In one file: a task is about one file, and what it has above the target size is no file of its own."""


class Rewriter(msgspec.Struct, frozen=True):
    """Where the table's files are, and what the settings ask of new ones; `file_bytes` is the size they should have."""

    s3: Any
    bucket: str
    partition_by: PartitionBy
    file_bytes: int
    bloom_filter: bool = False

    def rewrite(self, run_id: str, task: RewriteTask) -> RewriteResult:
        """Do the task; the result manifest is written last, when everything it names is there.

        Raises ResultMissing when the plan's group is gone, FileMismatch for a file that is not as planned,
        FileNotRewritable for one that would lose something, DiskFull for a task that is too large.
        """
        store = Store(self.s3, self.bucket)
        group, keys = _group(store, task), KeyRange(task.start, task.end)
        schema = rows_schema(group.metrics)
        sources, duplicates = [], Tally()
        with scratch_folder("lower compaction.file_mb") as folder:
            runs = SortedRuns(folder, PARTITION_MS[self.partition_by], duplicates.add)
            for copy in copies(self.s3, self.bucket, group.files, keys, folder):
                taken = Tally()
                for batch in rows(copy, keys, schema):
                    taken.add(batch)
                    runs.add(batch)
                copy.path.unlink()
                sources.append(SourceResult(copy.file.key, taken.rows, taken.key_checksum))
            files = self._files(store, group, f"{run_id}-{task.task_id}-rewritten", folder)
            for piece in runs.drain():
                files.add(piece)
            written = files.finish()
        held = tuple(source for source in sources if source.rows)
        result = RewriteResult(run_id, task.task_id, held, written, duplicates.rows, duplicates.key_checksum)
        store.write(result_key(run_id, task.task_id), msgspec.json.encode(result))
        return result

    def _files(self, store: Store, group: Group, name: str, folder: Path) -> Files:
        file_bytes = int(self.file_bytes * MOST_OF_TARGET)
        layout = Format(group.metrics, self.partition_by, file_bytes, self.bloom_filter)
        return Files(layout, name, folder, store.write_file)


class Tally:
    """Counts rows, and sums up their keys."""

    def __init__(self) -> None:
        self.rows = 0
        self._checksum = 0

    def add(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Count some rows; their times are in milliseconds."""
        self.rows += rows.num_rows
        devices, measured_at = (pa.chunked_array(rows[name]).combine_chunks() for name in ("device_id", "measured_at"))
        self._checksum = (self._checksum + checksum.of_keys(devices.dictionary_encode(), measured_at)) % 2**64

    @property
    def key_checksum(self) -> str:
        """The sum of the keys' hashes as manifests and footers have it."""
        return f"{self._checksum:016x}"


def _group(store: Store, task: RewriteTask) -> Group:
    body = store.read(task.group)
    if body is None:
        raise ResultMissing(f"Task {task.task_id} is of the group {task.group}, which is gone. Start a new run.")
    return msgspec.json.decode(body, type=Group)
