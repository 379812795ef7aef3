"""What must hold before a run is published: one result a task, about the planned objects, with counts that balance,
and an archive that is still as it was planned.

Plan, results and archive are read side by side; only the files are kept, which are the lines of the commit.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec

from compaction.ahead import ahead
from compaction.errors import CountsDoNotBalance, ObjectChanged, ObjectMissing, ResultMismatch, ResultMissing
from compaction.joining import beside
from compaction.manifests import FileResult, PlannedObject, Report, Task, TaskResult, result_key
from compaction.store import Store
from sensors.counts import Counts, UnbalancedError


def verify_results(store: Store, run_id: str, plan: Iterable[Task]) -> tuple[Report, list[FileResult]]:
    """The sums over all tasks, not yet committed, and their files, when every task has left a result to be trusted.

    Raises ResultMissing, ResultMismatch or CountsDoNotBalance, naming task and object.
    """
    tasks = objects = archive_bytes = 0
    counts = Counts()
    files: list[FileResult] = []
    missing: list[str] = []
    for task, body in ahead(lambda task: store.read(result_key(run_id, task.task_id)), plan):
        tasks += 1
        if body is None:
            missing.append(task.task_id)
            continue
        result = msgspec.json.decode(body, type=TaskResult)
        _check_objects(run_id, task, result)
        _check_counts(result)
        objects += len(task.objects)
        archive_bytes += task.bytes
        counts += result.counts
        files += result.files
    if missing:
        raise ResultMissing(
            f"Run {run_id} has no result of {len(missing)} of its {tasks} tasks, the first is task {missing[0]}. "
            "Start a new run."
        )
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


def _check_objects(run_id: str, task: Task, result: TaskResult) -> None:
    planned = Counter((item.key, item.etag) for item in task.objects)
    reported = Counter((item.key, item.etag) for item in result.objects)
    if (result.run_id, result.task_id, reported) == (run_id, task.task_id, planned):
        return
    key, etag = next(iter([*(planned - reported), *(reported - planned)]), ("", ""))
    raise ResultMismatch(
        f"The result of task {task.task_id} of run {run_id} is not about the planned objects: "
        f"{key or 'another task'} {etag}. Start a new run."
    )


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
