"""The rows of a task between decoder and files: sorted, and counted by the object that they are from."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from compaction.manifests import FileResult
from compaction.parquet import Files
from compaction.spill import SortedRuns


class SortedRows:
    """Takes rows (see `columns.rows_schema`) in the order in which they were received, and writes those that stay.

    `stored` and `duplicates` are rows by source. `late` and `ignored_fields` are about what is stored.
    """

    def __init__(self, folder: Path, partition_ms: int) -> None:
        self.stored = Counter[int]()
        self.duplicates = Counter[int]()
        self.late = 0
        self.ignored_fields = 0
        self._runs = SortedRuns(folder, partition_ms, lambda rows: self.duplicates.update(by_source(rows)))
        self.add = self._runs.add

    def write(self, files: Files) -> tuple[FileResult, ...]:
        """Write all rows, once all are there; the manifest lines of the files."""
        for rows in self._runs.drain():
            self.stored.update(by_source(rows))
            self.late += pc.sum(rows["_late"], min_count=0).as_py()
            self.ignored_fields += pc.sum(rows["_ignored_fields"], min_count=0).as_py()
            files.add(rows)
        return files.finish()


def by_source(rows: pa.Table | pa.RecordBatch) -> dict[int, int]:
    """How many of the rows each source has."""
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(rows["_source"]).to_pylist()}
