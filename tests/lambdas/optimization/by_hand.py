"""A run of `optimize` that a test plans itself: which files, in which groups, cut where."""

import io
from collections.abc import Sequence
from itertools import groupby, pairwise

import msgspec
import pyarrow.parquet as pq
from pyiceberg.types import DoubleType

from compaction.manifests import KEYS_METADATA
from optimization.manifests import (
    Group,
    Key,
    RewriteResult,
    RewriteTask,
    Rewritten,
    SourceFile,
    group_key,
    plan_key,
)
from optimization.replacing import Replacer
from optimization.rewriting import Rewriter
from tests.lake import ORPHAN_DAYS, Lake

FILE_BYTES = 128_000_000


def live_files(lake: Lake) -> list[str]:
    """Keys of the table's data files, by partition, in the order in which they were committed."""
    table = lake.table()
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io) if snapshot else []
    entries = [entry for manifest in manifests for entry in manifest.fetch_manifest_entry(table.io)]
    entries.sort(key=lambda entry: (entry.sequence_number, entry.data_file.file_path))
    return sorted((entry.data_file.file_path.split("/", 3)[3] for entry in entries), key=_partition)


def source(lake: Lake, key: str) -> SourceFile:
    """A data file as a plan has it."""
    body = lake.store.read(key) or b""
    metadata = pq.read_metadata(io.BytesIO(body))
    checksum = (metadata.metadata or {}).get(KEYS_METADATA.encode())
    return SourceFile(key, metadata.num_rows, len(body), checksum.decode() if checksum else None)


def plan(lake: Lake, run_id: str, cuts: Sequence[Key] = (), files: Sequence[str] | None = None) -> list[RewriteTask]:
    """Write a plan over these files, or all of the table: a group a partition, cut at the same keys."""
    metrics = tuple(field.name for field in lake.table().schema().fields if isinstance(field.field_type, DoubleType))
    tasks = []
    for number, (partition, keys) in enumerate(groupby(live_files(lake) if files is None else files, key=_partition)):
        group = Group(partition, tuple(source(lake, key) for key in keys), metrics)
        lake.store.write(group_key(run_id, 1, number), msgspec.json.encode(group))
        for part, (start, end) in enumerate(pairwise([None, *cuts, None])):
            tasks.append(RewriteTask(f"{number:05}-{part:03}", group_key(run_id, 1, number), start, end))
    lines = b"".join(msgspec.json.encode(task) + b"\n" for task in tasks)
    lake.store.write_once(plan_key(run_id), lines, {})
    return tasks


def tasks(lake: Lake, run_id: str) -> list[RewriteTask]:
    """The tasks of a planned run."""
    return [msgspec.json.decode(line, type=RewriteTask) for line in lake.store.lines(plan_key(run_id)) or ()]


def rewriter(lake: Lake, file_bytes: int = FILE_BYTES) -> Rewriter:
    return Rewriter(lake.s3, lake.processed, lake.partition_by, file_bytes)


def write(lake: Lake, run_id: str) -> list[RewriteResult]:
    """What `rewrite_parquet` does for each task."""
    return [rewriter(lake).rewrite(run_id, task) for task in tasks(lake, run_id)]


def commit(lake: Lake, run_id: str) -> Rewritten:
    """What `commit_rewrite` does."""
    return Replacer(lake.store, lake.lake_table(), ORPHAN_DAYS, lake.now(), sleep=lambda _: None).replace(run_id)


def optimize(lake: Lake, run_id: str, cuts: Sequence[Key] = ()) -> Rewritten:
    """A run over the whole table, from its plan to its commit."""
    plan(lake, run_id, cuts)
    write(lake, run_id)
    return commit(lake, run_id)


def _partition(key: str) -> str:
    return key.split("/")[-2]
