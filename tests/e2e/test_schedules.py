"""What Scheduler starts, on the embedded AWS: one run for each scheduled time, and one at a time."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.e2e.least_privilege.cases import settings
from tests.e2e.resources import eventually

pytestmark = pytest.mark.e2e

AT = "2020-01-02T03:04:05"


def target_of(machine: str) -> Any:
    """The target of the deployed schedule that has a machine started."""
    scheduler, group = boto3.client("scheduler"), settings().stack_name
    names = [item["Name"] for item in scheduler.list_schedules(GroupName=group)["Schedules"]]
    targets: list[Any] = [scheduler.get_schedule(GroupName=group, Name=name)["Target"] for name in names]
    (target,) = [one for one in targets if json.loads(one["Input"])["state_machine_arn"] == machine]
    return target


def call(target: Any) -> None:
    """Have Scheduler call a target for the time AT."""
    boto3.client("scheduler").create_schedule(
        GroupName=settings().stack_name,
        Name=f"once-{time.time_ns()}",
        ScheduleExpression=f"at({AT})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=target,
    )


def ended(machine: str) -> list[Any]:
    """Executions of a machine that are over."""
    states = boto3.client("stepfunctions")
    listed = states.list_executions(stateMachineArn=machine)["executions"]
    found = [states.describe_execution(executionArn=item["executionArn"]) for item in listed]
    return [execution for execution in found if execution["status"] != "RUNNING"]


def test_a_target_that_is_called_twice_for_one_time_starts_one_run_named_by_it(outputs: dict[str, str]) -> None:
    machine, starter = outputs["CompactStateMachineArn"], outputs["StartRunStateMachineArn"]
    runs, starts = {run["name"] for run in ended(machine)}, {run["name"] for run in ended(starter)}
    target = target_of(machine)

    def started() -> list[str]:
        return [run["status"] for run in ended(starter) if run["name"] not in starts]

    call(target)
    assert eventually(lambda: len(started()) == 1)
    assert eventually(lambda: {run["name"] for run in ended(machine)} - runs)
    call(target)
    assert eventually(lambda: len(started()) == 2)

    assert started() == ["SUCCEEDED", "SUCCEEDED"]
    new = [run for run in ended(machine) if run["name"] not in runs]
    assert [(run["name"], run["status"], run["input"]) for run in new] == [
        ("scheduled-2020-01-02T030405Z", "SUCCEEDED", "{}")
    ]


def entered(run: str) -> list[str]:
    """The states that an execution has been in."""
    history = boto3.client("stepfunctions").get_execution_history(executionArn=run)["events"]
    return [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]


@contextlib.contextmanager
def going_on(machine: str) -> Iterator[None]:
    """A run of a machine that a person has started, and that does not end before the block does."""
    states = boto3.client("stepfunctions")
    definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
    waiting = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
    states.update_state_machine(stateMachineArn=machine, definition=json.dumps(waiting))
    run = states.start_execution(stateMachineArn=machine)["executionArn"]
    assert eventually(lambda: entered(run) == ["Wait"])
    states.update_state_machine(stateMachineArn=machine, definition=definition)
    try:
        yield
    finally:
        states.stop_execution(executionArn=run)


@contextlib.contextmanager
def not_allowed(machine: str, action: str) -> Iterator[None]:
    """A machine's role without one of its actions."""
    iam = boto3.client("iam")
    arn = boto3.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"]
    role = arn.rpartition("/")[2]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    part = json.loads(json.dumps(whole))
    for statement in part["Statement"]:
        statement["Action"] = [one for one in statement["Action"] if one != action]
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(part))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(whole))


def start(starter: str, machine: str, at: str) -> list[str]:
    """The states that the starting machine goes through for a scheduled time."""
    states = boto3.client("stepfunctions")
    given = json.dumps({"state_machine_arn": machine, "scheduled_at": at})
    run = states.start_execution(stateMachineArn=starter, input=given)["executionArn"]
    assert eventually(lambda: states.describe_execution(executionArn=run)["status"] == "SUCCEEDED")
    return entered(run)


def names(machine: str) -> set[str]:
    """Every run of a machine."""
    return {run["name"] for run in boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]}


def test_no_run_is_started_while_another_goes_on_and_the_next_time_is_not_missed(outputs: dict[str, str]) -> None:
    machine, starter = outputs["CompactStateMachineArn"], outputs["StartRunStateMachineArn"]

    with going_on(machine):
        before = names(machine)
        assert start(starter, machine, "2020-01-03T03:04:05Z") == [
            "Look For A Run",
            "Does One Go On?",
            "Left To The Next",
        ]
        assert names(machine) == before
        assert start(starter, outputs["OptimizeStateMachineArn"], "2020-01-03T03:04:05Z")[-1] == "Start Run"

    assert start(starter, machine, "2020-01-03T04:04:05Z")[-1] == "Start Run"
    assert names(machine) - before == {"scheduled-2020-01-03T040405Z"}


def test_a_run_is_started_when_nobody_can_say_whether_another_goes_on(outputs: dict[str, str]) -> None:
    machine, starter = outputs["CompactStateMachineArn"], outputs["StartRunStateMachineArn"]

    with not_allowed(starter, "states:ListExecutions"):
        assert start(starter, machine, "2020-01-04T03:04:05Z") == ["Look For A Run", "Start Run"]

    assert "scheduled-2020-01-04T030405Z" in names(machine)
