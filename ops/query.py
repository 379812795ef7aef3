"""`python -m ops query`: a SELECT over the table `readings`, of which only the files and columns needed are read."""

import argparse
import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import duckdb
from pyiceberg.expressions import BooleanExpression
from pyiceberg.table import DataScan, Table
from rich import table as rich_table
from rich.console import Console
from rich.measure import Measurement
from rich.text import Text

from compaction.runs import TABLE
from ops import sql
from ops.errors import OpsError
from ops.figures import count
from ops.lake import load_table
from ops.pushdown import row_filter
from ops.stack import find

_SHOWN_ROWS = 100
_ANY_WIDTH = 1_000_000


@dataclasses.dataclass(frozen=True)
class Answer:
    """Rows of a query, and how much of the table was read for them."""

    columns: list[str]
    rows: list[list[Any]]
    complete: bool
    files_read: int
    files_total: int
    columns_read: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The query, and how much to show."""
    parser.description = f"Ask in DuckDB's SQL; the table is called {TABLE}. Times are UTC."
    parser.add_argument("sql", help='such as "select device_id, max(temperature) from readings group by 1"')
    parser.add_argument(
        "--limit", type=int, metavar="N", help=f"rows at most (default: all as JSON, {_SHOWN_ROWS} on a terminal)"
    )


def run(given: argparse.Namespace) -> int:
    """Print the rows."""
    query = sql.parse(given.sql)
    if given.limit is not None and given.limit < 0:
        raise OpsError(f"--limit {given.limit} is no number of rows. Give 0 or more.")
    table = load_table(find(given.stack))
    if table is None:
        raise OpsError("There is no table yet. Make it with: python -m ops compact --follow")
    limit = given.limit if given.limit is not None or given.json else _SHOWN_ROWS
    found = answer(table, given.sql, query, limit)
    if given.json:
        print(json.dumps(dataclasses.asdict(found), default=_json))
    else:
        _show(found)
    return 0


def answer(table: Table, text: str, query: Any, limit: int | None = None) -> Answer:
    """Execute a query, at most `limit` rows of its answer. Raises OpsError with DuckDB's sentence when it is wrong."""
    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as database:
        database.execute("SET TimeZone = 'UTC'; BEGIN")
        scan, files = plan_scan(table, query, database)
        uses_table = sql.references(query) > 0
        if uses_table:  # in a stream where its rows are read once, in memory where not
            database.register(TABLE, scan.to_arrow_batch_reader() if sql.is_streamable(query) else scan.to_arrow())
        columns, rows, complete = _fetch(database, text, limit)
    return Answer(
        columns=columns,
        rows=rows,
        complete=complete,
        files_read=files if uses_table else 0,
        files_total=_file_count(table),
        columns_read=list(scan.selected_fields) if uses_table else [],
    )


def plan_scan(table: Table, query: Any, database: duckdb.DuckDBPyConnection) -> tuple[DataScan, int]:
    """The scan that serves the query, and how many files it reads."""
    names = [field.name for field in table.schema().fields]
    condition: BooleanExpression = row_filter(sql.comparisons(query, names), table.schema(), database)
    scan = table.scan(row_filter=condition, selected_fields=tuple(sql.columns(query, names)))
    return scan, sum(1 for _ in scan.plan_files())


def _fetch(
    database: duckdb.DuckDBPyConnection, text: str, limit: int | None
) -> tuple[list[str], list[list[Any]], bool]:
    try:
        reader = database.sql(text).to_arrow_reader()
        columns = list(reader.schema.names)
        rows: list[list[Any]] = []
        for batch in reader:
            rows.extend(
                map(list, zip(*(column.to_pylist(maps_as_pydicts="lossy") for column in batch.columns), strict=True))
            )
            if limit is not None and len(rows) > limit:
                return columns, rows[:limit], False
    except duckdb.Error as error:
        raise OpsError(f"DuckDB: {error}") from None
    return columns, rows, True


def _file_count(table: Table) -> int:
    snapshot = table.current_snapshot()
    return int(snapshot.summary.additional_properties["total-data-files"]) if snapshot and snapshot.summary else 0


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    return str(value)


def _show(found: Answer) -> None:
    console = Console()
    shown = rich_table.Table()
    for place, name in enumerate(found.columns):
        is_number = any(isinstance(row[place], int | float) for row in found.rows)
        shown.add_column(Text(name), justify="right" if is_number else "left", no_wrap=True)
    for row in found.rows:
        shown.add_row(*(Text("" if value is None else _text(value)) for value in row))
    wanted = Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), shown).maximum
    if wanted <= console.width:
        console.print(shown)
    else:
        _show_apart(console, found)
    more = "" if found.complete else ", more with --limit"
    columns = ", ".join(found.columns_read) or "none"
    console.print(
        f"{count(len(found.rows), 'row')}{more}; read {found.files_read} of {count(found.files_total, 'file')}, "
        f"columns {columns}",
        style="dim",
    )


def _show_apart(console: Console, found: Answer) -> None:
    """Rows that are too wide for the terminal: a line for each value, without those that are null."""
    width = max(map(len, found.columns))
    for number, row in enumerate(found.rows, 1):
        console.rule(f"row {number}", align="left", style="dim")
        for name, value in zip(found.columns, row, strict=True):
            if value is not None:
                console.print(f"{name:<{width}}  {_text(value)}", markup=False, highlight=False, soft_wrap=True)


def _text(value: object) -> str:
    return _json(value) if isinstance(value, datetime) else str(value)
