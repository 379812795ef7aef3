"""Coming back to an execution that was stopped, and whose run others have carried on."""

import json

import pytest

from ops.__main__ import main
from ops.stack import find
from reprocessing.keys import execution_key
from tests.lake import Lake, client
from tests.ops.deployment import ended

INPUTS = {"SUCCEEDED": {"mode": "dry_run"}, "FAILED": {"mode": "apply"}, "ABORTED": {"wait_s": 600}}
"""Of executions of the run `first`, by how they end."""


def execute(lake: Lake, **statuses: str) -> None:
    """Executions of the run `first` that begin one after the other and end with these statuses."""
    states, machine = client("stepfunctions"), find(None).outputs["ReprocessStateMachineArn"]
    for hour, (name, status) in enumerate(statuses.items()):
        asked = json.dumps(INPUTS[status])
        arn = states.start_execution(stateMachineArn=machine, name=name, input=asked)["executionArn"]
        if status == "ABORTED":
            states.stop_execution(executionArn=arn)
        assert ended(arn)["status"] == status
        began = {"name": name, "started_at": f"2026-11-21T{hour:02}:00:00.000Z"}
        lake.store.write(execution_key("first", name), json.dumps(began).encode())


@pytest.mark.parametrize(
    ("later", "carrier"),
    [({"second": "SUCCEEDED"}, "second"), ({"second": "SUCCEEDED", "third": "ABORTED"}, "second")],
)
def test_an_execution_that_was_stopped_shows_the_outcome_of_the_one_that_carried_its_run_on(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str], later: dict[str, str], carrier: str
) -> None:
    execute(lake_with_runs, first="ABORTED", **later)

    assert main(["reprocess", "--follow", "first", "--json"]) == 0

    printed = capsys.readouterr()
    assert f"first ended before its run did, which {carrier} has carried on" in printed.err
    answer = json.loads(printed.out)
    assert (answer["execution"], answer["outcome"]) == (carrier, "applied")


def test_the_failure_of_the_one_that_carried_it_on_is_told(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(lake_with_runs, first="ABORTED", second="FAILED")

    assert main(["reprocess", "--follow", "first"]) == 1

    assert "The run second failed. FewerReadings: 3 readings would be gone." in capsys.readouterr().err


def test_an_execution_whose_run_nobody_has_carried_on_is_told_as_it_ended(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(lake_with_runs, zeroth="SUCCEEDED", first="ABORTED")

    assert main(["reprocess", "--follow", "first"]) == 1

    assert "The run first was stopped." in capsys.readouterr().err
