"""Which files of the table a merge has to read: those that may have readings of the scope."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import pyarrow.parquet as pq
from pyiceberg.table import Table

from compaction.ahead import ahead
from optimization.choosing import Placed
from optimization.errors import FileNotRewritable, RowsDeleted
from optimization.inventory import LiveFile, Span, inventory
from optimization.keeping import columns_of
from optimization.looking import footer, place
from reprocessing.request import Scope
from reprocessing.scope import may_meet, row_groups

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Wanted = Callable[[Span, Placed], bool]


class Touched(NamedTuple):
    """A file of the table that a merge reads, and the day or hour that it is of."""

    span: Span
    placed: Placed


def touched(table: Table, location: str, scope: Scope, wanted: Wanted, *, is_strict: bool) -> Iterator[Touched]:
    """The files that may have readings of the scope, as their footers say, and are `wanted`; the oldest days first.

    With `is_strict` a file among them that cannot be rewritten ends it: FileNotRewritable, RowsDeleted. Without, when
    nothing is to be written, it is left out.
    """
    found = inventory(table, location, _moment(scope.start_ms), _moment(scope.end_ms))
    if found.aliens and is_strict:
        raise FileNotRewritable(
            f"{found.aliens[0].path}, one of {len(found.aliens)}, is not of this table's making or partitioning, or "
            "has row-level deletes that may mean any row. Nothing is published. Write its rows anew, or take it out of "
            "the table; a back-test and a run for the hot table alone do without."
        )
    spans = sorted(found.files, key=lambda span: (span.start_ms, span.by))
    alive = ((span, file) for span in spans for file in found.files[span])
    columns = columns_of(table)
    for (span, file), metadata in ahead(lambda item: footer(table.io, item[1].path), alive):
        if not any(may_meet(scope, bounds) for bounds in row_groups(metadata)):
            continue
        placed = place(file, metadata, columns)
        if placed is not None and not wanted(span, placed):
            continue
        if placed is not None and span not in found.with_deletes:
            yield Touched(span, placed)
        elif is_strict:
            raise _refused(span, file, metadata, is_deleted=placed is not None)


def _refused(span: Span, file: LiveFile, metadata: pq.FileMetaData, *, is_deleted: bool) -> Exception:
    if is_deleted:
        return RowsDeleted(
            f"{span.name} has row-level deletes, and they would be lost with {file.path}. Nothing is published. Write "
            "the partition anew without them (Athena: INSERT INTO … SELECT), or leave it out with 'from' and 'to'."
        )
    names = ", ".join(metadata.schema.to_arrow_schema().names)
    return FileNotRewritable(
        f"{file.path} has columns that the table does not name, nulls where it takes none, or times finer than "
        f"milliseconds, which a rewrite would lose: {names}. Nothing is published. Write its rows anew, or leave its "
        "days out with 'from' and 'to'."
    )


def _moment(moment_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=moment_ms)
