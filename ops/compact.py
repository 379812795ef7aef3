"""`python -m ops compact`: starts a compaction run and, when asked, follows it to its end."""

import argparse
import json
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from compaction.errors import InvalidInput
from compaction.hours import window_of
from ops import executions
from ops.errors import OpsError
from ops.figures import count, size
from ops.stack import find

_POLL_S = 1.0  # two or three calls a second stay far below the limits of the Step Functions API


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The hours, and whether to wait."""
    parser.description = "Write archived readings into the table; without --from and --to, every closed hour."
    parser.add_argument("--from", dest="start", metavar="ISO", help="first arrival hour, such as 2026-11-21T09:00Z")
    parser.add_argument("--to", dest="end", metavar="ISO", help="end of the arrival hours; may be an hour still open")
    parser.add_argument("--follow", action="store_true", help="show the progress and wait for the end")


def run(given: argparse.Namespace) -> int:
    """Start a run; with --follow 0 when it is committed (or nothing waited), OpsError when it failed."""
    now = datetime.now(UTC)
    run_input = {name: value for name, value in (("from", given.start), ("to", given.end)) if value is not None}
    try:
        window_of(run_input, now, grace_minutes=0)
    except InvalidInput as error:
        raise OpsError(f"--{error}") from None
    stack = find(given.stack)
    states = stack.client("stepfunctions")
    run_id = f"manual-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    arn = states.start_execution(
        stateMachineArn=stack.outputs["CompactStateMachineArn"], name=run_id, input=json.dumps(run_input)
    )["executionArn"]
    if not given.follow:
        _show({"run_id": run_id, "execution_arn": arn, "status": "RUNNING"}, as_json=given.json)
        return 0
    started = time.monotonic()
    status = _follow(states, arn, run_id, quiet=given.json)
    if status != "SUCCEEDED":
        raise executions.failure(states, arn)
    outcome = {"run_id": run_id, "status": status} | executions.output(states, arn)
    _show(outcome | {"seconds": round(time.monotonic() - started, 1)}, as_json=given.json)
    return 0


def _follow(states: Any, arn: str, run_id: str, *, quiet: bool) -> str:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[tasks]}"), TimeElapsedColumn())
    console = Console(stderr=True, quiet=quiet)
    with Progress(*columns, console=console) as bar:
        shown = bar.add_task(f"{run_id}: planning", total=None, tasks="")
        while True:
            now = executions.progress(states, arn)
            if now.total is not None:
                failed = f", {now.failed} failed" if now.failed else ""
                stage = "committing" if now.done == now.total else "writing"
                bar.update(
                    shown,
                    description=f"{run_id}: {stage}",
                    completed=now.done,
                    total=now.total,
                    tasks=f"{now.done}/{now.total} tasks{failed}",
                )
            if now.status not in executions.RUNNING:
                return now.status
            time.sleep(_POLL_S)


def _show(outcome: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome))
        return
    console = Console(file=sys.stdout)
    if outcome["status"] == "RUNNING":
        console.print(f"Started {outcome['run_id']}. python -m ops status shows its end.")
    elif not outcome["tasks"]:
        end = datetime.now(UTC) + timedelta(hours=1)
        console.print(
            "Nothing to do: every hour that was asked for is already in the table. "
            f"The hour that is still open is taken with --to {end:%Y-%m-%dT%H}:00Z.",
            highlight=False,
        )
    else:
        console.print(_figures(outcome))


def _figures(report: dict[str, Any]) -> Table:
    table = Table(title=f"{report['run_id']}: committed in {report['seconds']} s", show_header=False)
    rejected = ", ".join(f"{reason} {number}" for reason, number in report["quarantined_by_reason"].items())
    archive = (count(report["objects"], "object"), size(report["archive_bytes"]), count(report["tasks"], "task"))
    rows = {
        "archive": ", ".join(archive),
        "records": f"{report['records']:,}",
        "stored": f"{report['stored']:,} ({report['late']:,} late)",
        "duplicate": f"{report['duplicate']:,}",
        "quarantined": f"{report['quarantined']:,}" + (f" ({rejected})" if rejected else ""),
        "table": f"{count(report['files'], 'file')}, {size(report['bytes'])}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
