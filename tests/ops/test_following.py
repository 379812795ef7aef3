"""Watching a run."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ops import following
from ops.executions import Progress, Tasks
from ops.following import Pace, follow, picture

ARN = "arn:aws:states:eu-central-1:1:execution:compact:the-run"


def shown(now: Progress, rate: float | None = None, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(picture("the-run", now, rate, 65))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_the_pace_is_of_the_tasks_that_were_done_while_somebody_watched() -> None:
    clock = iter([100.0, 110.0, 120.0])
    pace = Pace(lambda: next(clock))

    assert [pace.of(done) for done in (40, 40, 50)] == [None, None, 0.5]


def test_the_pace_of_the_next_map_begins_anew() -> None:
    clock = iter([100.0, 110.0, 120.0, 130.0])
    pace = Pace(lambda: next(clock))

    seen = [(40, "decode"), (50, "decode"), (3, "merge"), (5, "merge")]

    assert [pace.of(done, name) for done, name in seen] == [None, 1.0, None, 0.2]


def test_before_the_map_the_state_is_shown_alone() -> None:
    assert shown(Progress("RUNNING")) == ["the-run: starting, watched for 1:05"]
    assert shown(Progress("RUNNING", "Plan Compaction")) == ["the-run: Plan Compaction, watched for 1:05"]


def test_with_a_map_its_tasks_their_pace_and_the_time_left_are_shown() -> None:
    state, bar, counts = shown(Progress("RUNNING", "Write", Tasks(2000, 800, 100, 3)), 0.5)

    assert state.startswith("the-run: Write")
    assert bar == "━" * 32, "two fifths of the width; the rest has no colour here"
    assert counts == "800 of 2,000 tasks done, 100 running, 3 failed, 30.0 a minute, about 39 min left"
    assert shown(Progress("SUCCEEDED", "Commit", Tasks(1, 1, 0, 0)), 2.0)[0::2] == [
        "the-run: SUCCEEDED, watched for 1:05",
        "1 of 1 task done, 2.0 a second",
    ]


@pytest.mark.parametrize("width", [1, 7, 20])
def test_a_narrow_terminal_shows_it_too(width: int) -> None:
    assert shown(Progress("RUNNING", "Write", Tasks(2000, 800, 100, 3)), 0.5, width)


class Interrupted:
    """A client that somebody interrupts, at the first look."""

    exceptions = SimpleNamespace(ExecutionDoesNotExist=KeyError, InvalidArn=ValueError)

    def describe_execution(self, **_: str) -> Any:
        raise KeyboardInterrupt


def test_whoever_stops_watching_is_told_that_the_run_goes_on_and_how_to_come_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_POLL_S", 0)

    with pytest.raises(KeyboardInterrupt):
        follow(Interrupted(), ARN, "python -m ops compact --follow the-run")

    printed = capsys.readouterr()
    assert "goes on" in printed.err
    assert "python -m ops compact --follow the-run\n" in printed.err
    assert f"stop-execution --execution-arn {ARN}" in printed.err
    assert printed.out == ""
