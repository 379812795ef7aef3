"""What a query needs of the table: its columns, and the comparisons that may be made before the rows are read.

Nothing here decides what the query means: DuckDB executes the text as it was given. Where this module is not sure, it
asks for more columns and fewer comparisons than needed, which costs time and changes no answer.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp

from compaction.runs import TABLE
from ops.errors import OpsError

_TAKES_ALL = (exp.Columns, exp.Pivot, exp.PositionalColumn)  # they reach columns without naming them
_CONSTANT = (
    exp.Literal,
    exp.Cast,
    exp.DataType,
    exp.DataTypeParam,
    exp.Interval,
    exp.Var,
    exp.Neg,
    exp.Paren,
    exp.Add,
    exp.Sub,
    exp.CurrentTimestamp,
    exp.CurrentDate,
)
_NOW = frozenset({"now", "today"})  # constant within one transaction of DuckDB, unlike random() and its like
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": "="}
_OPERATORS: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """`column operator constant`; `in` has several constants. A constant is an expression without columns."""

    column: str
    operator: str
    constants: tuple[exp.Expr, ...]


def parse(text: str) -> exp.Expr:
    """The one SELECT of the text. Raises OpsError for anything else."""
    try:
        statements = [statement for statement in sqlglot.parse(text, dialect="duckdb") if statement is not None]
    except sqlglot.errors.SqlglotError as error:
        raise OpsError(f"This is not SQL that DuckDB knows: {str(error).splitlines()[0]}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise OpsError("Give one SELECT, such as: select device_id, count(*) from readings group by device_id")
    return statements[0]


def references(query: exp.Expr) -> int:
    """How often the query names the table."""
    return sum(table.name.lower() == TABLE for table in query.find_all(exp.Table))


def columns(query: exp.Expr, schema: Sequence[str]) -> list[str]:
    """Columns of the table that the query can touch, in the table's order; at least one, to count rows by."""
    names = {identifier.name.lower() for identifier in query.find_all(exp.Identifier)}
    if any(_takes_all(node) for node in query.walk()):
        return list(schema)
    return [name for name in schema if name.lower() in names] or [schema[0]]


def comparisons(query: exp.Expr, schema: Sequence[str]) -> list[Comparison]:
    """Comparisons with constants that hold for every row of the table that the query uses.

    They are taken from the conditions joined by AND in the WHERE of the one SELECT that reads the table, and only if
    it reads nothing else: no join, no sample.
    """
    select = _only_reader(query)
    if select is None or select.args.get("where") is None:
        return []
    table = select.args["from_"].this.alias_or_name.lower()
    hidden = {alias.alias.lower() for alias in select.expressions if isinstance(alias, exp.Alias)}
    known = {name.lower(): name for name in schema if name.lower() not in hidden}
    return [
        comparison
        for condition in _conjuncts(select.args["where"].this)
        for comparison in _comparisons(condition, table, known)
    ]


def is_streamable(query: exp.Expr) -> bool:
    """Whether the rows are read once, in one pass: the query is one SELECT directly from the table."""
    return _only_reader(query) is query and query.args.get("with_") is None


def _takes_all(node: exp.Expr) -> bool:
    if isinstance(node, exp.Star):
        return not isinstance(node.parent, exp.Count)
    if isinstance(node, exp.Join):
        return bool(node.args.get("method"))  # natural, positional, asof
    if isinstance(node, exp.Table) and node.name.lower() == TABLE:
        # a table's name in the place of a column is the whole row
        aliases = {TABLE, node.alias_or_name.lower()}
        return any(column.name.lower() in aliases for column in node.root().find_all(exp.Column))
    return isinstance(node, _TAKES_ALL)


def _only_reader(query: exp.Expr) -> exp.Select | None:
    """The SELECT whose only source is the table, if the query names the table once."""
    if references(query) != 1:
        return None
    table = next(table for table in query.find_all(exp.Table) if table.name.lower() == TABLE)
    source = table.parent
    select = source.parent if isinstance(source, exp.From) else None
    if not isinstance(select, exp.Select) or select.args.get("joins") or select.args.get("laterals"):
        return None
    if any(table.args.get(name) for name in ("sample", "joins", "pivots")) or select.args.get("sample"):
        return None
    return select


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(condition, exp.Paren):
        yield from _conjuncts(condition.this)
    elif isinstance(condition, exp.And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition


def _comparisons(condition: exp.Expr, table: str, known: dict[str, str]) -> Iterator[Comparison]:
    operator = _OPERATORS.get(type(condition))
    if operator is not None:
        left, right = condition.this, condition.expression
        if (name := _column(left, table, known)) and _is_constant(right):
            yield Comparison(name, operator, (right,))
        elif (name := _column(right, table, known)) and _is_constant(left):
            yield Comparison(name, _MIRRORED[operator], (left,))
    elif isinstance(condition, exp.Between) and not condition.args.get("symmetric"):
        low, high = condition.args["low"], condition.args["high"]
        name = _column(condition.this, table, known)
        if name and _is_constant(low) and _is_constant(high):
            yield Comparison(name, ">=", (low,))
            yield Comparison(name, "<=", (high,))
    elif isinstance(condition, exp.In) and condition.expressions:
        name = _column(condition.this, table, known)
        if name and all(_is_constant(item) for item in condition.expressions):
            yield Comparison(name, "in", tuple(condition.expressions))


def _column(node: exp.Expr, table: str, known: dict[str, str]) -> str | None:
    if isinstance(node, exp.Column) and node.table.lower() in ("", table) and not node.db:
        return known.get(node.name.lower())
    return None


def _is_constant(node: exp.Expr) -> bool:
    return all(
        isinstance(part, _CONSTANT) or (isinstance(part, exp.Anonymous) and part.name.lower() in _NOW)
        for part in node.walk()
    )
