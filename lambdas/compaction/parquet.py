"""One Parquet file in memory: how it is encoded, and what its manifest line says."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compaction.manifests import FileResult

_ROW_GROUP_ROWS = 131_072  # a device's hours lie close together: readers skip the groups of other devices
_DICTIONARIES = ["device_id", "sensor_type", "location", "facility", "equipment_type", "source_object"]


def encode(rows: pa.Table) -> pa.Buffer:
    """The bytes of the file; the same rows give the same bytes.

    Columns get their types from the schema of the file alone (no Arrow schema in it), as Iceberg readers expect.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows,
        sink,
        compression="zstd",
        row_group_size=_ROW_GROUP_ROWS,
        use_dictionary=_DICTIONARIES,
        write_statistics=True,
        write_page_index=True,
        sorting_columns=[pq.SortingColumn(0), pq.SortingColumn(1)],
        store_schema=False,
    )
    return sink.getvalue()


def describe(key: str, partition: str, rows: pa.Table, size: int) -> FileResult:
    """The manifest line of a file of `size` bytes that holds these rows, sorted by device."""
    times = pc.min_max(rows["measured_at"].cast(pa.int64()))
    return FileResult(
        key=key,
        partition=partition,
        rows=rows.num_rows,
        bytes=size,
        first_device_id=rows["device_id"][0].as_py(),
        last_device_id=rows["device_id"][-1].as_py(),
        first_measured_at_ms=times["min"].as_py() // 1000,
        last_measured_at_ms=times["max"].as_py() // 1000,
    )
