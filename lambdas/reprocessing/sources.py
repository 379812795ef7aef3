"""Which objects the readings of a scope came from, as the table's files say row by row."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import FileIO

from reprocessing.request import Scope
from reprocessing.scope import holds_all, mask, may_meet, row_groups

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
