"""State machines and schedules act with their roles: what these do not allow is refused under AWS's names."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import eventbridge, scheduler, stepfunctions

from local.additions import acting_roles
from local.additions.services import RefusedError

ACCOUNTS = (f"{number:012}" for number in itertools.count(8_000))
REGION = "eu-central-1"
TASK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Parameters": {"FunctionName": "write"},
    "End": True,
}
MAP = {
    "Type": "Map",
    "ItemReader": {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSONL"},
        "Parameters": {"Bucket.$": "$.bucket", "Key": "plan.jsonl"},
    },
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Write",
        "States": {"Write": TASK},
    },
    "End": True,
}
START = {
    "Type": "Task",
    "Resource": "arn:aws:states:::states:startExecution",
    "Parameters": {"StateMachineArn": f"arn:aws:states:{REGION}:000000000000:stateMachine:other", "Input": {}},
    "End": True,
}
HOOKS = (
    "_run_execution",
    "_call_lambda",
    "_invoke_nested_start_execution",
    "_read_map_items",
    "_run_distributed_map",
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, str]]]:
    """What the roles were asked for: role, action, resource. The addition is installed until the test ends."""
    requests: list[tuple[str, str, str]] = []
    for hook in HOOKS:
        monkeypatch.setattr(stepfunctions, hook, getattr(stepfunctions, hook))
    monkeypatch.setattr(stepfunctions, "_call_lambda", lambda *_: {})
    monkeypatch.setattr(stepfunctions, "_read_map_items", lambda *_: [1, 2])
    monkeypatch.setattr(eventbridge, "_invoke_target", lambda *_: "started")
    monkeypatch.setattr(scheduler, "_SCHEDULE_TICK_INTERVAL", scheduler._SCHEDULE_TICK_INTERVAL)
    monkeypatch.setattr(acting_roles, "demand", lambda role, _, request: requests.append((role, *request)))
    acting_roles.install()
    with request_scope(next(ACCOUNTS), REGION):
        yield requests


def refuse(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    """Let every role allow everything but one action."""

    def demand(_role: str, _session: str, request: tuple[str, str]) -> None:
        if request[0] == action:
            raise RefusedError(f"AccessDenied: not authorized to perform: {action} on resource: {request[1]}")

    monkeypatch.setattr(acting_roles, "demand", demand)


def execution(state: dict[str, Any]) -> dict[str, Any]:
    """Run a machine of one state to its end."""
    definition = json.dumps({"StartAt": "Only", "States": {"Only": state}})
    _, _, created = stepfunctions._create_state_machine({"name": "machine", "definition": definition})
    machine = json.loads(created)["stateMachineArn"]
    stepfunctions._state_machines[machine]["roleArn"] = "arn:aws:iam::000000000000:role/machine"
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:one"
    run = {
        "executionArn": arn,
        "stateMachineArn": machine,
        "name": "one",
        "status": "RUNNING",
        "startDate": "",
        "events": [],
    }
    stepfunctions._executions[arn] = run | {"input": json.dumps({"bucket": "plans"}), "mockAttempts": {}}
    stepfunctions._run_execution(arn)
    found: dict[str, Any] = stepfunctions._executions[arn]
    return found


def test_a_machines_role_is_asked_for_each_call_with_its_resource(asked: list[tuple[str, str, str]]) -> None:
    assert execution(MAP)["status"] == "SUCCEEDED"

    (account,) = {resource.split(":")[4] for _, action, resource in asked if action == "states:StartExecution"}
    function = f"arn:aws:lambda:{REGION}:{account}:function:write"
    assert {role.rpartition("/")[2] for role, _, _ in asked} == {"machine"}
    assert [request[1:] for request in asked] == [
        ("states:StartExecution", f"arn:aws:states:{REGION}:{account}:stateMachine:machine"),
        ("s3:GetObject", "arn:aws:s3:::plans/plan.jsonl"),
        ("lambda:InvokeFunction", function),
        ("lambda:InvokeFunction", function),
    ]


@pytest.mark.parametrize(
    ("state", "action", "error"),
    [
        (TASK, "lambda:InvokeFunction", "Lambda.AWSLambdaException"),
        (MAP, "s3:GetObject", "States.ItemReaderFailed"),
        (MAP, "states:StartExecution", "States.TaskFailed"),
        (START, "states:StartExecution", "StepFunctions.AccessDeniedException"),
    ],
)
def test_what_the_role_does_not_allow_fails_the_state_under_its_name(
    asked: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], action: str, error: str
) -> None:
    refuse(monkeypatch, action)

    failed = execution(state)

    assert (failed["status"], failed["error"]) == ("FAILED", error)
    assert f"not authorized to perform: {action} on resource: arn:" in failed["cause"]


def test_a_machine_that_cannot_be_started_fails_the_task_under_the_services_name(
    asked: list[tuple[str, str, str]],
) -> None:
    failed = execution(START)

    assert failed["error"] == "StepFunctions.StateMachineDoesNotExistException"
    assert [request[1:] for request in asked] == [("states:StartExecution", START["Parameters"]["StateMachineArn"])]


def test_a_schedule_starts_nothing_that_its_role_does_not_allow(
    asked: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = {"Arn": f"arn:aws:states:{REGION}:000000000000:stateMachine:machine", "RoleArn": "role"}
    assert eventbridge._invoke_target(target, {"Source": "aws.scheduler"}, {}) == "started"
    assert asked == [("role", "states:StartExecution", target["Arn"])]

    refuse(monkeypatch, "states:StartExecution")
    with pytest.raises(RefusedError, match="states:StartExecution"):
        eventbridge._invoke_target(target, {"Source": "aws.scheduler"}, {})


def test_the_target_of_an_event_rule_is_none_of_a_schedule(asked: list[tuple[str, str, str]]) -> None:
    target = {"Arn": f"arn:aws:states:{REGION}:000000000000:stateMachine:machine"}

    assert eventbridge._invoke_target(target, {"Source": "aws.events"}, {}) == "started"
    assert asked == []
