"""Comparisons of a query as an Iceberg row filter, by which partitions, files and rows are left unread."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
)
from pyiceberg.schema import Schema
from pyiceberg.types import DoubleType, IcebergType, StringType, TimestamptzType
from sqlglot import exp

from ops.sql import Comparison

_PREDICATES: dict[str, Any] = {
    "=": EqualTo,
    ">": GreaterThan,
    ">=": GreaterThanOrEqual,
    "<": LessThan,
    "<=": LessThanOrEqual,
    "in": In,
}
_TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
_NUMBERS = frozenset({"INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row_filter(
    comparisons: Sequence[Comparison], schema: Schema, database: duckdb.DuckDBPyConnection
) -> BooleanExpression:
    """The conjunction of the comparisons that mean the same to Iceberg as to DuckDB; the others are left to DuckDB.

    Constants are evaluated by `database` itself, in the transaction in which it executes the query, so that text
    becomes the same moment here as there, and `now()` is the same now.
    """
    try:
        predicates = [_predicate(comparison, schema, database) for comparison in comparisons]
    except duckdb.Error:  # a constant has a fault, which DuckDB will name when it executes the query
        database.execute("ROLLBACK; BEGIN")
        return AlwaysTrue()
    combined: BooleanExpression = AlwaysTrue()
    for predicate in predicates:
        if predicate is not None:
            combined = And(combined, predicate)
    return combined


def _predicate(comparison: Comparison, schema: Schema, database: duckdb.DuckDBPyConnection) -> BooleanExpression | None:
    column_type = schema.find_field(comparison.column).field_type
    values = [_value(constant, column_type, database) for constant in comparison.constants]
    if any(value is None for value in values):
        return None
    operand = values if comparison.operator == "in" else values[0]
    predicate: BooleanExpression = _PREDICATES[comparison.operator](comparison.column, operand)
    return predicate


def _value(constant: exp.Expr, column_type: IcebergType, database: duckdb.DuckDBPyConnection) -> str | float | None:
    """The constant as DuckDB casts it to compare it with the column; None when it would cast the column instead."""
    text = constant.sql(dialect="duckdb")
    is_text = (
        isinstance(constant, exp.Literal) and constant.is_string
    )  # of text, only a literal takes the column's type
    kind = _one(database, f"typeof({text})")
    if isinstance(column_type, StringType) and is_text:
        return str(constant.this)
    if isinstance(column_type, TimestamptzType) and (is_text or kind in _TIMES):
        microseconds = _one(database, f"epoch_us(TRY_CAST({text} AS TIMESTAMPTZ))")
        return None if microseconds is None else _moment(microseconds)
    if isinstance(column_type, DoubleType) and (is_text or kind in _NUMBERS or kind.startswith("DECIMAL")):
        number = _one(database, f"TRY_CAST({text} AS DOUBLE)")
        return number if number is not None and math.isfinite(number) else None
    return None


def _moment(microseconds: int) -> str | None:
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:  # infinity, and years that no reading can have
        return None


def _one(database: duckdb.DuckDBPyConnection, expression: str) -> Any:
    return database.execute(f"SELECT {expression}").fetchall()[0][0]
