"""What the steps of a run ask of its folder first."""

import msgspec

from compaction.errors import ResultMissing
from compaction.store import Store
from reprocessing.errors import RulesChanged
from reprocessing.manifests import Plan, plan_key


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
