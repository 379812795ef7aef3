"""What Scheduler starts, on the embedded AWS: one run for each scheduled time."""

import json
import time
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
    runs, starts = {run["name"] for run in ended(machine)}, len(ended(starter))
    target = target_of(machine)

    call(target)
    assert eventually(lambda: len(ended(starter)) == starts + 1)
    assert eventually(lambda: {run["name"] for run in ended(machine)} - runs)
    call(target)
    assert eventually(lambda: len(ended(starter)) == starts + 2)

    assert {start["status"] for start in ended(starter)} == {"SUCCEEDED"}
    new = [run for run in ended(machine) if run["name"] not in runs]
    assert [(run["name"], run["status"], run["input"]) for run in new] == [
        ("scheduled-2020-01-02T030405Z", "SUCCEEDED", "{}")
    ]
