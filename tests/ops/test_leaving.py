"""Leaving a run that goes on, and coming back to it, as people do it: Ctrl-C in a terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ops.__main__ import main
from ops.stack import NEEDED
from tests.lake import Lake, client
from tests.ops.deployment import deploy

RESULT = {"tasks": 0}
WAITS = {
    "StartAt": "Wait for the test",
    "States": {
        "Wait for the test": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Answer"},
        "Answer": {"Type": "Pass", "Result": RESULT, "End": True},
    },
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}],
}


@pytest.fixture
def machine(lake: Lake) -> Iterator[str]:
    """A state machine that waits as long as its input says, behind the outputs of a stack."""
    name = f"waits-{lake.database}".replace("_", "-")
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    arn = client("stepfunctions").create_state_machine(name=name, definition=json.dumps(WAITS), roleArn=role)
    deploy(name, dict.fromkeys(NEEDED, "value") | {"CompactStateMachineArn": arn["stateMachineArn"]})
    yield arn["stateMachineArn"]
    client("cloudformation").delete_stack(StackName=name)


def started(machine: str, run_id: str, seconds: int) -> str:
    run_input = json.dumps({"seconds": seconds})
    started = client("stepfunctions").start_execution(stateMachineArn=machine, name=run_id, input=run_input)
    return str(started["executionArn"])


def read_until(terminal: int, text: str) -> str:
    seen = ""
    while text not in seen:
        seen += os.read(terminal, 4096).decode()
    return seen


def test_ctrl_c_leaves_the_run_going_and_says_how_to_come_back(machine: str) -> None:
    arn = started(machine, "left", 600)
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "ops", "compact", "--follow", "left"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as following:
        os.close(theirs)  # so that reading ends with the command
        read_until(terminal, "left: Wait for the test")
        following.send_signal(signal.SIGINT)
        said = read_until(terminal, "stop-execution")
        assert following.stdout is not None
        assert following.stdout.read() == b""

    assert following.returncode == 130
    assert "python -m ops compact --follow left" in said
    assert client("stepfunctions").describe_execution(executionArn=arn)["status"] == "RUNNING"
    client("stepfunctions").stop_execution(executionArn=arn)


def test_a_run_that_is_come_back_to_is_followed_to_its_end(machine: str, capsys: pytest.CaptureFixture[str]) -> None:
    started(machine, "again", 1)

    assert main(["compact", "--follow", "again", "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert (answer["run_id"], answer["status"], answer["tasks"]) == ("again", "SUCCEEDED", 0)


def test_a_run_that_somebody_stopped_is_told_as_stopped(machine: str, capsys: pytest.CaptureFixture[str]) -> None:
    client("stepfunctions").stop_execution(executionArn=started(machine, "stopped", 600), error="Enough", cause="Stop.")

    assert main(["compact", "--follow", "stopped"]) == 1

    assert "The run stopped was stopped. Enough: Stop." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--follow", "the-run", "--from", "2026-11-21"], "Leave --from and --to out"),
        (["--follow", "--dry-run"], "starts no run"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["compact", *options]) == 1

    assert message in capsys.readouterr().err
