"""Runs of the state machines, newest first, and what each has done."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.styled import Styled
from rich.table import Table
from rich.text import Text

from ops.figures import age, hour
from ops.running import Machine
from ops.stack import Stack

LAST = 5
Run = dict[str, Any]


def last_runs(stack: Stack, machines: Iterable[Machine], limit: int = LAST) -> list[Run]:
    """The newest executions of the machines together, as JSON values, each with the `machine` that it is of.

    `did` is what a run answered, None as long as it has not ended well.
    """
    states = stack.client("stepfunctions")
    listed = [
        (machine.command, item)
        for machine in machines
        for item in _listed(states, stack.outputs[machine.output], limit)
    ]
    newest = sorted(listed, key=lambda one: one[1]["startDate"], reverse=True)[:limit]
    return [
        {"machine": command} | run_of(states.describe_execution(executionArn=item["executionArn"]))
        for command, item in newest
    ]


def run_of(execution: dict[str, Any]) -> Run:
    """A described execution: its name, status, times, error and what it answered."""
    ended = execution.get("stopDate")
    return {
        "run_id": execution["name"],
        "status": execution["status"],
        "started_at": execution["startDate"].isoformat(),
        "seconds": round((ended - execution["startDate"]).total_seconds(), 1) if ended else None,
        "error": execution.get("error"),
        "did": json.loads(execution["output"]) if execution["status"] == "SUCCEEDED" else None,
    }


def run_table(title: str, runs: Iterable[Run], machines: Iterable[Machine]) -> RenderableType:
    """The runs for people: what came of each, and on a line of its own the name, which is copied and so never broken.

    A column names the machine where there are several.
    """
    by_command = {machine.command: machine for machine in machines}
    runs = list(runs)
    rows: list[tuple[str, ...]] = [("started", "machine", "state", "took", "result")]
    rows += [_cells(run, by_command[run["machine"]]) for run in runs]
    if len(by_command) == 1:
        rows = [(row[0], *row[2:]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    heading, *lines = (_line(row, widths) for row in rows)
    names = (Text(f"  {run['run_id']}", no_wrap=True, overflow="ignore") for run in runs)
    below = (one for line_and_name in zip(lines, names, strict=True) for one in line_and_name)
    return Group(Text(title, style="table.title"), Styled(heading, "table.header"), *below)


def result_of(run: Run, machine: Machine) -> str:
    """What came of a run, in a line: what it did, or its error; empty as long as there is neither."""
    return str(run["error"] or "") if run["did"] is None else machine.did(run["did"])


def _cells(run: Run, machine: Machine) -> tuple[str, ...]:
    state = run["status"].lower().replace("_", " ")
    taken = "" if run["seconds"] is None else age(run["seconds"])
    return hour(run["started_at"]).partition("-")[2], machine.command, state, taken, result_of(run, machine)


def _line(row: Sequence[str], widths: Sequence[int]) -> Table:
    """A row whose columns stand below those of the others; the last one takes the room that is left."""
    line = Table.grid(padding=(0, 2))
    for width in widths:
        line.add_column(width=width, overflow="fold")
    line.add_column(overflow="fold")
    line.add_row(*row)
    return line


def _listed(states: Any, machine_arn: str, limit: int) -> Iterable[dict[str, Any]]:
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=machine_arn, PaginationConfig={"MaxItems": limit, "PageSize": min(limit, 1000)}
    )
    return (item for page in pages for item in page["executions"])
