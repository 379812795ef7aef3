"""`python -m ops status`: the deployed parts, what waits in the archive, what the table holds, the last runs."""

import argparse
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from ops.errors import OpsError
from ops.figures import age, count, size
from ops.lake import load_table
from ops.stack import Stack, find

_LAST_RUNS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""
    parser.description = "What is deployed, what waits in the archive, what the table holds, how the last runs ended."


def run(given: argparse.Namespace) -> int:
    """Print the status."""
    now = datetime.now(UTC)
    found = gather(find(given.stack), now)
    if given.json:
        print(json.dumps(found))
    else:
        _show(found, now)
    return 0


def gather(stack: Stack, now: datetime) -> dict[str, Any]:
    """The status as JSON values: sizes in bytes, times in ISO-8601."""
    return {
        "stack": {"name": stack.name, "status": stack.status, "region": stack.region},
        "stream": _stream(stack),
        "hot_table": _hot_table(stack),
        "archive": _archive(stack, now),
        "table": _table(stack),
        "runs": _runs(stack),
    }


def _stream(stack: Stack) -> dict[str, Any]:
    summary = stack.client("kinesis").describe_stream_summary(StreamName=stack.outputs["StreamName"])
    described = summary["StreamDescriptionSummary"]
    return {
        "name": described["StreamName"],
        "status": described["StreamStatus"],
        "shards": described["OpenShardCount"],
    }


def _hot_table(stack: Stack) -> dict[str, Any]:
    table = stack.client("dynamodb").describe_table(TableName=stack.outputs["ReadingsTableName"])["Table"]
    return {
        "name": table["TableName"],
        "status": table["TableStatus"],
        "items": table["ItemCount"],  # DynamoDB counts every six hours or so
        "bytes": table["TableSizeBytes"],
    }


def _archive(stack: Stack, now: datetime) -> dict[str, Any]:
    """What the next run would take, and what has arrived in hours that are still open; the planner itself says it."""
    closed = _would_plan(stack, {})
    still_open = _would_plan(stack, {"from": closed["until"], "to": (now + timedelta(hours=1)).isoformat()})
    return {
        "bucket": stack.outputs["RawBucketName"],
        "closed": closed,
        "open": {name: still_open[name] for name in ("objects", "bytes")},
        "oldest_hour": closed["oldest_hour"] or still_open["oldest_hour"],
    }


def _would_plan(stack: Stack, run_input: dict[str, str]) -> dict[str, Any]:
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["PlanCompactionName"],
        Payload=json.dumps({"run_id": "status", "input": run_input, "dry_run": True}),
    )
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise OpsError(f"{stack.outputs['PlanCompactionName']} failed: {body.get('errorMessage')}. See its logs.")
    return {name: body[name] for name in ("tasks", "objects", "bytes", "oldest_hour", "until", "estimated")}


def _table(stack: Stack) -> dict[str, Any] | None:
    table = load_table(stack)
    if table is None:
        return None
    snapshot = table.current_snapshot()
    totals = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}
    return {
        "name": ".".join(table.name()),
        "location": table.location(),
        "snapshots": len(table.metadata.snapshots),
        "rows": int(totals.get("total-records", 0)),
        "files": int(totals.get("total-data-files", 0)),
        "bytes": int(totals.get("total-files-size", 0)),
        "changed_at": datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC).isoformat() if snapshot else None,
    }


def _runs(stack: Stack) -> list[dict[str, Any]]:
    states = stack.client("stepfunctions")
    listed = states.list_executions(stateMachineArn=stack.outputs["CompactStateMachineArn"], maxResults=_LAST_RUNS)[
        "executions"
    ]
    return [_run(states, item) for item in listed]


def _run(states: Any, item: dict[str, Any]) -> dict[str, Any]:
    described = states.describe_execution(executionArn=item["executionArn"])
    answer = json.loads(described["output"]) if item["status"] == "SUCCEEDED" else {}
    return {
        "run_id": item["name"],
        "status": item["status"],
        "started_at": item["startDate"].astimezone(UTC).isoformat(),
        "error": described.get("error"),
        "objects": answer.get("objects"),
        "stored": answer.get("stored"),
        "quarantined": answer.get("quarantined"),
    }


def _show(found: dict[str, Any], now: datetime) -> None:
    console = Console()
    archive, stream, table = found["archive"], found["stream"], found["table"]
    oldest = archive["oldest_hour"]
    waiting = f", the oldest for {age((now - datetime.fromisoformat(oldest)).total_seconds())}" if oldest else ""
    facts = Table(show_header=False, title=f"{found['stack']['name']} in {found['stack']['region']}")
    facts.add_row("stack", found["stack"]["status"])
    facts.add_row("stream", f"{stream['name']}: {stream['status']}, {count(stream['shards'], 'shard')}")
    facts.add_row("hot table", f"{found['hot_table']['name']}: about {count(found['hot_table']['items'], 'item')}")
    facts.add_row("closed hours", f"{_pile(archive['closed'])} to compact, {count(archive['closed']['tasks'], 'task')}")
    facts.add_row("open hours", f"{_pile(archive['open'])}{waiting}")
    facts.add_row("table", _table_text(table))
    console.print(facts)
    if found["runs"]:
        console.print(_run_table(found["runs"]))


def _pile(pile: dict[str, Any]) -> str:
    return f"{count(pile['objects'], 'object')}, {size(pile['bytes'])}"


def _table_text(table: dict[str, Any] | None) -> str:
    if table is None:
        return "none yet: python -m ops compact --follow"
    figures = f"{count(table['rows'], 'row')} in {count(table['files'], 'file')}, {size(table['bytes'])}"
    return f"{table['name']}: {figures}, {count(table['snapshots'], 'snapshot')}"


def _run_table(runs: list[dict[str, Any]]) -> Table:
    table = Table(title="last runs")
    for heading in ("run", "status", "started"):
        table.add_column(heading, overflow="fold")
    for heading in ("objects", "stored", "quarantined"):
        table.add_column(heading, justify="right", no_wrap=True)
    for item in runs:
        status = f"{item['status']}: {item['error']}" if item["error"] else item["status"]
        figures = ("" if item[name] is None else f"{item[name]:,}" for name in ("objects", "stored", "quarantined"))
        table.add_row(item["run_id"], status, item["started_at"][:16].replace("T", " "), *figures)
    return table
