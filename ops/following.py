"""Watching a run until it ends: its state and its map's tasks, live on standard error."""

import sys
import time
from collections.abc import Callable
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


class Pace:
    """How fast a map's tasks are done, since somebody began to watch."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def of(self, tasks: Tasks) -> float | None:
        """Tasks a second; None until the first was seen done."""
        now = self._clock()
        began, done = self._first = self._first or (now, tasks.done)
        return (tasks.done - done) / (now - began) if tasks.done > done and now > began else None


def follow(states: Any, arn: str, way_back: str) -> str:
    """Show the run until it ends, and answer its final status.

    Whoever stops watching, or loses the connection, is told that the run goes on, and the command `way_back`.
    """
    console = Console(stderr=True)
    run_id, pace, began = arn.rpartition(":")[2], Pace(), time.monotonic()
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                now = executions.progress(states, arn)
                rate = pace.of(now.tasks) if now.tasks else None
                live.update(picture(run_id, now, rate, time.monotonic() - began), refresh=True)
                if now.status not in executions.RUNNING:
                    return now.status
                time.sleep(_POLL_S)
    except (KeyboardInterrupt, ClientError, BotoCoreError):
        print(
            f"The run goes on without you. Come back to it with:  {way_back}\n"
            f"Stop it with:  aws stepfunctions stop-execution --execution-arn {arn}",
            file=sys.stderr,
        )
        raise
    finally:
        if not console.is_interactive:
            console.print()  # what Live leaves to a terminal


def picture(run_id: str, now: Progress, rate: float | None, watched_s: float) -> Table:
    """Run and state; once there are tasks a bar; their counts, tasks a second or minute, and the time left."""
    place = now.status if now.status not in executions.RUNNING else now.state or "starting"
    minutes, seconds = divmod(round(watched_s), 60)
    lines = Table.grid(expand=True)
    lines.add_row(f"{run_id}: {place}, watched for {minutes}:{seconds:02}")
    if now.tasks is not None:
        lines.add_row(ProgressBar(total=max(now.tasks.total, 1), completed=now.tasks.done))
        lines.add_row(_counts(now.tasks, rate))
    return lines


def _counts(tasks: Tasks, rate: float | None) -> str:
    told = [f"{tasks.done:,} of {count(tasks.total, 'task')} done"]
    if tasks.running:
        told.append(f"{tasks.running:,} running")
    if tasks.failed:
        told.append(f"{tasks.failed:,} failed")
    if rate is not None:
        told.append(f"{rate:.1f} a second" if rate >= 1 else f"{rate * 60:.1f} a minute")
        if left := tasks.total - tasks.done - tasks.failed:
            told.append(f"about {age(left / rate)} left")
    return ", ".join(told)
