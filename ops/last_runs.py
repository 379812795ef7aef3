"""The last runs of the state machines, and what each has done."""

import json
from collections.abc import Callable
from typing import Any

from rich.table import Table

from ops.figures import age, hour

LAST = 5


def last_runs(states: Any, machine_arn: str) -> list[dict[str, Any]]:
    """The newest executions as JSON values; `did` is what a run answered, None as long as it has not ended well."""
    listed = states.list_executions(stateMachineArn=machine_arn, maxResults=LAST)["executions"]
    return [_run(states, item) for item in listed]


def _run(states: Any, item: dict[str, Any]) -> dict[str, Any]:
    described = states.describe_execution(executionArn=item["executionArn"])
    ended = described.get("stopDate")
    return {
        "run_id": item["name"],
        "status": item["status"],
        "started_at": item["startDate"].isoformat(),
        "seconds": round((ended - item["startDate"]).total_seconds(), 1) if ended else None,
        "error": described.get("error"),
        "did": json.loads(described["output"]) if item["status"] == "SUCCEEDED" else None,
    }


def run_table(command: str, runs: list[dict[str, Any]], sentence: Callable[[dict[str, Any]], str]) -> Table:
    """The runs for people; `sentence` says what one did from its answer."""
    table = Table(title=f"last runs of {command}")
    table.add_column("run", no_wrap=True)  # to be copied behind --follow
    table.add_column("started", no_wrap=True)
    table.add_column("took", overflow="fold")
    table.add_column("result", overflow="fold")
    for run in runs:
        taken = "" if run["seconds"] is None else age(run["seconds"])
        result = run["status"].lower() if run["did"] is None else sentence(run["did"])
        table.add_row(run["run_id"], hour(run["started_at"]).partition("-")[2], taken, run["error"] or result)
    return table
