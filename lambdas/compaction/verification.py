"""What must hold before a run is published: one result a task, about the planned objects, with counts that balance."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from compaction.errors import CountsDoNotBalance, ResultMismatch, ResultMissing
from compaction.manifests import Report, Task, TaskResult, result_key
from compaction.store import Store
from sensors.counts import Counts, UnbalancedError

_READERS = 16


def read_results(store: Store, run_id: str, plan: Sequence[Task]) -> list[TaskResult]:
    """The result of each task of the plan, each about exactly the planned objects, each balanced.

    Raises ResultMissing, ResultMismatch or CountsDoNotBalance, naming task and object.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        bodies = list(pool.map(lambda task: store.read(result_key(run_id, task.task_id)), plan))
    if missing := [task.task_id for task, body in zip(plan, bodies, strict=True) if body is None]:
        raise ResultMissing(
            f"Run {run_id} has no result of {len(missing)} of its {len(plan)} tasks, the first is task {missing[0]}. "
            "Redrive the execution or start a new run."
        )
    results = [msgspec.json.decode(body, type=TaskResult) for body in bodies if body is not None]
    for task, result in zip(plan, results, strict=True):
        _check_objects(run_id, task, result)
        _check_counts(result)
    return results


def report_of(run_id: str, plan: Sequence[Task], results: Sequence[TaskResult]) -> Report:
    """The sums over all tasks, not yet committed."""
    counts = sum((result.counts for result in results), Counts())
    files = [file for result in results for file in result.files]
    return Report(
        run_id=run_id,
        committed=False,
        tasks=len(plan),
        objects=sum(len(task.objects) for task in plan),
        archive_bytes=sum(task.bytes for task in plan),
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
