"""The snippets of docs/querying.md answer the same, as far as their engines run here."""

import functools
import os
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from pyiceberg.utils.config import Config
from sqlglot import exp

from ops import query, sql
from tests import lake as lakes
from tests.e2e.documents import commands
from tests.lake import AT, Lake, reading
from tests.workgroup import Workgroup, make_older

PAGE = Path(__file__).parents[2] / "docs" / "querying.md"
DATABASE = "sensorkeep_dev"
DAY_S, HOUR_S = 86_400, 3_600

Hours = list[tuple[datetime, float, float]]


@functools.cache
def workgroup() -> Workgroup:
    """Three days of two devices, in a run that is two days old and in one of now."""
    with mock.patch.dict(os.environ, lakes.environ()):
        lake = Lake()
        for number, run_id in enumerate(("first", "second")):
            readings = [
                reading(device, AT + day * DAY_S + hour * HOUR_S + number * 60, temperature=day * 100.0 + hour + number)
                for device in ("pump-1", "pump-2")
                for day in (-1, 0, 1)
                for hour in range(-3, 3)
            ]
            lake.put(run_id, [payload | {"received_at": (AT + 2 * DAY_S) * 1000} for payload in readings])
            lake.run(run_id)
            if number == 0:
                make_older(lake, days=2)
        return Workgroup(lake)


EXPECTED: Hours = [(datetime.fromtimestamp(AT + hour * HOUR_S, UTC), hour + 0.5, hour + 1.0) for hour in range(-3, 3)]
FIRST_ROWS = 36


@pytest.fixture(autouse=True)
def embedded_aws() -> Iterator[None]:
    """On AWS a snippet needs no endpoint; PyIceberg takes one for files from its own variable, when it is imported."""
    endpoint = lakes.environ()["AWS_ENDPOINT_URL"]
    own = {"PYICEBERG_CATALOG__GLUE__S3__ENDPOINT": endpoint, "POLARS_ICEBERG_PLANNER": "pyiceberg"}
    with mock.patch.dict(os.environ, lakes.environ() | own), mock.patch("pyiceberg.catalog._ENV_CONFIG", Config()):
        yield


def snippet(heading: str, language: str, number: int = 0) -> str:
    """A code block of a section of the page, of the lake's own database."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return found[number].replace(DATABASE, workgroup().lake.database)


def run_python(heading: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(compile(snippet(heading, "python"), str(PAGE), "exec"), scope)  # noqa: S102 - it is our own page
    return scope


def run_spark(text: str, row_source: pa.Table) -> list[tuple[Any, ...]]:
    """Spark's SQL in DuckDB, over these rows."""
    parsed = sqlglot.parse_one(text, dialect="spark")
    for table in parsed.find_all(exp.Table):
        assert (table.catalog, table.db, table.name) == ("lake", workgroup().lake.database, "readings")
        table.replace(exp.to_table("row_source"))
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("row_source", row_source)
        return tuples(database.sql(parsed.sql(dialect="duckdb")).to_arrow_table())


def tuples(found: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in found.to_pylist()]


def test_athena_answers() -> None:
    rows = workgroup().ask(snippet("Athena", "sql"))

    expected = [(f"{hour:%Y-%m-%d %H:%M:%S.%f} UTC", str(mean), str(highest)) for hour, mean, highest in EXPECTED]
    assert [tuple(row.values()) for row in rows] == expected


def test_the_command_line_answers_from_the_files_that_matter() -> None:
    (command,) = commands(PAGE, "The command line")
    *python, text = shlex.split(command)
    found = query.answer(workgroup().lake.table(), text, sql.parse(text))

    assert python == ["python", "-m", "ops", "query"]
    assert [tuple(row) for row in found.rows] == EXPECTED
    assert (found.files_read, found.files_total) == (2, 6)
    assert found.columns_read == ["device_id", "measured_at", "temperature"]


@pytest.mark.parametrize("engine", ["DuckDB", "Polars"])
def test_an_engine_answers(engine: str) -> None:
    assert tuples(run_python(engine)["hours"]) == EXPECTED


def test_spark_would_answer() -> None:
    rows = workgroup().lake.table().scan().to_arrow()

    assert run_spark(snippet("Spark", "sql"), rows) == EXPECTED


def test_the_table_as_it_was_has_what_the_first_run_wrote() -> None:
    heading = "The table as it was"
    (athena,) = workgroup().ask(snippet(heading, "sql", 0))
    python = run_python(heading)

    assert athena == {"row_count": str(FIRST_ROWS)}
    assert (python["row_count"], python["polars_row_count"]) == (FIRST_ROWS, FIRST_ROWS)
    assert workgroup().lake.table().scan().count() == 2 * FIRST_ROWS


def test_the_time_travel_of_spark_is_sql_that_spark_knows() -> None:
    parsed = sqlglot.parse_one(snippet("The table as it was", "sql", 1), dialect="spark")
    (table,) = parsed.find_all(exp.Table)

    assert table.args["version"].this == "TIMESTAMP"
