"""A definition run by the embedded AWS's interpreter in this process, its functions played by the test."""

import collections
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from ministack.core.responses import request_scope
from ministack.services import stepfunctions

from templates.shared.state_machines import DEFINITIONS, PLACEHOLDER

REGION = "eu-central-1"
ACCOUNTS = (f"{number:012}" for number in itertools.count(9_500))

Answer = Callable[[dict[str, Any]], Any]
"""What a function answers to an event, or raises FunctionError."""


class FunctionError(Exception):
    """A function's failure, by the name of its error."""


class Run(NamedTuple):
    """How an execution ended, and what it was like."""

    status: str
    error: str
    output: Any
    visited: list[str]
    waits: list[float]
    calls: dict[str, list[dict[str, Any]]]
    """Events by function."""
    largest: int
    """Bytes of the largest payload: of a state, or of an item's, which is what a function is given and answers."""
    events: int
    """Length of the history."""


def run(
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    functions: Mapping[str, Answer],
    plans: Callable[[str], str],
    run_input: object,
    wait: Callable[[float], object] = lambda _: None,
) -> Run:
    """Run a machine with these functions (by placeholder, without `Arn`) and plans of its maps (JSON lines by key).

    `wait` is called for the seconds of each Wait state, which take no time.
    """
    calls: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    waits: list[float] = []
    sizes = [0]
    lock = threading.Lock()

    def call(function: str, event: dict[str, Any]) -> Any:
        name = function.rpartition(":")[2]
        with lock:
            calls[name].append(event)
        try:
            answer = json.dumps(functions[name](event))
            sizes.extend((len(json.dumps(event)), len(answer)))
            return json.loads(answer)
        except FunctionError as error:
            cause = json.dumps({"errorType": str(error), "errorMessage": "said by the function"})
            raise stepfunctions._ExecutionError(str(error), cause) from error

    monkeypatch.setattr(stepfunctions, "_call_lambda", call)
    monkeypatch.setattr(stepfunctions, "_resolve_lambda_function_ref", lambda value, optimized: value)
    monkeypatch.setattr(stepfunctions, "_s3_object_text", lambda bucket, key: plans(key))
    monkeypatch.setattr(stepfunctions, "_scaled_sleep", lambda seconds: (waits.append(seconds), wait(seconds)))
    with request_scope(next(ACCOUNTS), REGION):
        execution = _execute(machine, run_input)
    history = execution["events"]
    entered = [event["stateEnteredEventDetails"] for event in history if "stateEnteredEventDetails" in event]
    return Run(
        execution["status"],
        execution.get("error", ""),
        json.loads(execution.get("output") or "null"),
        [state["name"] for state in entered],
        waits,
        calls,
        max(*sizes, *(len(state["input"].encode()) for state in entered)),
        len(history),
    )


def _execute(machine: str, run_input: object) -> dict[str, Any]:
    _, _, created = stepfunctions._create_state_machine({"name": machine, "definition": _definition(machine)})
    machine_arn = json.loads(created)["stateMachineArn"]
    arn = f"{machine_arn.replace(':stateMachine:', ':execution:')}:run"
    stepfunctions._executions[arn] = {
        "executionArn": arn,
        "stateMachineArn": machine_arn,
        "name": "run",
        "status": "RUNNING",
        "startDate": "2026-11-21T12:00:00Z",
        "events": [],
        "input": json.dumps(run_input),
        "mockAttempts": {},
    }
    stepfunctions._run_execution(arn)
    found: dict[str, Any] = stepfunctions._executions[arn]
    return found


def _definition(machine: str) -> str:
    """The definition with names for ARNs, and one item at a time."""
    text = (DEFINITIONS / f"{machine}.asl.json").read_text(encoding="utf-8")
    for name in set(PLACEHOLDER.findall(text)):
        if name.endswith("Arn"):
            text = text.replace(f"${{{name}}}", name.removesuffix("Arn"))
        else:
            text = text.replace(f'"${{{name}}}"', "1")
    return text
