"""How executions are told to people."""

from typing import Any

import pytest

from ops import executions
from ops.errors import OpsError
from ops.figures import age, count, size


class States:
    """A Step Functions client with one execution."""

    def __init__(self, **execution: Any) -> None:
        self.execution = execution

    def describe_execution(self, **_: str) -> dict[str, Any]:
        return self.execution

    def list_map_runs(self, **_: str) -> dict[str, Any]:
        return {"mapRuns": []}


def test_a_status_that_is_not_known_is_not_taken_for_still_running() -> None:
    with pytest.raises(OpsError, match="SLEEPING"):
        executions.progress(States(status="SLEEPING"), "arn")


@pytest.mark.parametrize("status", ["RUNNING", "PENDING_REDRIVE", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_before_the_map_there_is_no_number_of_tasks(status: str) -> None:
    assert executions.progress(States(status=status), "arn") == executions.Progress(status)


def test_a_failure_says_error_sentence_and_what_to_do() -> None:
    cause = '{"errorMessage": "from: no time", "errorType": "InvalidInput"}'
    told = str(executions.failure(States(status="FAILED", error="InvalidInput", cause=cause), "arn"))

    assert told == "The run failed. InvalidInput: from: no time\nCorrect --from and --to."


def test_a_failure_without_an_error_of_ours_names_both_ways_on() -> None:
    told = str(executions.failure(States(status="TIMED_OUT"), "the-arn"))

    assert "TIMED_OUT" in told
    assert "redrive-execution --execution-arn the-arn" in told


def test_figures_read_as_people_write_them() -> None:
    assert [size(number) for number in (0, 999, 1000, 1_500_000, 2e9, 3e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "2.0 GB",
        "3.0 TB",
    ]
    assert [count(1, "file"), count(0, "file"), count(2000, "row")] == ["1 file", "0 files", "2,000 rows"]
    assert [age(-5), age(59), age(3700), age(90_000)] == ["0 min", "0 min", "1 h 1 min", "1 d 1 h"]
