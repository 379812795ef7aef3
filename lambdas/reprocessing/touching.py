"""What of the table a scope means: the files that may have its readings, and the objects that these came from."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.table import Table

from compaction.ahead import ahead
from optimization.choosing import Placed
from optimization.errors import FileNotRewritable, RowsDeleted
from optimization.inventory import LiveFile, Span, inventory
from optimization.keeping import columns_of
from optimization.looking import footer, place
from reprocessing.request import Scope
from reprocessing.scope import holds_all, mask, may_meet, row_groups

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


_BATCH_ROWS: Final = 131_072  # of three columns, two of them as places in a dictionary
_MILLISECONDS: Final = pa.timestamp("ms", "UTC")


def sources_of(io: FileIO, path: str, scope: Scope) -> set[str]:
    """The `source_object`s of the rows of a file that are of the scope.

    Read are the row groups that may have any, and their devices and times only where not all rows are of the scope.
    Raises OSError and pyarrow's ArrowInvalid for a file that cannot be read.
    """
    found: set[str] = set()
    with io.new_input(path).open() as stream:
        file = pq.ParquetFile(stream, read_dictionary=["device_id", "source_object"])
        for number, bounds in enumerate(row_groups(file.metadata)):
            if not may_meet(scope, bounds):
                continue
            is_whole = holds_all(scope, bounds)
            columns = ["source_object"] if is_whole else ["device_id", "measured_at", "source_object"]
            for rows in file.iter_batches(_BATCH_ROWS, row_groups=[number], columns=columns):
                held = rows if is_whole else rows.filter(mask(scope, _in_milliseconds(rows)))
                found.update(pc.unique(held["source_object"]).to_pylist())
    return found


def _in_milliseconds(rows: pa.RecordBatch) -> pa.RecordBatch:
    moments = rows["measured_at"].cast(_MILLISECONDS, safe=False).cast(pa.int64())
    return rows.set_column(rows.schema.get_field_index("measured_at"), "measured_at", moments)
