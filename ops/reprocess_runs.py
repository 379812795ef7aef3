"""Runs of reprocess by name: whether there is anything to take back of one, and which execution has carried one on."""

import json
from typing import Any

import msgspec

from compaction.store import Store
from ops import executions, written
from ops.errors import OpsError
from ops.stack import Stack
from reprocessing.keys import ledger_key, plan_key
from reprocessing.request import Request, publishes
from reprocessing.runs import executions_of

_MODES = {"dry_run": "was a dry run", "backtest": "was a back-test"}


def refuse_needless_undo(stack: Stack, machine_arn: str, name: str) -> None:
    """Raise OpsError where there is nothing to take back: of no run of this name, or of one that published nothing.

    Of a run that was undone before there may be: a rollback of the table brings it back.
    """
    store = Store(stack.client("s3"), stack.outputs["ProcessedBucketName"])
    line = written.read(store, ledger_key(name))
    found = line or written.read(store, plan_key(name))
    if found is None:
        raise _no_plan(stack.client("stepfunctions"), machine_arn, name)
    request = msgspec.convert(found["request"], Request)
    has_published = line["undone"] or line["snapshot_id"] if line else publishes(request)
    if not has_published:
        was = "was refused" if line and line["outcome"] == "refused" else "had nothing to change in the table"
        raise OpsError(f"--undo: {name} {_MODES.get(request.mode, was)}. There is nothing to take back.")


def successor(stack: Stack, machine_arn: str, name: str) -> str:
    """The execution that has carried on what this one left undone: the last that did not fail too; itself without one.

    Raises OpsError when there is no execution of this name.
    """
    states = stack.client("stepfunctions")
    execution = executions.describe(states, executions.arn_of(machine_arn, name))
    if execution["status"] not in executions.FAILED:
        return name
    store = Store(stack.client("s3"), stack.outputs["ProcessedBucketName"])
    of_the_run = executions_of(store, executions.run_id(states, execution))
    later = of_the_run[of_the_run.index(name) + 1 :] if name in of_the_run else ()
    for other in reversed(later):
        found = executions.find(states, executions.arn_of(machine_arn, other))
        if found is not None and found["status"] not in executions.FAILED:
            return other
    return later[-1] if later else name


def _no_plan(states: Any, machine_arn: str, name: str) -> OpsError:
    """What the name is of that no run has. Raises OpsError when it is none of an execution either."""
    execution = executions.describe(states, executions.arn_of(machine_arn, name))
    if undone := json.loads(execution["input"]).get("undo"):
        told = f"{name} is the undo of {undone}. To have that run's changes once more, apply them with a new run."
    elif (run_id := executions.run_id(states, execution)) != name:
        told = f"{name} has carried on the run {run_id}. That is what can be taken back: --undo {run_id}"
    else:
        told = f"{name} has not got as far as a plan. There is nothing to take back."
    return OpsError(f"--undo: {told}")
