"""What the decoding tasks of a run have left behind."""

from collections.abc import Iterator

import msgspec

from compaction.errors import ResultMissing
from compaction.results import results
from compaction.store import Store
from reprocessing.errors import RulesChanged
from reprocessing.manifests import DecodeResult, DecodeTask, Plan, decoded_key, tasks_key


def planned_tasks(store: Store, run_id: str) -> Iterator[DecodeTask]:
    """The decoding tasks of a run; none if it has nothing to decode."""
    return map(msgspec.json.Decoder(DecodeTask).decode, store.lines(tasks_key(run_id)) or ())


def decoded(store: Store, plan: Plan) -> Iterator[DecodeResult]:
    """The result of each task, in the order of the plan.

    Raises ResultMissing for tasks without one, RulesChanged for one that other rules have made.
    """
    name, tasks = f"Run {plan.run_id}", 0
    planned = planned_tasks(store, plan.run_id)
    for task, result in results(store, name, planned, lambda task: decoded_key(plan.run_id, task), DecodeResult):
        if result.rules != plan.rules:
            raise RulesChanged(
                f"Task {task.task_id} of run {plan.run_id} was done by other rules than the run was planned by. "
                "Nothing is published; start a new run."
            )
        tasks += 1
        yield result
    if tasks != plan.tasks:
        raise ResultMissing(f"{name} was planned with {plan.tasks} tasks, its list has {tasks}. Start a new run.")
