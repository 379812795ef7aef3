"""Planning a run of `optimize`: the files that are rewritten, in groups and tasks, written down as `plan.jsonl`."""

import tempfile
from collections.abc import Iterator, Sized
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, Final, cast

import msgspec
from pyiceberg.table import Table

from compaction.lake_table import LakeTable
from compaction.store import Store
from optimization.choosing import Chosen, parts
from optimization.keeping import metrics_of
from optimization.looking import samples, source
from optimization.manifests import Group, RewriteTask, group_key, plan_key
from optimization.splitting import SAMPLED_ROW_GROUPS, split
from optimization.surveying import Surveyed, survey

_LISTED: Final = 100  # lines of a dry run's answer, some 15 KB
_SPOOL_BYTES: Final = 8 * 1024 * 1024  # a plan of about 50,000 tasks stays in memory, a larger one goes to /tmp
_SIZE: Final = "size"  # metadata of the plan


class Size(msgspec.Struct, frozen=True):
    """How large a plan is; `skipped_files` were looked at and cannot be rewritten."""

    tasks: int = 0
    groups: int = 0
    files: int = 0
    rows: int = 0
    bytes: int = 0
    skipped_files: int = 0

    def plus(self, chosen: Chosen, tasks: int) -> "Size":
        """The size with one more group, of this many tasks."""
        return Size(
            tasks=self.tasks + tasks,
            groups=self.groups + 1,
            files=self.files + len(chosen.files),
            rows=self.rows + sum(placed.file.rows for placed in chosen.files),
            bytes=self.bytes + chosen.bytes,
            skipped_files=self.skipped_files,
        )

    def skipping(self, files: Sized) -> "Size":
        """The size with more files that cannot be rewritten."""
        return msgspec.structs.replace(self, skipped_files=self.skipped_files + len(files))


class Planner(msgspec.Struct, frozen=True):
    """The table, where the run's manifests go, and the target size of a file."""

    table: LakeTable
    store: Store
    file_bytes: int

    def plan(self, run_id: str, start: datetime | None, end: datetime | None) -> dict[str, Any]:
        """Write the run's plan, unless it has one, and answer its size and place.

        Looked at are all partitions of `measured_at` that have any time between `start` and `end`; None is no bound. A
        run keeps its first plan. A plan without a task is not written.
        """
        size = self._planned(run_id)
        if size is None:
            table = self.table.find()
            size = Size() if table is None else self._write(run_id, table, start, end)
        return {
            "run_id": run_id,
            **msgspec.structs.asdict(size),
            "plan": {"bucket": self.store.bucket, "key": plan_key(run_id)},
        }

    def dry_run(self, start: datetime | None, end: datetime | None) -> dict[str, Any]:
        """The size of the plan that a run would get, and `partitions`: what would be rewritten or left alone, and why.

        Partitions are as many as fit an answer, the oldest first.
        """
        size = Size()
        listed: list[dict[str, Any]] = []
        table = self.table.find()
        for surveyed in self._survey(table, start, end) if table else ():
            size = size.skipping(surveyed.left_alone)
            for chosen in surveyed.groups:
                size = size.plus(chosen, parts(chosen.bytes, self.file_bytes))
            listed += islice(surveyed.lines(), _LISTED - len(listed))
        return {**msgspec.structs.asdict(size), "partitions": listed}

    def _planned(self, run_id: str) -> Size | None:
        metadata = self.store.metadata(plan_key(run_id))
        return None if metadata is None else msgspec.json.decode(metadata[_SIZE], type=Size)

    def _write(self, run_id: str, table: Table, start: datetime | None, end: datetime | None) -> Size:
        encode = msgspec.json.Encoder().encode
        size = Size()
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as lines:
            for surveyed in self._survey(table, start, end):
                size = size.skipping(surveyed.left_alone)
                for chosen in surveyed.groups:
                    tasks = self._tasks(run_id, size.groups, table, surveyed.partition, chosen)
                    lines.writelines(encode(task) + b"\n" for task in tasks)
                    size = size.plus(chosen, len(tasks))
            if not size.tasks:
                return size
            lines.seek(0)
            self.store.write_once(plan_key(run_id), cast(BinaryIO, lines), {_SIZE: encode(size).decode()})
        return self._planned(run_id) or size  # that of whoever was first

    def _survey(self, table: Table, start: datetime | None, end: datetime | None) -> Iterator[Surveyed]:
        return survey(table, self._location, start, end, self.file_bytes)

    def _tasks(self, run_id: str, number: int, table: Table, partition: str, chosen: Chosen) -> list[RewriteTask]:
        """Write a group, and answer its tasks."""
        files = tuple(source(placed, self._location) for placed in chosen.files)
        key = group_key(run_id, table.metadata.current_snapshot_id or 0, number)
        self.store.write(key, msgspec.json.encode(Group(partition, files, metrics_of(table))))
        count = parts(chosen.bytes, self.file_bytes)
        in_order = sorted(files, key=lambda file: (file.first, file.key))
        wanted = count * SAMPLED_ROW_GROUPS if count > 1 else 0
        ranges = enumerate(split(samples(table.io, self._location, in_order, wanted), count))
        return [RewriteTask(f"{number:05}-{part:03}", key, start, end) for part, (start, end) in ranges]

    @property
    def _location(self) -> str:
        return f"s3://{self.store.bucket}/"
