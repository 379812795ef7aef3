"""What the manifests of a run must say before it is published: one result a task, by the rules of the plan, about what
was planned; every record of the archive and every row that was read accounted for.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import msgspec

from compaction.errors import CountsDoNotBalance, ResultMissing
from compaction.manifests import FileResult
from compaction.results import results
from compaction.store import Store
from compaction.verification import check_objects, check_own
from optimization.accounting import NOTHING, Account
from optimization.checking import unique
from optimization.manifests import SourceFile
from reprocessing.changes import Changes
from reprocessing.keys import merge_plan_key, merged_key
from reprocessing.manifests import DecodeResult, Plan, total
from reprocessing.merge_manifests import MergeResult, MergeTask, Tally
from reprocessing.request import is_compared
from reprocessing.runs import check_rules, decoded, read_group
from sensors.counts import UnbalancedError

Line = TypeVar("Line")

_REPLACED, _LEFT_OUT, _WRITTEN = "replaced", "left out as duplicates", "written"


class Decoded(NamedTuple):
    """What was decoded: the rows that have to be merged, and what is done with the quarantine once they are published.

    `rejects` are objects that were set aside for the table, each with the one that it becomes, `new_rejects` those with
    what was not set aside already; `resolved` has the keys of drained lines (`DecodeResult.resolved_key`).
    """

    staged: Tally
    rejects: list[tuple[str, str]]
    new_rejects: list[tuple[str, str]]
    resolved: list[str]


class Merged(NamedTuple):
    """What a merge makes of the table: files taken out, files for them, rows taken out and written.

    Groups in which nothing changes keep their files, and count for nothing there. `before` and `after` count the
    readings of the scope, each once; `vanished` those that are gone, by source object.
    """

    sources: list[SourceFile]
    files: list[FileResult]
    replaced: int
    written: int
    before: int
    after: int
    vanished: Counter[str]


class _Made:
    """What the tasks of a group have made of it; `task` is one of them."""

    def __init__(self, task: MergeTask) -> None:
        self.task = task
        self.account = Account()
        self.files: list[FileResult] = []
        self.keeps_files = True

    def enter(self, result: MergeResult) -> None:
        """Take up what a task says."""
        self.account.read(result.sources)
        for where, tally in ((_REPLACED, result.replaced), (_LEFT_OUT, result.duplicates), (_WRITTEN, result.written)):
            self.account.went(where, tally.rows, tally.key_checksum)
        self.files += result.files
        self.keeps_files = self.keeps_files and result.keeps_files


def verify_decoded(store: Store, plan: Plan) -> Decoded:
    """What was decoded, when every task has left a result to be trusted.

    Raises ResultMissing, ResultMismatch, CountsDoNotBalance or RulesChanged, naming task and object.
    """
    rows = checksum = 0
    rejects: list[tuple[str, str]] = []
    new_rejects: list[tuple[str, str]] = []
    resolved: list[str] = []
    for task, result in decoded(store, plan):
        place = f"task {task.task_id} of run {plan.run_id}"
        check_objects(place, task.objects, result.objects)
        _check_counts(place, result)
        for staged in result.files:
            if is_compared(plan.request, to_table=staged.to_table):
                rows += staged.file.rows
                checksum += int(staged.file.key_checksum, 16)
        if task.to_table and result.quarantine_key:
            for key, kept in ((result.rejects_key, rejects), (result.new_rejects_key, new_rejects)):
                if key:
                    kept.append((key, result.quarantine_key))
        if result.resolved_key:
            resolved.append(result.resolved_key)
    return Decoded(Tally(rows, f"{checksum % 2**64:016x}"), rejects, new_rejects, resolved)


def verify_merged(store: Store, plan: Plan, merge_id: str, staged: Tally, *, publishes: bool) -> Merged:
    """What a merge makes of the table, when every task has left a result to be trusted.

    `staged` are the rows that were decoded for the table, all of which have to be merged. Raises ResultMissing,
    ResultMismatch, CountsDoNotBalance or RulesChanged, naming task, group or file.
    """
    run_id = plan.run_id
    made: dict[str, _Made] = {}
    before = after = 0
    vanished: Counter[str] = Counter()
    tasks = _lines(store, merge_plan_key(run_id, merge_id), MergeTask)
    for task, result in results(
        store, f"Merge {merge_id} of run {run_id}", tasks, lambda one: merged_key(run_id, merge_id, one), MergeResult
    ):
        place = f"task {task.task_id} of merge {merge_id} of run {run_id}"
        check_own(place, (result.merge_id, result.task_id), (merge_id, task.task_id))
        check_rules(place, result.rules, plan)
        _check_written(place, result, writes=publishes and not (result.keeps_files and task.has_whole_group))
        _check_changes(place, result.changes)
        made.setdefault(task.group, _Made(task)).enter(result)
        before += result.changes.before
        after += result.changes.after
        vanished.update(result.changes.vanished_by_source)
    groups = {key: read_group(store, made[key].task) for key in made}
    for key, group in groups.items():
        made[key].account.check(key, (*group.old, *group.staged))
    _check_staged(run_id, unique(file for group in groups.values() for file in group.staged), staged)
    unique(file for group in groups.values() for file in group.old)  # or one group would take out what another keeps
    changed = [key for key in groups if not made[key].keeps_files]
    return Merged(
        sources=[file for key in changed for file in groups[key].old],
        files=[file for key in changed for file in made[key].files],
        replaced=sum(made[key].account.rows(_REPLACED) for key in changed),
        written=sum(made[key].account.rows(_WRITTEN) for key in changed),
        before=before,
        after=after,
        vanished=vanished,
    )


def _lines(store: Store, key: str, kind: type[Line]) -> Iterator[Line]:
    lines = store.lines(key)
    if lines is None:
        raise ResultMissing(f"There is no plan {key}, so there is nothing to commit. Start a new run.")
    return map(msgspec.json.Decoder(kind).decode, lines)


def _check_counts(place: str, result: DecodeResult) -> None:
    for item in result.objects:
        if not item.balances:
            raise CountsDoNotBalance(
                f"{place}: {item.key} has {item.records} records, but {item.stored} stored, {item.duplicate} "
                f"duplicate, {item.quarantined} quarantined and {item.outside} outside. {NOTHING}"
            )
    try:
        stored = total(result.objects, result.late, result.ignored_fields).stored
    except UnbalancedError as error:
        raise CountsDoNotBalance(f"{place}: {error}") from None
    rows = sum(staged.file.rows for staged in result.files)
    if rows != stored:
        raise CountsDoNotBalance(f"{place}: {stored} readings are stored, but its files have {rows} rows. {NOTHING}")


def _check_written(place: str, result: MergeResult, *, writes: bool) -> None:
    """The files of a task have what it has written, if it writes any."""
    checksum = sum(int(file.key_checksum, 16) for file in result.files) % 2**64
    held = Tally(sum(file.rows for file in result.files), f"{checksum:016x}")
    if held != (result.written if writes else Tally(0, f"{0:016x}")):
        raise CountsDoNotBalance(
            f"{place} says {result.written.rows} rows are written, its {len(result.files)} files have {held.rows}, or "
            f"other keys. {NOTHING}"
        )


def _check_changes(place: str, changes: Changes) -> None:
    kept = changes.same + changes.changed
    gone = sum(changes.vanished_by_source.values())
    if (changes.before, changes.after, gone) != (kept + changes.vanished, kept + changes.added, changes.vanished):
        raise CountsDoNotBalance(
            f"{place}: of {changes.before} readings before and {changes.after} after, {changes.same} are the same, "
            f"{changes.changed} changed, {changes.added} added and {changes.vanished} vanished, {gone} of them with "
            f"their objects. {NOTHING}"
        )


def _check_staged(run_id: str, files: list[SourceFile], decoded_rows: Tally) -> None:
    checksum = sum(int(file.key_checksum or "0", 16) for file in files) % 2**64
    merged = Tally(sum(file.rows for file in files), f"{checksum:016x}")
    if merged != decoded_rows:
        raise CountsDoNotBalance(
            f"Run {run_id} has decoded {decoded_rows.rows} rows for the table, merged were {merged.rows}, or others. "
            f"{NOTHING}"
        )
