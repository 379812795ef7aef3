"""One task of a merge: the rows of a range of keys, from the table and as they were decoded, in; new data files out.

Everything written has a name that follows from run, merge, task and partition, and bytes that follow from the files
read, so a task that runs again, after a crash or twice at once, writes the same again. Nothing is visible in the table
yet, and nothing but the result is written at all where the run does not write to the table, or has nothing to change in
a whole group of its files.

Memory does not grow with the input: of each file what has rows of the range is copied to the function's disk, and rows
are sorted there, those from before and those that come out each on their own.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from compaction.arrange import PARTITION_MS, PartitionBy
from compaction.parquet import Files, Format, Publish
from compaction.scratch import scratch_folder
from compaction.spill import ALL_TIMES_MS, SortedRuns, side_by_side
from compaction.store import Store
from optimization.manifests import SourceResult
from optimization.ranges import KeyRange
from optimization.reading import Copy, copies, rows, rows_schema
from optimization.rewriting import MOST_OF_TARGET
from optimization.rewriting import Tally as Count
from reprocessing.keys import merged_key
from reprocessing.merge.comparing import Comparison
from reprocessing.merge_manifests import MergeGroup, MergeResult, MergeTask, Tally
from reprocessing.request import Request, Scope, publishes
from reprocessing.runs import plan_by, read_group
from reprocessing.scope import mask
from sensors.rules import rules
from sensors.settings import Metric


class Merger(msgspec.Struct, frozen=True):
    """Where files are, what the settings ask of new ones, and what tells today's rules (`fingerprint`).

    `file_bytes` is the size that files should have, `metrics` are the declared ones with their thresholds.
    """

    s3: Any
    bucket: str
    partition_by: PartitionBy
    file_bytes: int
    rules: str
    metrics: Mapping[str, Metric]
    bloom_filter: bool = False

    def merge(self, run_id: str, merge_id: str, task: MergeTask) -> MergeResult:
        """Do the task, unless it is done; the result is written last, when everything it names is there.

        Raises ResultMissing when the plan or the group is gone, RulesChanged when the run was planned by other rules,
        FileMismatch for a file that is not as planned, FileNotRewritable for one that would lose something, DiskFull
        for a task that is too large.
        """
        store = Store(self.s3, self.bucket)
        request = plan_by(store, run_id, self.rules).request
        key = merged_key(run_id, merge_id, task.task_id)
        done = self._done(store, key)
        if done is not None:
            return done
        group = read_group(store, task)
        comparison = self._comparison(group, request)
        with scratch_folder("lower compaction.file_mb") as folder:
            merge = Merge(group, request.scope, KeyRange(task.start, task.end), self.partition_by, folder)
            inputs = copies(self.s3, self.bucket, (*group.old, *group.staged), merge.keys, folder)
            sources = [merge.take(copy) for copy in inputs]
            finished = _Finished(folder)
            files = None
            if publishes(request):
                files = self._files(group, f"{run_id}-{merge_id}-{task.task_id}-reprocessed", folder, finished.hold)
            for before, after in merge.compared(files):
                comparison.add(before, after)
            written = files.finish() if files else ()
            if merge.keeps_files and task.has_whole_group:
                written = ()
            else:  # another task of the group may have a change, and all their files are published then
                finished.publish(store)
        result = MergeResult(
            merge_id=merge_id,
            task_id=task.task_id,
            rules=self.rules,
            sources=tuple(source for source in sources if source.rows),
            replaced=_tally(merge.replaced),
            duplicates=_tally(merge.duplicates),
            written=_tally(merge.written),
            files=written,
            changes=comparison.finish(merge.repeated.rows),
            keeps_files=merge.keeps_files,
        )
        store.write(key, msgspec.json.encode(result))
        return result

    def _done(self, store: Store, key: str) -> MergeResult | None:
        body = store.read(key)
        result = None if body is None else msgspec.json.decode(body, type=MergeResult)
        return result if result is not None and result.rules == self.rules else None

    def _comparison(self, group: MergeGroup, request: Request) -> Comparison:
        """By the thresholds of the settings, and by those with what a back-test gives in their place."""
        if request.rules is None:
            return Comparison(group.metrics, rules(self.metrics))
        units = {name: metric.unit for name, metric in self.metrics.items()}
        given = {name: Metric(units.get(name, ""), thresholds) for name, thresholds in request.rules.items()}
        return Comparison(group.metrics, rules(self.metrics), rules({**self.metrics, **given}))

    def _files(self, group: MergeGroup, name: str, folder: Path, publish: Publish) -> Files:
        file_bytes = int(self.file_bytes * MOST_OF_TARGET)
        layout = Format(group.metrics, self.partition_by, file_bytes, self.bloom_filter)
        return Files(layout, name, folder, publish)


class _Finished:
    """New files that wait on the disk until it is known whether the table needs them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[tuple[str, Path]] = []

    def hold(self, key: str, path: Path) -> None:
        """Keep a file; the next one may take its path."""
        self._held.append((key, path.rename(self._folder / f"finished-{len(self._held)}.parquet")))

    def publish(self, store: Store) -> None:
        """Write all of them where the table's files are."""
        for key, path in self._held:
            store.write_file(key, path)


class Merge:
    """The rows of a task: what it reads of them, and what becomes of each."""

    def __init__(
        self, group: MergeGroup, scope: Scope, keys: KeyRange, partition_by: PartitionBy, folder: Path
    ) -> None:
        self.keys = keys
        self.replaced, self.duplicates, self.written, self.repeated = Count(), Count(), Count(), Count()
        self._scope = scope
        self._replaces = group.replaces
        self._schema = rows_schema(group.metrics)
        self._old = {file.key for file in group.old}
        self._kept = pa.array(group.kept_sources, pa.string())
        self._folder = folder
        self._is_one_partition = group.partition.startswith(f"measured_at_{partition_by}=")
        self._before = SortedRuns(_made(folder / "before"), ALL_TIMES_MS, self.repeated.add)
        self._out = SortedRuns(_made(folder / "out"), PARTITION_MS[partition_by], self.duplicates.add)
        self._rows_before = 0
        self._differs = False

    @property
    def keeps_files(self) -> bool:
        """Whether the table's files can stay: what has come out is what they had, in every column of every row.

        Known once all was compared. Rows outside the scope come out as they are: none of them was a duplicate if there
        are as many rows as before. Files that drained lines join give way though nothing differs: the run marks these
        lines as resolved, and its snapshot is what an earlier run's undo sees that would take their readings away.
        """
        return self._replaces and not self._differs and self.written.rows == self._rows_before

    def take(self, copy: Copy) -> SourceResult:
        """Take up the rows of a file."""
        taken = Count()
        is_old = copy.file.key in self._old
        for batch in rows(copy, self.keys, self._schema):
            taken.add(batch)
            _add(self._out, self._kept_of(batch) if is_old else batch)
        copy.path.unlink()
        self._rows_before += taken.rows if is_old else 0
        return SourceResult(copy.file.key, taken.rows, taken.key_checksum)

    def compared(self, files: Files | None) -> Iterator[tuple[pa.Table, pa.Table]]:
        """The readings of the scope as they were and as they come out, cut at the same keys, in order of key.

        On the way everything that comes out goes to the files.
        """
        after = self._come_out(files)
        if not self._is_one_partition:  # then they come partition by partition, not device by device
            after = self._by_device(after)
        before = (rows for piece in self._before.drain() for rows in piece.to_batches())
        nothing = self._schema.empty_table()
        for pieces in side_by_side([before, after], ALL_TIMES_MS):
            was, becomes = (nothing if piece is None else piece for piece in pieces)
            self._differs = self._differs or not was.equals(becomes)
            yield was, becomes

    def _kept_of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of the table that stay; those of the scope are what was before, whether they stay or not."""
        of_scope = mask(self._scope, batch)
        _add(self._before, batch.filter(of_scope))
        if not self._replaces:
            return batch
        replaced = pc.and_not(of_scope, pc.is_in(batch["source_object"], self._kept))
        self.replaced.add(batch.filter(replaced))
        return batch.filter(pc.invert(replaced))

    def _come_out(self, files: Files | None) -> Iterator[pa.RecordBatch]:
        for piece in self._out.drain():
            self.written.add(piece)
            if files:
                files.add(piece)
            for batch in piece.to_batches():
                yield batch.filter(mask(self._scope, batch))

    def _by_device(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        runs = SortedRuns(_made(self._folder / "after"), ALL_TIMES_MS, lambda _: None)  # each key comes out once
        for batch in batches:
            _add(runs, batch)
        return (rows for piece in runs.drain() for rows in piece.to_batches())


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _add(runs: SortedRuns, batch: pa.RecordBatch) -> None:
    if batch.num_rows:
        runs.add(batch)


def _tally(count: Count) -> Tally:
    return Tally(count.rows, count.key_checksum)
