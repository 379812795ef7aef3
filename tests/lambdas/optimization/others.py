"""What others may put into the table of a test's lake: row-level deletes, and files from elsewhere."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record

from tests.lake import Lake

_COUNTED = ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds")


def delete_first_row(lake: Lake, key: str) -> None:
    """What Athena's DELETE does: a file that names rows of a data file by their place."""
    table = lake.table()
    path, deletes = f"s3://{lake.processed}/{key}", f"{key}.deletes.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"file_path": [path], "pos": pa.array([0], pa.int64())}), sink)
    body = sink.getvalue().to_pybytes()
    lake.store.write(deletes, body)
    (deleted,) = (task.file for task in table.scan().plan_files() if task.file.file_path == path)
    add(lake, deletes, DataFileContent.POSITION_DELETES, deleted.partition, len(body))


def add(lake: Lake, key: str, content: DataFileContent, partition: Record, size: int = 1, bucket: str = "") -> None:
    """Enter a file of one row in the table as somebody else might."""
    table = lake.table()
    nothing: dict[str, Any] = {name: {} for name in _COUNTED}
    file = DataFile.from_args(
        content=content,
        file_path=f"s3://{bucket or lake.processed}/{key}",
        file_format=FileFormat.PARQUET,
        partition=partition,
        record_count=1,
        file_size_in_bytes=size,
        spec_id=table.spec().spec_id,
        **nothing,
    )
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        append.append_data_file(file)
