"""How executions are told to people."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ops import asking, executions
from ops.errors import OpsError
from ops.executions import Progress, Tasks

ARN = "arn:aws:states:eu-central-1:1:execution:compact:the-run"
NONE = dict.fromkeys(("succeeded", "running", "failed", "timedOut", "aborted", "total"), 0)


class States:
    """A Step Functions client with one execution, and a map when its tasks are given: (task, status, error)."""

    exceptions = SimpleNamespace(ExecutionDoesNotExist=KeyError, InvalidArn=ValueError)

    def __init__(
        self, *tasks: tuple[str, str, str], status: str = "FAILED", total: int = 0, entered: tuple[str, ...] = ()
    ) -> None:
        self.execution: dict[str, Any] = {"name": "the-run", "status": status}
        self.tasks = {f"child-{task[0]}": task for task in tasks}
        self.entered = entered
        self.maps = ["map"]
        self.counts = NONE | {"total": total or len(tasks), "running": 1 if total else 0, "failed": len(tasks)}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - named by the client
        if executionArn == ARN:
            return self.execution
        task_id, status, error = self.tasks[executionArn]
        cause = json.dumps({"errorMessage": f"sentence of {task_id}"})
        return {"status": status, "error": error, "cause": cause, "input": json.dumps({"task": {"task_id": task_id}})}

    def get_execution_history(self, **_: object) -> dict[str, Any]:
        entered = [{"stateEnteredEventDetails": {"name": name}} for name in reversed(self.entered)]
        return {"events": [{"type": "TaskScheduled"}, *entered]}

    def list_map_runs(self, **_: str) -> dict[str, Any]:
        found = self.maps if self.counts["total"] else []
        return {"mapRuns": [{"mapRunArn": name, "startDate": name} for name in found]}

    def describe_map_run(self, **_: str) -> dict[str, Any]:
        return {"itemCounts": self.counts}

    def list_executions(self, *, maxResults: int, statusFilter: str = "", **_: str) -> dict[str, Any]:  # noqa: N803
        if not statusFilter:
            return {"executions": [{"name": self.execution["name"]}]}
        found = [name for name, (_, status, _) in self.tasks.items() if status == statusFilter]
        return {"executions": [{"executionArn": name} for name in found[:maxResults]]}


def failure(states: States, error: str = "", sentence: str = "") -> str:
    if error:
        states.execution |= {"error": error, "cause": json.dumps({"errorMessage": sentence})}
    command = "python -m ops compact --follow"
    return str(executions.failure(states, ARN, lambda: command, f"{command} the-run"))


def test_a_status_that_is_not_known_is_not_taken_for_still_running() -> None:
    with pytest.raises(OpsError, match="SLEEPING"):
        executions.progress(States(status="SLEEPING"), ARN)


def test_a_run_that_there_is_not_is_said_to_be_none() -> None:
    with pytest.raises(OpsError, match=r"no run other of compact\. The last ones: python -m ops runs"):
        executions.describe(States(), "arn:aws:states:eu-central-1:1:execution:compact:other")


def test_a_name_that_is_almost_one_is_answered_with_that() -> None:
    with pytest.raises(OpsError, match=r"no run the-rum of compact\. Did you mean the-run\?"):
        executions.describe(States(), "arn:aws:states:eu-central-1:1:execution:compact:the-rum")


@pytest.mark.parametrize("status", ["RUNNING", "PENDING_REDRIVE", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_before_the_map_there_is_no_number_of_tasks(status: str) -> None:
    assert executions.progress(States(status=status), ARN) == Progress(status)


def test_progress_is_the_state_entered_last_and_the_tasks_by_what_became_of_them() -> None:
    states = States(status="RUNNING", entered=("Plan", "Write"), total=9)
    states.counts |= {"succeeded": 2, "running": 3, "failed": 1, "timedOut": 1, "aborted": 1}

    assert executions.progress(states, ARN) == Progress(
        "RUNNING", "Write", Tasks(total=9, done=2, running=3, failed=3, map="map")
    )


def test_output_has_the_run_and_the_seconds_it_took() -> None:
    states = States(status="SUCCEEDED")
    began, ended = (datetime(2026, 11, 21, 9, minute, tzinfo=UTC) for minute in (0, 2))
    states.execution |= {"startDate": began, "stopDate": ended, "output": '{"tasks": 3}'}

    assert executions.output(states, ARN) == {"run_id": "the-run", "status": "SUCCEEDED", "tasks": 3, "seconds": 120.0}


def test_a_failure_says_error_sentence_and_what_to_do() -> None:
    assert failure(States(), "InvalidInput", "from: no time") == (
        "The run the-run failed. InvalidInput: from: no time\nCorrect the input as the message says."
    )


def test_an_input_that_no_options_stand_for_is_told_as_refused_too() -> None:
    states = States()
    states.execution |= {"error": "InvalidInput", "cause": "restore: not an object"}

    told = executions.failure(states, ARN, lambda: asking.options_of({"restore": "Bulk"})[0], "")

    assert "InvalidInput: restore: not an object" in str(told)


def test_failed_tasks_are_named_with_error_and_sentence_and_lead_to_the_advice() -> None:
    states = States(("00003", "ABORTED", ""), ("00007", "FAILED", "ObjectArchived"), total=9)

    said = failure(states, "States.ExceedToleratedFailureThreshold").splitlines()

    assert said[1:3] == ["  task 00007: ObjectArchived: sentence of 00007", "  task 00003: ABORTED: sentence of 00003"]
    assert said[3].startswith("Restore the object")
    assert said[4] == f"  aws stepfunctions redrive-execution --execution-arn {ARN}"
    assert said[5] == "  python -m ops compact --follow the-run"


def test_of_many_failed_tasks_some_are_named_and_all_are_counted() -> None:
    said = failure(States(*((f"{number:05}", "FAILED", "DiskFull") for number in range(50)), total=90))

    assert "task 00004" in said
    assert "task 00005" not in said
    assert "50 of 90 tasks failed" in said


def test_a_failure_without_an_error_of_ours_names_both_ways_on() -> None:
    said = failure(States(status="TIMED_OUT"))

    assert "The run the-run ran out of time." in said
    assert f"redrive-execution --execution-arn {ARN}" in said
    assert "python -m ops compact --follow\n" in said


def test_a_run_that_somebody_stopped_is_not_said_to_have_failed_nor_to_be_lost() -> None:
    said = failure(States(status="ABORTED")).splitlines()

    assert said[0] == "The run the-run was stopped."
    assert said[-4].startswith("What it has published stays.")
    assert said[-3] == "  python -m ops compact --follow"
    assert said[-2] == f"  aws stepfunctions redrive-execution --execution-arn {ARN}"


def test_a_failure_that_a_redrive_cannot_mend_names_a_new_run_alone() -> None:
    said = failure(States(), "ObjectsAlreadyCommitted")

    assert said.endswith("  python -m ops compact --follow")
    assert "redrive" not in said


def test_a_refusal_that_has_a_report_names_the_command_that_shows_it() -> None:
    said = failure(States(), "FewerReadings", "3 readings would be gone.").splitlines()

    assert said[-2:] == ["  python -m ops runs the-run", "  python -m ops compact --follow"]
