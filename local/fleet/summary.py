"""The fleet's progress and counts for people."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

EXPLAINED = {
    "refused": "answered with an error by the broker (is the device policy right?)",
    "unacknowledged": "never answered: may or may not have arrived",
    "redelivered": "sent again after a lost connection: may have arrived twice",
}


def counting(console: Console) -> Progress:
    """A bar for each thing that is counted: certificates, messages, what the stores hold."""
    return Progress(
        TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def show(console: Console, counts: dict[str, Any]) -> None:
    """Print what was sent by kind, what the system must make of it, and what is uncertain."""
    rate = counts["published"] / counts["seconds"] if counts["seconds"] else 0
    console.print(f"[b]{counts['published']:,} messages[/] of {counts['devices']} devices, {rate:,.0f} a second")
    sent = Table()
    sent.add_column("sent")
    sent.add_column("messages", justify="right")
    for kind, count in counts["by_kind"].items():
        sent.add_row(kind.replace("_", " "), f"{count:,}")
        if kind == "garbage":
            for sort, part in counts["garbage"].items():
                sent.add_row(f"[dim]  {sort.replace('_', ' ')}[/]", f"[dim]{part:,}[/]")
    console.print(sent)
    console.print(_expected(counts["expected"]))
    for name, meaning in EXPLAINED.items():
        if counts[name]:
            console.print(f"[yellow]{counts[name]:,} {name}[/]: {meaning}")
    if "replay" in counts:
        _show_unreadable(console, counts["replay"])


def _expected(expected: dict[str, Any]) -> Table:
    table = Table()
    table.add_column("what the system must make of them")
    table.add_column("messages", justify="right")
    for outcome in ("stored", "duplicate", "quarantined"):
        table.add_row(outcome, f"{expected[outcome]:,}")
    for reason, count in expected["quarantined_by_reason"].items():
        table.add_row(f"[dim]  {reason}[/]", f"[dim]{count:,}[/]")
    return table


def _show_unreadable(console: Console, report: dict[str, Any]) -> None:
    console.print(f"{report['rows']:,} rows read, {report['unreadable']:,} of them unreadable and not sent.")
    for example in report["examples"]:
        console.print(f"  {example}", style="yellow", markup=False, highlight=False)
    for file, columns in report["ignored_columns"].items():
        console.print(f"  {file}: no numbers in {', '.join(columns)}: not sent", markup=False, highlight=False)
