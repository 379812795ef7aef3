"""What the manifests of a run must say before anything is replaced: one result a task, and every row accounted for.

Rows and keys are compared file by file with what was planned, and group by group with what was written. A key that was
lost and another that came twice would leave the counts right; the sums of the keys' hashes (`compaction.checksum`) not.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from compaction.ahead import ahead
from compaction.errors import CountsDoNotBalance, ResultMismatch, ResultMissing
from compaction.manifests import FileResult
from compaction.store import Store
from optimization.manifests import Group, RewriteResult, RewriteTask, SourceFile, result_key

_NOTHING = "Nothing is published; keep the run's manifests and report this."


class Replacement(NamedTuple):
    """Data files of the table, those that take their place, and how many rows are left out as duplicates."""

    sources: list[SourceFile]
    files: list[FileResult]
    duplicates: int


def verify_results(store: Store, run_id: str, plan: Iterable[RewriteTask]) -> Replacement:
    """What the run replaces, when every task has left a result to be trusted.

    Raises ResultMissing, ResultMismatch or CountsDoNotBalance, naming task, group or file.
    """
    groups: dict[str, _Sums] = {}
    missing: list[str] = []
    for task, body in ahead(lambda task: store.read(result_key(run_id, task.task_id)), plan):
        sums = groups.setdefault(task.group, _Sums())
        if body is None:
            missing.append(task.task_id)
            continue
        result = msgspec.json.decode(body, type=RewriteResult)
        if (result.run_id, result.task_id) != (run_id, task.task_id):
            raise ResultMismatch(
                f"The result of task {task.task_id} of run {run_id} is another task's. Start a new run."
            )
        sums.add(result)
    if missing:
        raise ResultMissing(
            f"Run {run_id} has no result of {len(missing)} of its tasks, the first is task {missing[0]}. "
            "Redrive the execution or start a new run."
        )
    sources = [file for key, sums in groups.items() for file in _checked(store, key, sums)]
    if twice := [key for key, count in Counter(file.key for file in sources).items() if count > 1]:
        raise ResultMismatch(f"{twice[0]} is planned twice. Nothing is published; start a new run.")
    files = [file for sums in groups.values() for file in sums.files]
    return Replacement(sources, files, sum(sums.duplicates for sums in groups.values()))


class _Sums:
    """What all tasks of a group have read and written."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self.files: list[FileResult] = []
        self.duplicates = 0
        self.duplicate_keys = 0

    def add(self, result: RewriteResult) -> None:
        for source in result.sources:
            self.rows[source.key] += source.rows
            self.keys[source.key] += int(source.key_checksum, 16)
        self.files += result.files
        self.duplicates += result.duplicates
        self.duplicate_keys += int(result.duplicates_checksum, 16)


def _checked(store: Store, key: str, sums: _Sums) -> tuple[SourceFile, ...]:
    """The files of a group, each read as it was planned, and all rows of them written or left out."""
    body = store.read(key)
    if body is None:
        raise ResultMissing(f"The group {key} of the plan is gone. Start a new run.")
    files = msgspec.json.decode(body, type=Group).files
    for file in files:
        _check_source(file, sums)
    if strange := sorted(sums.rows.keys() - {file.key for file in files}):
        raise ResultMismatch(f"{strange[0]} was read for the group {key}, which does not have it. {_NOTHING}")
    written = sum(file.rows for file in sums.files)
    if sums.rows.total() != written + sums.duplicates:
        raise CountsDoNotBalance(
            f"Group {key}: {sums.rows.total()} rows were read, but {written} written and {sums.duplicates} left out as "
            f"duplicates. {_NOTHING}"
        )
    keys = sum(int(file.key_checksum, 16) for file in sums.files) + sums.duplicate_keys
    if (sums.keys.total() - keys) % 2**64:
        raise CountsDoNotBalance(
            f"Group {key}: the keys written and left out are not the keys that were read. {_NOTHING}"
        )
    return files


def _check_source(file: SourceFile, sums: _Sums) -> None:
    rows, keys = sums.rows[file.key], f"{sums.keys[file.key] % 2**64:016x}"
    if rows != file.rows:
        raise CountsDoNotBalance(f"{file.key} has {file.rows} rows, but {rows} were read of it. {_NOTHING}")
    if file.key_checksum not in (None, keys):
        raise CountsDoNotBalance(
            f"{file.key} has the key checksum {file.key_checksum} in its footer, its rows as read {keys}. {_NOTHING}"
        )
