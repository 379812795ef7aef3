"""Runs of the state machines, newest first, and what each has done."""

import json
from collections.abc import Iterable
from typing import Any

from rich.table import Table

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


def run_table(title: str, runs: Iterable[Run], machines: Iterable[Machine]) -> Table:
    """The runs for people, with a column that names the machine where there are several."""
    by_command = {machine.command: machine for machine in machines}
    table = Table(title=title)
    if len(by_command) > 1:
        table.add_column("machine", overflow="fold")
    table.add_column("run", no_wrap=True)  # to be copied behind --follow
    table.add_column("started", no_wrap=True)
    table.add_column("took", overflow="fold")
    table.add_column("result", overflow="fold")
    for run in runs:
        machine = [run["machine"]] if len(by_command) > 1 else []
        started, taken = (
            hour(run["started_at"]).partition("-")[2],
            "" if run["seconds"] is None else age(run["seconds"]),
        )
        table.add_row(*machine, run["run_id"], started, taken, result_of(run, by_command[run["machine"]]))
    return table


def result_of(run: Run, machine: Machine) -> str:
    """What came of a run, in a line: what it did, its error, or that it goes on."""
    if run["error"]:
        return str(run["error"])
    return str(run["status"]).lower() if run["did"] is None else machine.did(run["did"])


def _listed(states: Any, machine_arn: str, limit: int) -> Iterable[dict[str, Any]]:
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=machine_arn, PaginationConfig={"MaxItems": limit, "PageSize": min(limit, 1000)}
    )
    return (item for page in pages for item in page["executions"])
