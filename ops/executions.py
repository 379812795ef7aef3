"""Executions of the compaction's state machine: how far one is, and how it ended."""

import dataclasses
import json
from typing import Any

from ops.errors import OpsError

RUNNING = frozenset({"RUNNING", "PENDING_REDRIVE"})
FAILED = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
_SHOWN_TASKS = 5

ADVICE = {
    "InvalidInput": "Correct --from and --to.",
    "ObjectMissing": "Start a new run: it plans the objects that are there now.",
    "ObjectChanged": "Find out what wrote to the archive, then start a new run.",
    "ObjectsAlreadyCommitted": "Nothing to repair. Start a new run: it takes what is left.",
    "RunTooOld": "Nothing was published. Start a new run: files of this one may have been deleted as orphans.",
    "CountsDoNotBalance": "Nothing was published. Keep the run's manifests: they show which object does not add up.",
    "UnbalancedError": "Nothing was published. Keep the archive objects of the task: they show a fault of the worker.",
    "ResultMissing": "Start a new run.",
    "ResultMismatch": "Start a new run.",
    "FileMismatch": "Start a new run.",
}
"""What to do about an error of our own functions."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far an execution is. `done`, `failed` and `total` are tasks of the map; total is None before it starts."""

    status: str
    done: int = 0
    failed: int = 0
    total: int | None = None


def progress(states: Any, arn: str) -> Progress:
    """Where the execution is now. Raises OpsError for a status that Step Functions is not known to have."""
    status = states.describe_execution(executionArn=arn)["status"]
    if status not in RUNNING | FAILED | {"SUCCEEDED"}:
        raise OpsError(f"The execution {arn} has the status {status}, which this command does not know.")
    runs = states.list_map_runs(executionArn=arn)["mapRuns"]
    if not runs:
        return Progress(status)
    counts = states.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]
    failed = counts["failed"] + counts["timedOut"] + counts["aborted"]
    return Progress(status, counts["succeeded"], failed, counts["total"])


def output(states: Any, arn: str) -> dict[str, Any]:
    """What a succeeded execution answered: the report, or the plan when there was nothing to do."""
    answer: dict[str, Any] = json.loads(states.describe_execution(executionArn=arn)["output"])
    return answer


def failure(states: Any, arn: str) -> OpsError:
    """Why an execution failed, its failed tasks included, and what to do."""
    execution = states.describe_execution(executionArn=arn)
    error, cause = execution.get("error", execution["status"]), _message(execution.get("cause", ""))
    tasks = [
        f"  {child.get('error')}: {_message(child.get('cause', ''))}"
        for run in states.list_map_runs(executionArn=arn)["mapRuns"]
        for child in _failed_tasks(states, run["mapRunArn"])
    ]
    names = [error, *(line.strip().partition(":")[0] for line in tasks)]
    advice = next((ADVICE[name] for name in names if name in ADVICE), _default_advice(arn))
    return OpsError("\n".join([f"The run failed. {error}: {cause}", *tasks, advice]))


def _failed_tasks(states: Any, map_run_arn: str) -> list[dict[str, Any]]:
    listed = states.list_executions(mapRunArn=map_run_arn, statusFilter="FAILED", maxResults=_SHOWN_TASKS)
    return [states.describe_execution(executionArn=item["executionArn"]) for item in listed["executions"]]


def _message(cause: str) -> str:
    """The sentence of a cause: a failed function's cause is JSON with the sentence in it."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def _default_advice(arn: str) -> str:
    return (
        "The functions' logs say more. Both are safe: a new run (python -m ops compact), or going on where this one "
        f"stopped (aws stepfunctions redrive-execution --execution-arn {arn})."
    )
