"""What the steps of a run ask of its folder first."""

import msgspec

from compaction.ahead import ahead
from compaction.errors import ResultMissing
from compaction.store import Store
from reprocessing.errors import RulesChanged
from reprocessing.manifests import Execution, Plan, executions_prefix, plan_key


def read_plan(store: Store, run_id: str) -> Plan:
    """What the run goes by. Raises ResultMissing when there is none."""
    body = store.read(plan_key(run_id))
    if body is None:
        raise ResultMissing(f"Run {run_id} has no plan, so there is nothing to go on with. Start a new run.")
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


def executions_of(store: Store, run_id: str) -> tuple[str, ...]:
    """The names of all executions that the run has had, in the order in which they began."""
    bodies = (body for _, body in ahead(store.read, store.keys(executions_prefix(run_id))) if body is not None)
    held = [msgspec.json.decode(body, type=Execution) for body in bodies]
    return tuple(one.name for one in sorted(held, key=lambda one: (one.started_at, one.name)))
