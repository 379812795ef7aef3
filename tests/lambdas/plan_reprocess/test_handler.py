"""The function that plans a reprocessing, on the embedded AWS."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from compaction.errors import InvalidInput
from plan_reprocess import handler
from reprocessing.errors import RangeHeld
from tests.lake import Lake, reading

TODAY = {"from": "2026-11-21", "to": "2026-11-22", "source": "archive", "targets": ["table"], "note": "why"}
ASSUMED_BY_STATES = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


@pytest.fixture
def machine(deployed: Lake) -> Iterator[str]:
    """A state machine whose executions go on until they are stopped."""
    states, iam = boto3.client("stepfunctions"), boto3.client("iam")
    trust = json.dumps(ASSUMED_BY_STATES)
    role = iam.create_role(RoleName=deployed.database, AssumeRolePolicyDocument=trust)["Role"]
    waits = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 300, "End": True}}}
    made = states.create_state_machine(name=deployed.database, definition=json.dumps(waits), roleArn=role["Arn"])
    yield made["stateMachineArn"]
    for execution in states.list_executions(stateMachineArn=made["stateMachineArn"])["executions"]:
        states.stop_execution(executionArn=execution["executionArn"])


def event(execution: str, mode: str = "dry_run", machine: str = "arn:aws:states:x:1:stateMachine:m") -> dict[str, Any]:
    return {
        "execution": execution,
        "execution_arn": f"{machine.replace(':stateMachine:', ':execution:')}:{execution}",
        "started_at": "2026-11-21T12:00:00.000Z",
        "input": TODAY | {"mode": mode},
    }


def test_the_function_answers_references_only(deployed: Lake, context: object) -> None:
    deployed.put("a", [reading()])
    deployed.run("c")

    answer = handler.handle(event("run"), context)

    assert (answer["tasks"], answer["objects"], answer["frozen"], answer["write_hot"]) == (1, 1, 0, False)
    assert len(list(deployed.store.lines(answer["plan"]["key"]) or ())) == 1
    assert len(json.dumps(answer)) < 400
    assert handler.handle(event("run"), context) == answer


def test_the_function_sees_what_is_frozen(deployed: Lake, context: object) -> None:
    key = deployed.put("a", [reading()])
    deployed.run("c")
    body = deployed.s3.get_object(Bucket=deployed.raw, Key=key)["Body"].read()
    deployed.s3.put_object(Bucket=deployed.raw, Key=key, Body=body, StorageClass="DEEP_ARCHIVE")

    answer = handler.handle(event("run"), context)

    assert (answer["frozen"], answer["frozen_bytes"], answer["tasks"]) == (1, len(body), 0)


def test_a_second_run_that_applies_changes_waits_for_the_first_to_end(
    deployed: Lake, machine: str, context: object
) -> None:
    states = boto3.client("stepfunctions")
    for name in ("one", "two"):
        states.start_execution(stateMachineArn=machine, name=name)
    handler.handle(event("one", "apply", machine), context)

    with pytest.raises(RangeHeld, match="Run one has had 2026-11-21"):
        handler.handle(event("two", "apply", machine), context)
    states.stop_execution(executionArn=event("one", machine=machine)["execution_arn"])

    assert handler.handle(event("two", "apply", machine), context)["run_id"] == "one"


def test_the_claim_of_an_execution_that_nobody_knows_does_not_hold(
    deployed: Lake, machine: str, context: object
) -> None:
    handler.handle(event("gone", "apply", machine), context)

    assert handler.handle(event("two", "apply", machine), context)["run_id"] == "gone"


def test_the_function_refuses_an_input_by_name(deployed: Lake, context: object) -> None:
    with pytest.raises(InvalidInput, match=r"mode: 'try' is unknown\. Write one of"):
        handler.handle(event("run", "try"), context)
    assert list(deployed.store.keys("")) == []
