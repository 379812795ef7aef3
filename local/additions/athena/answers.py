"""Answers of queries over Iceberg tables: translated from Athena's SQL to DuckDB's, and executed by DuckDB."""

import asyncio
from datetime import datetime
from typing import Any

import duckdb
import sqlglot
from sqlglot import TokenType, exp

from local.additions.athena import tables

DIALECT = "athena"

Results = dict[str, Any]


def with_parameters(query: str, parameters: list[str]) -> str:
    """The query with the parameters, each a literal of SQL, in the place of its question marks.

    Raises ValueError when they are not as many.
    """
    tokens = sqlglot.tokenize(query, dialect=DIALECT)
    places = [token.start for token in tokens if token.token_type == TokenType.PLACEHOLDER]
    if len(places) != len(parameters):
        raise ValueError(f"Incorrect number of parameters: expected {len(places)} but found {len(parameters)}")
    for place, parameter in reversed(list(zip(places, parameters, strict=True))):
        query = query[:place] + parameter + query[place + 1 :]
    return query


async def over_iceberg(query: str, database: str) -> Results | None:
    """The answer as MiniStack keeps it; None for what is no query over an Iceberg table."""
    try:
        parsed = sqlglot.parse_one(query, dialect=DIALECT)
    except sqlglot.errors.SqlglotError:
        return None
    sources = tables.sources(parsed, database)
    return await asyncio.to_thread(_answer, parsed, sources) if sources else None


def _answer(query: exp.Expr, sources: list[tables.Source]) -> Results:
    from ministack.services import athena

    with duckdb.connect(":memory:") as database:
        database.execute("SET TimeZone = 'UTC'")
        for number, source in enumerate(sources):
            database.register(f"iceberg_{number}", source.read(database))
            source.node.replace(exp.to_table(f"iceberg_{number}").as_(source.node.alias_or_name, quoted=True))
        answer = database.execute(query.sql(dialect="duckdb"))
        kinds = [str(kind).upper().split("(")[0].strip() for _, kind, *_ in answer.description or []]
        found = answer.to_arrow_table()
    return {
        "columns": found.column_names,
        "column_types": [athena._DUCKDB_TYPE_MAP.get(kind, "varchar") for kind in kinds],
        "rows": [[_value(value) for value in row.values()] for row in found.to_pylist(maps_as_pydicts="lossy")],
    }


def _value(value: object) -> object:
    """A moment as Athena writes it; everything else as it is."""
    return value.strftime("%Y-%m-%d %H:%M:%S.%f UTC") if isinstance(value, datetime) else value
