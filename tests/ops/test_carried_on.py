"""Coming back to an execution that was stopped, and whose run others have carried on."""

import json

import pytest

from ops.__main__ import main
from ops.reprocess_runs import successor
from ops.stack import find
from reprocessing.keys import execution_key
from tests.lake import Lake, client
from tests.ops.stacks import MACHINE_ARN, stack_of


def enter(lake: Lake, *names: str) -> None:
    """Executions of the run `first`, that have begun one after the other."""
    for hour, name in enumerate(names):
        began = {"name": name, "started_at": f"2026-11-21T{hour:02}:00:00.000Z"}
        lake.store.write(execution_key("first", name), json.dumps(began).encode())


@pytest.mark.parametrize(
    ("statuses", "followed", "shown"),
    [
        ({"first": "ABORTED", "b": "SUCCEEDED"}, "first", "b"),
        ({"first": "ABORTED", "b": "RUNNING"}, "first", "b"),
        ({"first": "FAILED", "b": "ABORTED", "c": "FAILED"}, "first", "c"),
        ({"first": "ABORTED", "b": "SUCCEEDED", "c": "ABORTED"}, "first", "b"),
        ({"first": "SUCCEEDED", "b": "ABORTED"}, "b", "b"),
        ({"first": "SUCCEEDED", "b": "SUCCEEDED"}, "first", "first"),
        ({"first": "ABORTED", "b": "TIMED_OUT", "c": "SUCCEEDED"}, "b", "c"),
    ],
)
def test_of_an_execution_that_did_not_end_well_the_last_later_one_that_did_is_shown(
    memory_lake: Lake, statuses: dict[str, str], followed: str, shown: str
) -> None:
    enter(memory_lake, *statuses)

    assert successor(stack_of(memory_lake, "first", **statuses), MACHINE_ARN, followed) == shown


def test_an_execution_that_ended_before_it_had_a_run_is_shown_itself(memory_lake: Lake) -> None:
    enter(memory_lake, "first")

    assert successor(stack_of(memory_lake, "held", held="FAILED"), MACHINE_ARN, "held") == "held"


def test_whoever_follows_an_execution_that_was_stopped_is_told_who_has_carried_its_run_on_and_its_outcome(
    lake_with_runs: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    states, machine = client("stepfunctions"), find(None).outputs["ReprocessStateMachineArn"]
    waits = json.dumps({"wait_s": 600})
    arn = states.start_execution(stateMachineArn=machine, name="first", input=waits)["executionArn"]
    states.stop_execution(executionArn=arn)
    assert main(["reprocess", "--from", "2026-03-01", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)["execution"]
    enter(lake_with_runs, "first", second)

    assert main(["reprocess", "--follow", "first", "--json"]) == 0

    printed = capsys.readouterr()
    assert f"first ended before its run did, which {second} has carried on" in printed.err
    answer = json.loads(printed.out)
    assert (answer["execution"], answer["outcome"]) == (second, "applied")
