"""`python -m ops status`: the deployed parts, what waits in the archive, what the table holds, the last runs."""

import argparse
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from ops.compact import would_compact
from ops.figures import age, count, facts, size
from ops.lake import load_table
from ops.last_runs import last_runs, run_table
from ops.machines import MACHINES
from ops.optimize import reasons, rewrite_text, would_rewrite
from ops.partitions import partitions, short, worth_showing
from ops.stack import Stack, find


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""
    parser.description = "What is deployed, what waits in the archive, what the table holds, how the last runs ended."


def run(given: argparse.Namespace) -> int:
    """Print the status."""
    now = datetime.now(UTC)
    stack = find(given.stack)
    with Console(stderr=True).status("Looking at archive and table"):
        found = gather(stack, now)
    if given.json:
        print(json.dumps(found))
    else:
        _show(found)
    return 0


def gather(stack: Stack, now: datetime) -> dict[str, Any]:
    """The status as JSON values: sizes in bytes, times in ISO-8601, ages in seconds."""
    return {
        "stack": {"name": stack.name, "status": stack.status, "region": stack.region},
        "stream": _stream(stack),
        "hot_table": _hot_table(stack),
        "archive": _archive(stack, now),
        "table": _table(stack),
        "runs": {machine.command: last_runs(stack, [machine]) for machine in MACHINES},
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
    closed = would_compact(stack, {})
    still_open = would_compact(stack, {"from": closed["until"], "to": (now + timedelta(hours=1)).isoformat()})
    oldest = closed["oldest_hour"] or still_open["oldest_hour"]
    return {
        "bucket": stack.outputs["RawBucketName"],
        "closed": closed,
        "open": {name: still_open[name] for name in ("objects", "bytes")},
        "oldest_hour": oldest,
        "oldest_age_s": round((now - datetime.fromisoformat(oldest)).total_seconds()) if oldest else None,
    }


def _table(stack: Stack) -> dict[str, Any] | None:
    table = load_table(stack)
    if table is None:
        return None
    snapshot = table.current_snapshot()
    found, rewrite = partitions(table), would_rewrite(stack, {})
    because = reasons(rewrite)
    return {
        "name": ".".join(table.name()),
        "location": table.location(),
        "snapshots": len(table.metadata.snapshots),
        "rows": sum(one.rows for one in found),
        "files": sum(one.files for one in found),
        "bytes": sum(one.bytes for one in found),
        "changed_at": datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC).isoformat() if snapshot else None,
        "partitions": len(found),
        "some_partitions": [
            one._asdict() | {"rewrite": because.get(one.partition)} for one in worth_showing(found, because)
        ],
        "optimize": rewrite,
    }


def _show(found: dict[str, Any]) -> None:
    console = Console()
    archive, stream, table = found["archive"], found["stream"], found["table"]
    oldest = {} if archive["oldest_age_s"] is None else {"oldest hour": f"began {age(archive['oldest_age_s'])} ago"}
    rows = {
        "stack": found["stack"]["status"],
        "stream": f"{stream['name']}: {stream['status']}, {count(stream['shards'], 'shard')}",
        "hot table": f"{found['hot_table']['name']}: about {count(found['hot_table']['items'], 'item')}",
        "closed hours": f"{_pile(archive['closed'])} to compact, {count(archive['closed']['tasks'], 'task')}",
        "open hours": _pile(archive["open"]),
        **oldest,
        "table": _table_text(table),
        **({"to optimize": rewrite_text(table["optimize"])} if table else {}),
    }
    console.print(facts(f"{found['stack']['name']} in {found['stack']['region']}", rows))
    if table and table["some_partitions"]:
        console.print(_partition_table(table))
    for machine in MACHINES:
        if runs := found["runs"][machine.command]:
            console.print(run_table(f"last runs of {machine.command}", runs, [machine]), highlight=False, crop=False)


def _pile(pile: dict[str, Any]) -> str:
    return f"{count(pile['objects'], 'object')}, {size(pile['bytes'])}"


def _table_text(table: dict[str, Any] | None) -> str:
    if table is None:
        return "none yet: python -m ops compact --follow"
    figures = f"{count(table['rows'], 'row')} in {count(table['files'], 'file')}, {size(table['bytes'])}"
    return f"{table['name']}: {figures}, {count(table['snapshots'], 'snapshot')}"


def _partition_table(found: dict[str, Any]) -> Table:
    some, every = found["some_partitions"], found["partitions"]
    shown = f"the newest and the worst of {every:,} partitions" if len(some) < every else count(every, "partition")
    table = Table(title=shown)
    table.add_column("partition", overflow="fold")
    for heading in ("files", "rows", "smallest", "median", "largest"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("to optimize", overflow="fold")
    for one in some:
        sizes = (size(one[name]) for name in ("smallest", "median", "largest"))
        table.add_row(short(one["partition"]), f"{one['files']:,}", f"{one['rows']:,}", *sizes, one["rewrite"])
    return table
