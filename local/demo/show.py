"""The demo's summary for people."""

from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from local.demo.accounts import Accounts
from ops.figures import size

QUERY = (
    "select device_id, count(*) as readings, min(measured_at) as first, max(temperature) as hottest, "
    "max(vibration) as shakiest from readings group by device_id order by hottest desc"
)
SHOWN_ROWS = 5
LOOK_AROUND = """\
eval "$(.venv/bin/python -m local env)"      point any AWS client at it
.venv/bin/aws dynamodb describe-table --table-name readings-local
.venv/bin/python -m ops status               stream, table, backlog, runs
.venv/bin/python -m ops optimize --dry-run   what the table's upkeep would do
.venv/bin/python -m ops reprocess --help     compute readings again
.venv/bin/python -m ops query "select …"     SQL over the readings
.venv/bin/python -m local simulate --help    send more
make down                                    stop it"""


def answer(rows: list[dict[str, Any]]) -> Table:
    """The first rows of the query."""
    table = Table(title=f"[not b i]{QUERY}", title_justify="left", caption=f"{len(rows)} devices", box=None)
    for name in rows[0] if rows else ():
        table.add_column(name, justify="left" if name in ("device_id", "first") else "right")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"{value:,.6g}"
    return "" if value is None else str(value)


def summary(console: Console, accounts: Accounts, report: Path) -> None:
    """Every figure of the run, whether the books balance, and how to look around."""
    panels = [
        Panel(_messages(accounts), title="messages"),
        Panel(_rejected(accounts), title="quarantined, by reason"),
        Panel(_files(accounts), title="archive and table"),
        Panel(_times(accounts), title="seconds"),
    ]
    console.rule("[b]The books", align="left")
    console.print(Columns(panels))
    console.print(_verdict(accounts))
    console.print(f"The same as JSON: {report}", highlight=False)
    console.print(Panel(LOOK_AROUND, title="look around: it is still up", title_align="left"), markup=False)


def _messages(accounts: Accounts) -> Table:
    return _figures(
        {
            "published": accounts.published,
            "archived": accounts.archived,
            "stored": accounts.stored,
            "duplicate": accounts.duplicate,
            "quarantined": accounts.quarantined,
            "alerts": accounts.alerts,
        }
    )


def _rejected(accounts: Accounts) -> Table:
    return _figures(accounts.quarantined_by_reason)


def _files(accounts: Accounts) -> Table:
    return _figures(
        {
            "archive objects": accounts.objects_before,
            "archive bytes (gzip)": size(accounts.bytes_before),
            "Parquet files": accounts.compacted["files"],
            "Parquet bytes (zstd)": size(accounts.compacted["bytes"]),
            "rows in the table": accounts.table_rows,
            "late on arrival": accounts.compacted["late"],
        }
    )


def _times(accounts: Accounts) -> Table:
    seconds = {**accounts.seconds, "in all": sum(accounts.seconds.values())}
    return _figures({stage: f"{taken:.1f}" for stage, taken in seconds.items()})


def _figures(rows: Any) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else value)
    return table


def _verdict(accounts: Accounts) -> Panel:
    if faults := accounts.faults():
        return Panel("\n".join(faults), title="the books do not balance", border_style="red", title_align="left")
    sentence = (
        f"[b]{accounts.published:,} published = {accounts.stored:,} stored + {accounts.duplicate:,} duplicate "
        f"+ {accounts.quarantined:,} quarantined[/]: counted by the MQTT broker's acknowledgements, the hot table, the "
        "compaction of the archive and the quarantine, each by itself."
    )
    return Panel(sentence, title="nothing was lost", border_style="green", title_align="left")
