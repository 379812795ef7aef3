"""Executions of the state machines: how far one is, and how it ended."""

import dataclasses
import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ops.advice import NEW_RUN, REDRIVE, REPORT, STOPPED, advice
from ops.errors import OpsError

RUNNING = frozenset({"RUNNING", "PENDING_REDRIVE"})
FAILED = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
ENDED = {"FAILED": "failed", "TIMED_OUT": "ran out of time", "ABORTED": "was stopped"}
_FAILED_TASKS = ("FAILED", "TIMED_OUT", "ABORTED")  # in the order of what they tell
_SHOWN_TASKS = 5
_ALIKE = 0.85  # of 1: two or three characters differ in a name of 28, whose first half is the day
_NAMES = 1000  # what one call lists
_EVENTS = 100  # more than a state has between its first try and its last


@dataclasses.dataclass(frozen=True)
class Tasks:
    """Tasks of the map that an execution has begun last, by what became of them; `map` is the map's name."""

    total: int
    done: int
    running: int
    failed: int
    map: str = ""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far an execution is: its status, the state it is in (None before the first), its map's tasks once it has."""

    status: str
    state: str | None = None
    tasks: Tasks | None = None


def arn_of(machine_arn: str, run_id: str) -> str:
    """The execution of a state machine that has this name."""
    return f"{machine_arn.replace(':stateMachine:', ':execution:')}:{run_id}"


def find(states: Any, arn: str) -> dict[str, Any] | None:
    """The execution, or None when there is none of this name (any more: they are kept for 90 days), or can be none.

    Raises OpsError for a status that Step Functions is not known to have.
    """
    try:
        found: dict[str, Any] = states.describe_execution(executionArn=arn)
    except (states.exceptions.ExecutionDoesNotExist, states.exceptions.InvalidArn):
        return None
    if found["status"] not in RUNNING | FAILED | {"SUCCEEDED"}:
        raise OpsError(f"The execution {arn} has the status {found['status']}, which this command does not know.")
    return found


def describe(states: Any, arn: str) -> dict[str, Any]:
    """The execution. Raises OpsError when there is none, or for a status that Step Functions is not known to have."""
    found = find(states, arn)
    if found is None:
        machine_arn, _, name = arn.replace(":execution:", ":stateMachine:").rpartition(":")
        raise no_run(f"{name} of {machine_arn.rpartition(':')[2]}", alike(states, machine_arn, name))
    return found


def alike(states: Any, machine_arn: str, name: str) -> list[str]:
    """Names of executions of the machine, of the newest thousand, that may have been meant by one that there is not."""
    listed = states.list_executions(stateMachineArn=machine_arn, maxResults=_NAMES)["executions"]
    return difflib.get_close_matches(name, (one["name"] for one in listed), cutoff=_ALIKE)


def no_run(what: str, meant: Sequence[str]) -> OpsError:
    """There is no such run; some may have been meant."""
    ask = f" Did you mean {' or '.join(meant)}?" if meant else ""
    return OpsError(f"There is no run {what}.{ask} The last ones: python -m ops runs")


def progress(states: Any, arn: str) -> Progress:
    """Where the execution is now. Raises the errors of `describe`."""
    status = describe(states, arn)["status"]
    return Progress(status, _state(states, arn), _tasks(states, arn))


def output(states: Any, arn: str) -> dict[str, Any]:
    """What a succeeded execution answered, with its `status` and the `seconds` it took.

    `run_id` is the execution's name, unless it answers another: a run that it has carried on.
    """
    found = describe(states, arn)
    taken = (found["stopDate"] - found["startDate"]).total_seconds()
    answer: dict[str, Any] = json.loads(found["output"])
    return {"run_id": found["name"], **answer, "status": found["status"], "seconds": round(taken, 1)}


def state_data(states: Any, arn: str) -> dict[str, Any]:
    """What the state that was entered last has been given; empty before the first."""
    history = states.get_execution_history(
        executionArn=arn, reverseOrder=True, maxResults=_EVENTS, includeExecutionData=True
    )
    entered = (event["stateEnteredEventDetails"] for event in history["events"] if "stateEnteredEventDetails" in event)
    data: dict[str, Any] = next((json.loads(details["input"]) for details in entered), {})
    return data


def run_id(states: Any, execution: dict[str, Any]) -> str:
    """The run that a described execution is of: it has its name, unless the execution carries on another."""
    ended_well = execution["status"] == "SUCCEEDED"
    data = json.loads(execution["output"]) if ended_well else state_data(states, execution["executionArn"])
    return str(data.get("run_id", execution["name"]))


def failure(states: Any, arn: str, again: Callable[[], str], way_back: str) -> OpsError:
    """Why an execution has failed, its failed tasks included, and what to do.

    `again` answers the command that starts another; of an input that was refused there may be none. The command
    `way_back` shows this one.
    """
    execution = describe(states, arn)
    status = execution["status"]
    error, cause = execution.get("error") or status, sentence(execution.get("cause", ""))
    tasks = list(failed_tasks(states, arn))
    lines = [f"  task {task_id}: {name}: {message}" for task_id, name, message in tasks[:_SHOWN_TASKS]]
    found = _tasks(states, arn)
    if found is not None and found.failed > len(lines):
        lines.append(f"  {found.failed} of {found.total} tasks failed")
    todo = STOPPED if status == "ABORTED" else advice([error, *(name for _, name, _ in tasks)])
    why = f"{error}: {cause}" if cause else "" if error == status else error
    ended = f"The run {execution['name']} {ENDED[status]}. {why}".rstrip()
    said = [ended, *lines, *_ways_on(todo, arn, again, way_back)]
    return OpsError("\n".join(said))


def _state(states: Any, arn: str) -> str | None:
    """The name of the state that was entered last."""
    history = states.get_execution_history(
        executionArn=arn, reverseOrder=True, maxResults=_EVENTS, includeExecutionData=False
    )
    entered = (event["stateEnteredEventDetails"] for event in history["events"] if "stateEnteredEventDetails" in event)
    return next((details["name"] for details in entered), None)


def _tasks(states: Any, arn: str) -> Tasks | None:
    runs = _maps(states, arn)
    if not runs:
        return None
    counts = states.describe_map_run(mapRunArn=runs[-1])["itemCounts"]
    failed = counts["failed"] + counts["timedOut"] + counts["aborted"]
    return Tasks(counts["total"], counts["succeeded"], counts["running"], failed, runs[-1])


def _maps(states: Any, arn: str) -> list[str]:
    """The map runs of an execution, in the order in which they have begun."""
    runs = states.list_map_runs(executionArn=arn)["mapRuns"]
    return [run["mapRunArn"] for run in sorted(runs, key=lambda run: run["startDate"])]


def failed_tasks(states: Any, arn: str) -> Iterator[tuple[str, str, str]]:
    """Task, error and sentence of some failed tasks, those first that failed by themselves."""
    for run in _maps(states, arn)[-1:]:
        for status in _FAILED_TASKS:
            listed = states.list_executions(mapRunArn=run, statusFilter=status, maxResults=_SHOWN_TASKS)["executions"]
            for item in listed:
                child = states.describe_execution(executionArn=item["executionArn"])
                task_id = json.loads(child["input"])["task"]["task_id"]
                yield task_id, child.get("error") or status, sentence(child.get("cause", ""))


def sentence(cause: str) -> str:
    """The sentence of a cause: a failed function's cause is JSON with the sentence in it."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def _ways_on(todo: str | None, arn: str, again: Callable[[], str], way_back: str) -> list[str]:
    """What to do, and the commands for it that apply."""
    if todo is None:
        todo = f"The functions' logs say more. {NEW_RUN}, or {REDRIVE} to go on where it stopped: both are safe."
    ways = [todo]
    if REPORT in todo:
        ways.append(f"  python -m ops runs {arn.rpartition(':')[2]}")
    if NEW_RUN in todo:
        ways.append(f"  {again()}")
    if REDRIVE in todo:
        ways.append(f"  aws stepfunctions redrive-execution --execution-arn {arn}")
        ways.append(f"  {way_back}")
    return ways
