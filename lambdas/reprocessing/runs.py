"""What a run has written down: its plan, its executions, and the results of its decoding."""

from collections.abc import Iterator

import msgspec

from compaction.ahead import ahead
from compaction.errors import ResultMissing
from compaction.results import results
from compaction.store import Store
from compaction.verification import check_own
from reprocessing.errors import RulesChanged
from reprocessing.keys import decoded_key, executions_prefix, merge_plan_key, missing_key, plan_key, tasks_key
from reprocessing.manifests import DecodeResult, DecodeTask, Execution, Plan
from reprocessing.merge_manifests import MergeGroup, MergeTask


def read_plan(store: Store, run_id: str) -> Plan:
    """What the run goes by. Raises ResultMissing when there is none."""
    body = store.read(plan_key(run_id))
    if body is None:
        raise ResultMissing(f"Run {run_id} has no plan, {plan_key(run_id)}, to go on with. Start a new run.")
    return msgspec.json.decode(body, type=Plan)


def plan_by(store: Store, run_id: str, rules: str) -> Plan:
    """What the run goes by, if its rules are these. Raises ResultMissing, and RulesChanged when they are not."""
    plan = read_plan(store, run_id)
    if plan.rules != rules:
        raise RulesChanged(
            f"Run {run_id} was planned with other settings or other code than those of now: a deployment came in "
            "between. Nothing is published; start a new run, which decodes everything by the rules of now."
        )
    return plan


def read_group(store: Store, task: MergeTask) -> MergeGroup:
    """The group of a task. Raises ResultMissing when it is gone."""
    body = store.read(task.group)
    if body is None:
        raise ResultMissing(f"Task {task.task_id} is of the group {task.group}, which is gone. Start a new run.")
    return msgspec.json.decode(body, type=MergeGroup)


def executions_of(store: Store, run_id: str) -> tuple[str, ...]:
    """The names of all executions that the run has had, in the order in which they began."""
    bodies = (body for _, body in ahead(store.read, store.keys(executions_prefix(run_id))) if body is not None)
    held = [msgspec.json.decode(body, type=Execution) for body in bodies]
    return tuple(one.name for one in sorted(held, key=lambda one: (one.started_at, one.name)))


def planned_tasks(store: Store, run_id: str) -> Iterator[DecodeTask]:
    """The decoding tasks of a run; none if it has nothing to decode."""
    return map(msgspec.json.Decoder(DecodeTask).decode, store.lines(tasks_key(run_id)) or ())


def missing_objects(store: Store, run_id: str) -> Iterator[str]:
    """The keys of objects that rows of a run's scope name and the archive does not have."""
    return map(msgspec.json.Decoder(str).decode, store.lines(missing_key(run_id)) or ())


def merge_tasks(store: Store, run_id: str, merge_id: str) -> Iterator[MergeTask]:
    """The tasks of a merge; none where there was nothing to merge."""
    return map(msgspec.json.Decoder(MergeTask).decode, store.lines(merge_plan_key(run_id, merge_id)) or ())


def decoded(store: Store, plan: Plan) -> Iterator[tuple[DecodeTask, DecodeResult]]:
    """Each task with its result, in the order of the plan.

    Raises ResultMissing for a task without one, ResultMismatch for one that has another's, RulesChanged for one that
    other rules have made.
    """
    run_id, found = plan.run_id, 0
    tasks = planned_tasks(store, run_id)
    for task, result in results(store, f"Run {run_id}", tasks, lambda one: decoded_key(run_id, one), DecodeResult):
        place = f"task {task.task_id} of run {run_id}"
        check_own(place, (result.run_id, result.task_id), (run_id, task.task_id))
        check_rules(place, result.rules, plan)
        found += 1
        yield task, result
    if found != plan.tasks:
        raise ResultMissing(f"Run {run_id} was planned with {plan.tasks} tasks, its list has {found}. Start a new run.")


def check_rules(place: str, rules: str, plan: Plan) -> None:
    """Raise RulesChanged unless the result of `place` was made by the rules of the plan."""
    if rules != plan.rules:
        raise RulesChanged(
            f"The result of {place} was made by other settings or other code than the run was planned by: a deployment "
            "came in between. Nothing is published; start a new run."
        )
