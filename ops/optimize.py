"""`python -m ops optimize`: rewrites files, expires snapshots and deletes orphans, or says what that would be."""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from ops import running
from ops.figures import count, facts, size
from ops.functions import ask
from ops.partitions import short
from ops.stack import Stack

_STEPS = {"rewrite": "PlanOptimizationName", "expire": "ExpireSnapshotsName", "sweep": "SweepOrphansName"}
_SHOWN = 20  # partitions; the planner names a hundred


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The partitions, whether only to look, whether to wait."""
    parser.description = (
        "Rewrite the table's files where they are many, small, overlapping or unsorted, then expire old snapshots and "
        "delete orphan files; without --from and --to, in every partition."
    )
    running.add_arguments(parser, "times of measurement")


def run(given: argparse.Namespace) -> int:
    """Estimate, start or follow a run."""
    return running.run(given, MACHINE, DRY_RUN)


def would_rewrite(stack: Stack, run_input: dict[str, str]) -> dict[str, Any]:
    """What a run with this input would rewrite, as the planner itself says it; some partitions, with the reason."""
    answer = ask(stack, _STEPS["rewrite"], {"run_id": "dry-run", "input": run_input, "dry_run": True})
    names = ("tasks", "groups", "files", "rows", "bytes", "skipped_files", "partitions")
    return {name: answer[name] for name in names}


def reasons(rewrite: dict[str, Any]) -> dict[str, str]:
    """Why files of a partition would be rewritten or left alone, by partition, of those that the planner names."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in rewrite["partitions"]:
        found[one["partition"]].append(one["reason"])
    return {partition: "; ".join(dict.fromkeys(told)) for partition, told in found.items()}


def did(report: dict[str, Any]) -> str:
    """What a run did, in a line."""
    told = [_rewritten(report["rewritten"])]
    if expired := report["expired"]["expired"]:
        told.append(f"{count(expired, 'snapshot')} expired")
    if orphans := report["swept"]["files"]:
        told.append(f"{count(orphans, 'orphan')} deleted")
    return ", ".join(told)


def _dry_run(stack: Stack, run_input: dict[str, str]) -> dict[str, Any]:
    step = {"run_id": "dry-run", "dry_run": True}
    return {
        "rewrite": would_rewrite(stack, run_input),
        "expire": ask(stack, _STEPS["expire"], step),
        "sweep": ask(stack, _STEPS["sweep"], step),
    }


def _show_dry_run(found: dict[str, Any]) -> RenderableType:
    rewrite, expire, sweep = found["rewrite"], found["expire"], found["sweep"]
    rows = {
        "rewrite": rewrite_text(rewrite),
        "expire": f"{count(expire['expired'], 'snapshot')}, and keep {expire['kept']:,}",
        "delete": f"{count(sweep['files'], 'orphan file')}, {size(sweep['bytes'])}{_waiting(sweep)}",
    }
    partitions, snapshots, keys = rewrite["partitions"][:_SHOWN], expire["snapshots"], sweep["keys"]
    because = [(short(one["partition"]), f"{one['files']:,}", size(one["bytes"]), one["reason"]) for one in partitions]
    files, looked_at = sum(one["files"] for one in partitions), rewrite["files"] + rewrite["skipped_files"]
    expired = [(one["id"], _moment(one["time"])) for one in snapshots]
    return Group(
        facts("an optimize run would", rows),
        *_list("rewrite", ("partition", "files", "size", "because"), because, files, looked_at),
        *_list("expire", ("snapshot", "of"), expired, len(snapshots), expire["expired"]),
        *_list("delete", ("orphan file",), [(key,) for key in keys], len(keys), sweep["files"]),
    )


def rewrite_text(rewrite: dict[str, Any]) -> str:
    """What a run would rewrite and leave alone, in a line."""
    skipped = f"; {count(rewrite['skipped_files'], 'file')} cannot be rewritten" if rewrite["skipped_files"] else ""
    if not rewrite["tasks"]:
        return f"nothing{skipped}"
    what = (count(rewrite["files"], "file"), size(rewrite["bytes"]), count(rewrite["rows"], "row"))
    return f"{', '.join(what)}, in {count(rewrite['tasks'], 'task')}{skipped}"


def _show_report(report: dict[str, Any]) -> RenderableType:
    rewritten, expired, swept = report["rewritten"], report["expired"], report["swept"]
    rows = {"run": report["run_id"], "rewritten": _rewritten(rewritten)}
    if rewritten:
        rows |= {
            "size": f"{size(rewritten['bytes_before'])}, now {size(rewritten['bytes_after'])}",
            "rows": f"{rewritten['rows_after']:,}, and {count(rewritten['duplicates'], 'duplicate')} left out",
        }
    rows |= {
        "snapshots": f"{expired['expired']:,} expired, {expired['kept']:,} kept",
        "orphans": f"{count(swept['files'], 'file')}, {size(swept['bytes'])} deleted{_waiting(swept)}",
    }
    return facts(f"optimized in {report['seconds']} s", rows)


def _rewritten(rewritten: dict[str, Any] | None) -> str:
    if not rewritten:
        return "nothing to rewrite"
    return f"{count(rewritten['files_before'], 'file')}, now {rewritten['files_after']:,}"


def _waiting(swept: dict[str, Any]) -> str:
    """Files that are named by no snapshot, and may still be those of a run."""
    waiting = swept["waiting_files"]
    return f"; {count(waiting, 'file')}, {size(swept['waiting_bytes'])} not old enough" if waiting else ""


def _list(
    title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], told: int, there_are: int
) -> list[Table]:
    """A table of the rows, or none; the title says when they are not all."""
    table = Table(title=title if told == there_are else f"{title}, among others")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return [table] if rows else []


def _moment(epoch_ms: int) -> str:
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M}"


MACHINE = running.Machine("optimize", "OptimizeStateMachineArn", _show_report, did)
DRY_RUN = running.DryRun(_dry_run, _show_dry_run)
