"""What the manifests of a run must say before anything is replaced: one result a task, and every row accounted for.

Rows and keys are compared file by file with what was planned, and group by group with what was written.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from compaction.errors import ResultMismatch, ResultMissing
from compaction.manifests import FileResult
from compaction.results import results
from compaction.store import Store
from compaction.verification import check_own
from optimization.accounting import Account
from optimization.manifests import Group, RewriteResult, RewriteTask, SourceFile, result_key

_WRITTEN, _LEFT_OUT = "written", "left out as duplicates"


class Replacement(NamedTuple):
    """Data files of the table, those that take their place, and how many rows are left out as duplicates."""

    sources: list[SourceFile]
    files: list[FileResult]
    duplicates: int


def verify_results(store: Store, run_id: str, plan: Iterable[RewriteTask]) -> Replacement:
    """What the run replaces, when every task has left a result to be trusted.

    Raises ResultMissing, ResultMismatch or CountsDoNotBalance, naming task, group or file.
    """
    accounts: dict[str, Account] = {}
    files: list[FileResult] = []
    for task, result in results(
        store, f"Run {run_id}", plan, lambda task_id: result_key(run_id, task_id), RewriteResult
    ):
        place = f"task {task.task_id} of run {run_id}"
        check_own(place, (result.run_id, result.task_id), (run_id, task.task_id))
        account = accounts.setdefault(task.group, Account())
        account.read(result.sources)
        for file in result.files:
            account.went(_WRITTEN, file.rows, file.key_checksum)
        account.went(_LEFT_OUT, result.duplicates, result.duplicates_checksum)
        files += result.files
    sources = unique(file for key, account in accounts.items() for file in _checked(store, key, account))
    return Replacement(sources, files, sum(account.rows(_LEFT_OUT) for account in accounts.values()))


def unique(sources: Iterable[SourceFile]) -> list[SourceFile]:
    """The files of a plan. Raises ResultMismatch when it has one of them twice."""
    found: dict[str, SourceFile] = {}
    for file in sources:
        if found.setdefault(file.key, file) is not file:
            raise ResultMismatch(f"{file.key} is planned twice. Nothing is published; start a new run.")
    return list(found.values())


def _checked(store: Store, key: str, account: Account) -> tuple[SourceFile, ...]:
    """The files of a group, each read as it was planned, and all rows of them written or left out."""
    body = store.read(key)
    if body is None:
        raise ResultMissing(f"The group {key} of the plan is gone. Start a new run.")
    files = msgspec.json.decode(body, type=Group).files
    account.check(key, files)
    return files
