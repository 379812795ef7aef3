"""What the decoding tasks of a run have left behind, read side by side and one after the other."""

from collections.abc import Iterator

import msgspec

from compaction.ahead import ahead
from compaction.errors import ResultMissing
from compaction.store import Store
from reprocessing.errors import RulesChanged
from reprocessing.manifests import DecodeResult, DecodeTask, Plan, decoded_key, tasks_key


def planned_tasks(store: Store, run_id: str) -> Iterator[DecodeTask]:
    """The decoding tasks of a run; none if it has nothing to decode."""
    return map(msgspec.json.Decoder(DecodeTask).decode, store.lines(tasks_key(run_id)) or ())


def decoded(store: Store, plan: Plan) -> Iterator[DecodeResult]:
    """The result of each task, in the order of the plan.

    Raises ResultMissing for a task without one, RulesChanged for one that other rules have made.
    """
    found = 0
    tasks = planned_tasks(store, plan.run_id)
    for task, body in ahead(lambda task: store.read(decoded_key(plan.run_id, task.task_id)), tasks):
        if body is None:
            raise ResultMissing(
                f"Run {plan.run_id} has no result of task {task.task_id}. Redrive the execution, or start one with the "
                "same input."
            )
        result = msgspec.json.decode(body, type=DecodeResult)
        if result.rules != plan.rules:
            raise RulesChanged(
                f"Task {task.task_id} of run {plan.run_id} was done by other rules than the run was planned by. "
                "Nothing is published; start a new run."
            )
        found += 1
        yield result
    if found != plan.tasks:
        raise ResultMissing(
            f"Run {plan.run_id} was planned with {plan.tasks} tasks, its list has {found}. Start a new run."
        )
