"""`python -m ops compact`: writes the archive's readings into the table, or says what that would be."""

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import RenderableType

from ops import running
from ops.figures import count, facts, hour, size
from ops.functions import ask
from ops.stack import Stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The hours, whether only to look, whether to wait."""
    parser.description = (
        "Write archived readings into the table; without --from and --to, of every closed hour. An hour that is still "
        "open is taken when --to is its end."
    )
    running.add_arguments(parser, "arrival hours")


def run(given: argparse.Namespace) -> int:
    """Estimate, start or follow a compaction."""
    return running.run(given, MACHINE, DRY_RUN)


def would_compact(stack: Stack, run_input: dict[str, str]) -> dict[str, Any]:
    """What a compaction with this input would take up and make, as the planner itself says it."""
    answer = ask(stack, "PlanCompactionName", {"run_id": "dry-run", "input": run_input, "dry_run": True})
    return {name: answer[name] for name in ("tasks", "objects", "bytes", "oldest_hour", "until", "estimated")}


def did(answer: dict[str, Any]) -> str:
    """What a compaction did, in a line."""
    if not answer["tasks"]:
        return "nothing to do"
    rejected = f", {answer['quarantined']:,} quarantined" if answer["quarantined"] else ""
    rows = f"{count(answer['stored'], 'row')} in {count(answer['files'], 'file')}"
    return f"{count(answer['objects'], 'object')} ({size(answer['archive_bytes'])}): {rows}{rejected}"


def _show_dry_run(found: dict[str, Any]) -> RenderableType:
    if not found["tasks"]:
        return _nothing()
    estimated = found["estimated"]
    rows = {
        "archive": f"{count(found['objects'], 'object')}, {size(found['bytes'])}",
        "arrival hours": f"from {hour(found['oldest_hour'])} until {hour(found['until'])}",
        "tasks": f"{found['tasks']:,}",
        "rows": f"about {estimated['rows']:,}",
        "files": f"about {estimated['files']:,}",
        "cost": f"about ${estimated['cost_usd']:,.4f}",
    }
    return facts("a compaction would take up", rows)


def _show_report(report: dict[str, Any]) -> RenderableType:
    if not report["tasks"]:
        return _nothing()
    rejected = ", ".join(f"{reason} {number}" for reason, number in report["quarantined_by_reason"].items())
    archive = (count(report["objects"], "object"), size(report["archive_bytes"]), count(report["tasks"], "task"))
    rows = {
        "run": report["run_id"],
        "archive": ", ".join(archive),
        "records": f"{report['records']:,}",
        "stored": f"{report['stored']:,} ({report['late']:,} late)",
        "duplicate": f"{report['duplicate']:,}",
        "quarantined": f"{report['quarantined']:,}" + (f" ({rejected})" if rejected else ""),
        "table": f"{count(report['files'], 'file')}, {size(report['bytes'])}",
    }
    return facts(f"committed in {report['seconds']} s", rows)


def _nothing() -> str:
    end = datetime.now(UTC) + timedelta(hours=1)
    return (
        "Nothing to do: every hour that was asked for is already in the table. "
        f"The hour that is still open is taken with --to {end:%Y-%m-%dT%H}:00Z."
    )


MACHINE = running.Machine("compact", "CompactStateMachineArn", _show_report, did)
DRY_RUN = running.DryRun(would_compact, _show_dry_run)
