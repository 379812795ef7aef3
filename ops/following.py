"""Watching a run until it ends: its state, its map's tasks and what else there is to tell, live on standard error."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from ops import executions
from ops.executions import Progress, Tasks
from ops.figures import age, count

_POLL_S = 1.0  # four calls a second stay below what the Step Functions API grants for good (10 and more, by call)


Details = Callable[[str, Progress], Sequence[str]]
"""Further lines about the execution (its ARN) that is that far."""


def no_details(_arn: str, _now: Progress) -> Sequence[str]:
    """Nothing beside what every run shows."""
    return ()


class Pace:
    """How fast something is done, since somebody began to watch; from the start again when `what` is another thing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[str, float, int] | None = None

    def of(self, done: int, what: str = "") -> float | None:
        """How many a second; None until the first was seen done."""
        now = self._clock()
        if self._first is None or self._first[0] != what:
            self._first = (what, now, done)
        _, began, before = self._first
        return (done - before) / (now - began) if done > before and now > began else None


def follow(states: Any, arn: str, way_back: str, details: Details = no_details) -> str:
    """Show the run until it ends, and answer its final status.

    Whoever stops watching, or loses the connection, is told that the run goes on, and the command `way_back`.
    """
    console = Console(stderr=True)
    run_id, pace, began = arn.rpartition(":")[2], Pace(), time.monotonic()
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                now = executions.progress(states, arn)
                rate = pace.of(now.tasks.done, now.tasks.map) if now.tasks else None
                more = details(arn, now)
                live.update(picture(run_id, now, rate, time.monotonic() - began, more), refresh=True)
                if now.status not in executions.RUNNING:
                    return now.status
                time.sleep(_POLL_S)
    except (KeyboardInterrupt, ClientError, BotoCoreError):
        below = "" if console.is_interactive else "\n"  # Live has left the last line open
        print(
            f"{below}The run goes on without you. Come back to it with:  {way_back}\n"
            f"Stop it with:  aws stepfunctions stop-execution --execution-arn {arn}",
            file=sys.stderr,
        )
        raise
    finally:
        if not console.is_interactive:
            console.print()  # what Live leaves to a terminal


def picture(run_id: str, now: Progress, rate: float | None, watched_s: float, more: Sequence[str] = ()) -> Table:
    """Run and state; once there are tasks a bar, counts, tasks a second or minute, and the time left; then `more`."""
    place = now.status if now.status not in executions.RUNNING else now.state or "starting"
    minutes, seconds = divmod(round(watched_s), 60)
    lines = Table.grid(expand=True)
    lines.add_row(f"{run_id}: {place}, watched for {minutes}:{seconds:02}")
    if now.tasks is not None:
        lines.add_row(ProgressBar(total=max(now.tasks.total, 1), completed=now.tasks.done))
        lines.add_row(_counts(now.tasks, rate))
    for line in more:
        lines.add_row(line)
    return lines


def _counts(tasks: Tasks, rate: float | None) -> str:
    told = [f"{tasks.done:,} of {count(tasks.total, 'task')} done"]
    if tasks.running:
        told.append(f"{tasks.running:,} running")
    if tasks.failed:
        told.append(f"{tasks.failed:,} failed")
    if rate is not None:
        told.append(speed(rate))
        if left := tasks.total - tasks.done - tasks.failed:
            told.append(f"about {age(left / rate)} left")
    return ", ".join(told)


def speed(rate: float) -> str:
    """How many a second, or a minute where they are few."""
    return f"{rate:,.1f} a second" if rate >= 1 else f"{rate * 60:.1f} a minute"
