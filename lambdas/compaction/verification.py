"""What must hold before a run is published: one result a task, about the planned objects, with counts that balance,
and an archive that is still as it was planned.

Plan, results and archive are read side by side; only the files are kept, which are the lines of the commit.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol

from compaction.errors import CountsDoNotBalance, ObjectChanged, ObjectMissing, ResultMismatch
from compaction.joining import beside
from compaction.manifests import FileResult, PlannedObject, Report, Task, TaskResult, result_key
from compaction.results import results
from compaction.store import Store
from sensors.counts import Counts, UnbalancedError


class Tagged(Protocol):
    """An object by key and entity tag."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def etag(self) -> str:
        """Its entity tag."""


def verify_results(store: Store, run_id: str, plan: Iterable[Task]) -> tuple[Report, list[FileResult]]:
    """The sums over all tasks, not yet committed, and their files, when every task has left a result to be trusted.

    Raises ResultMissing, ResultMismatch or CountsDoNotBalance, naming task and object.
    """
    tasks = objects = archive_bytes = 0
    counts = Counts()
    files: list[FileResult] = []
    for task, result in results(store, f"Run {run_id}", plan, lambda task_id: result_key(run_id, task_id), TaskResult):
        tasks += 1
        place = f"task {task.task_id} of run {run_id}"
        check_own(place, (result.run_id, result.task_id), (run_id, task.task_id))
        check_objects(place, task.objects, result.objects)
        _check_counts(result)
        objects += len(task.objects)
        archive_bytes += task.bytes
        counts += result.counts
        files += result.files
    return _report(run_id, tasks, objects, archive_bytes, counts, files), files


def verify_archive(
    planned: Iterable[PlannedObject], archive_from: Callable[[datetime], Iterator[PlannedObject]]
) -> None:
    """Check that each planned object, given in order of key, is planned once and still what was planned.

    Raises ObjectMissing, ObjectChanged or ResultMismatch, naming the object.
    """
    before = ""
    for expected, found in beside(planned, archive_from):
        if expected.key <= before:
            raise ResultMismatch(f"{expected.key} is planned twice. Nothing is published; start a new run.")
        before = expected.key
        if found is None:
            raise ObjectMissing(f"{expected.key} was planned but is gone. A new run plans what is there now.")
        if found != expected:
            raise ObjectChanged(
                f"{expected.key} is not the object that was planned: it has {found.bytes} bytes and the entity tag "
                f"{found.etag}, planned were {expected.bytes} and {expected.etag}. The archive is never edited: find "
                "out what wrote it, then start a new run."
            )


def _report(
    run_id: str, tasks: int, objects: int, archive_bytes: int, counts: Counts, files: list[FileResult]
) -> Report:
    try:
        counts.check()
    except UnbalancedError as error:
        raise CountsDoNotBalance(f"Run {run_id}: {error}") from None
    return Report(
        run_id=run_id,
        committed=False,
        tasks=tasks,
        objects=objects,
        archive_bytes=archive_bytes,
        records=counts.received,
        stored=counts.stored,
        duplicate=counts.duplicate,
        quarantined=counts.quarantined,
        quarantined_by_reason=dict(sorted(counts.by_reason.items())),
        late=counts.late,
        ignored_fields=counts.ignored_fields,
        files=len(files),
        bytes=sum(file.bytes for file in files),
        snapshot_id=None,
    )


def check_objects(place: str, planned: Iterable[Tagged], reported: Iterable[Tagged]) -> None:
    """Raise ResultMismatch unless the result of `place` is about the planned objects, each as it was planned."""
    wanted = Counter((item.key, item.etag) for item in planned)
    found = Counter((item.key, item.etag) for item in reported)
    if wanted != found:
        key, etag = next(iter([*(wanted - found), *(found - wanted)]))
        raise ResultMismatch(f"The result of {place} is not about the planned objects: {key} {etag}. Start a new run.")


def check_own(place: str, result: tuple[str, str], task: tuple[str, str]) -> None:
    """Raise ResultMismatch unless a result names the run, or merge, and the task at whose key it is."""
    if result != task:
        raise ResultMismatch(f"The result of {place} is another task's. Start a new run.")


def _check_counts(result: TaskResult) -> None:
    place = f"Task {result.task_id} of run {result.run_id}"
    for item in result.objects:
        if not item.balances:
            raise CountsDoNotBalance(
                f"{place}: {item.key} has {item.records} records, but {item.stored} stored, {item.duplicate} duplicate "
                f"and {item.quarantined} quarantined. Nothing is published; keep the run's manifests and report this."
            )
    try:
        counts = result.counts.check()
    except UnbalancedError as error:
        raise CountsDoNotBalance(f"{place}: {error}") from None
    sums = {
        "received": sum(item.records for item in result.objects),
        "stored": sum(item.stored for item in result.objects),
        "duplicate": sum(item.duplicate for item in result.objects),
        "quarantined": sum(item.quarantined for item in result.objects),
        "rows": sum(file.rows for file in result.files),
    }
    expected = (counts.received, counts.stored, counts.duplicate, counts.quarantined, counts.stored)
    if tuple(sums.values()) != expected:
        raise CountsDoNotBalance(f"{place}: objects and files sum up to {sums}, the task's counts are {counts}.")
