"""A stack whose state machines answer at once, and one run that has left its report."""

import json
from collections.abc import Iterator

import pytest

from ops.stack import NEEDED
from reprocessing.keys import page_key, plan_key, report_key
from tests.lake import Lake, client
from tests.ops.deployment import deploy
from tests.ops.reprocessed import ANSWER, REPORT, UNDONE

ANSWERS = {
    "StartAt": "Undo A Run?",
    "States": {
        "Undo A Run?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.undo", "IsPresent": True, "Next": "Undo Run"},
                {"Variable": "$.wait_s", "IsPresent": True, "Next": "Wait"},
                {"Variable": "$.allow_fewer", "IsPresent": True, "Next": "Report"},
                {"Variable": "$.mode", "StringEquals": "apply", "Next": "Fewer Readings"},
            ],
            "Default": "Report",
        },
        "Undo Run": {"Type": "Pass", "Result": UNDONE, "End": True},
        "Wait": {"Type": "Wait", "SecondsPath": "$.wait_s", "Next": "Report"},
        "Report": {"Type": "Pass", "Result": ANSWER, "End": True},
        "Fewer Readings": {"Type": "Fail", "Error": "FewerReadings", "Cause": "3 readings would be gone."},
    },
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}],
}


@pytest.fixture
def lake_with_runs(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake whose stack has a machine that answers at once, and the report of the run that it answers."""
    monkeypatch.setattr("ops.following._POLL_S", 0.05)
    name = f"answers-{lake.database}".replace("_", "-")
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    create = client("stepfunctions").create_state_machine
    machines = {
        f"{machine}StateMachineArn": create(name=f"{machine}-{name}", definition=json.dumps(ANSWERS), roleArn=role)
        for machine in ("Reprocess", "Compact", "Optimize")
    }
    arns = {output: created["stateMachineArn"] for output, created in machines.items()}
    deploy(name, dict.fromkeys(NEEDED, "value") | arns | {"ProcessedBucketName": lake.processed})
    lake.store.write(plan_key("first"), json.dumps({"request": REPORT["request"]}).encode())
    lake.store.write(report_key("first"), json.dumps(REPORT).encode())
    lake.store.write(page_key("first"), b"<title>first</title>")
    yield lake
    client("cloudformation").delete_stack(StackName=name)
