"""The rows of a data file that are within a range, from a copy on the function's disk that has only what they need.

The copy is as long as the file and has holes: the footer and the row groups of the range are fetched, neighbouring row
groups in one request, and nothing else takes up network, disk or memory.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from compaction.ahead import ahead
from compaction.columns import table_schema
from compaction.errors import FileMismatch
from compaction.store import error_code
from optimization.errors import FileNotRewritable
from optimization.manifests import SourceFile
from optimization.ranges import KeyRange

TAIL_BYTES: Final = 128 * 1024
"""Fetched first: the whole of a small file, the footer of nearly every other, in less time than a request takes."""

_PIECE_BYTES: Final = 1024 * 1024  # of what is fetched or read from the disk at once
_BATCH_ROWS: Final = 8192  # decoded at once; with rows of 16 KB, the largest there are, 130 MB
_FOOTER_END: Final = struct.Struct("<I4s")  # its length and the magic number, see parquet.apache.org/docs/file-format
_MILLISECONDS: Final = pa.timestamp("ms", "UTC")
_TIMES: Final = ("measured_at", "received_at")


class Copy(NamedTuple):
    """A data file, where its copy is, and the row groups that the copy has."""

    file: SourceFile
    path: Path
    row_groups: Sequence[int]


def rows_schema(metrics: Sequence[str]) -> pa.Schema:
    """The table's columns, with times in milliseconds as `compaction.spill` sorts them."""
    fields = table_schema(metrics)
    return pa.schema([pa.field(field.name, pa.int64() if field.name in _TIMES else field.type) for field in fields])


def fetch(s3: Any, bucket: str, file: SourceFile, keys: KeyRange, path: Path) -> Copy:
    """Copy what the rows of the range are in. Raises FileMismatch for a file that is not the one that was planned."""
    with path.open("wb", buffering=0) as copy:
        source = _Source(s3, bucket, file, copy)
        start = max(0, file.bytes - TAIL_BYTES)
        source.fetch(start, file.bytes)
        try:
            footer = _footer_start(path)
            source.fetch(footer, start)
            metadata = pq.read_metadata(path)
        except (pa.ArrowInvalid, struct.error) as error:
            raise FileMismatch(f"{source.place} has no footer that can be read: {error}. Start a new run.") from None
        row_groups = keys.row_groups(metadata)
        for first, end in _spans(metadata, row_groups):
            source.fetch(first, min(end, footer, start))
    return Copy(file, path, row_groups)


def copies(s3: Any, bucket: str, files: Iterable[SourceFile], keys: KeyRange, folder: Path) -> Iterator[Copy]:
    """What a task needs of each file that may have rows of the range, some fetched ahead. Raises FileMismatch."""
    numbered = ((number, file) for number, file in enumerate(files) if keys.meets(file.first, file.last))
    for _, copy in ahead(lambda entry: fetch(s3, bucket, entry[1], keys, folder / f"{entry[0]}.parquet"), numbered):
        yield copy


def rows(copy: Copy, keys: KeyRange, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of the range, some at a time, null where the file lacks a column of the schema.

    Raises FileNotRewritable for a file that has other columns too, or values that those of the schema cannot hold.
    """
    with pq.ParquetFile(copy.path, buffer_size=_PIECE_BYTES) as file:
        if unknown := sorted(set(file.schema_arrow.names) - set(schema.names)):
            raise FileNotRewritable(
                f"{copy.file.key} has the columns {unknown}, which the table does not name: they were renamed or "
                "dropped since the run was planned. Nothing is published; start a new run, which leaves the file alone."
            )
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=copy.row_groups):
            try:
                found = keys.take(_as(schema, batch))
            except pa.ArrowInvalid as error:
                raise FileNotRewritable(
                    f"{copy.file.key} has values that rows of ours cannot hold: {error}. Nothing is published, and "
                    "the footer does not say it, so that the next run would fail here too. Write the file's rows anew "
                    "with times in whole milliseconds; until then, run over the other partitions ('from', 'to')."
                ) from None
            if found.num_rows:
                yield found


class _Source:
    """A data file in S3, and its copy."""

    def __init__(self, s3: Any, bucket: str, file: SourceFile, copy: BinaryIO) -> None:
        self._s3 = s3
        self._request = {"Bucket": bucket, "Key": file.key}
        self._size = file.bytes
        self._copy = copy
        self.place = f"s3://{bucket}/{file.key}"

    def fetch(self, first: int, end: int) -> None:
        """Copy these bytes, if any."""
        if first >= end:
            return
        try:
            answer = self._s3.get_object(**self._request, Range=f"bytes={first}-{end - 1}")
        except ClientError as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                raise FileMismatch(f"{self.place} was planned but is gone. Start a new run.") from None
            if error_code(error) in {"InvalidRange", "416"}:
                raise FileMismatch(f"{self.place} is shorter than when it was planned. Start a new run.") from None
            raise
        if answer["ContentRange"] != f"bytes {first}-{end - 1}/{self._size}":
            raise FileMismatch(
                f"{self.place} has {answer['ContentRange'].rpartition('/')[2]} bytes, planned were {self._size}. "
                "Start a new run."
            )
        self._copy.seek(first)
        for piece in answer["Body"].iter_chunks(_PIECE_BYTES):
            _write_all(self._copy, piece)


def _write_all(copy: BinaryIO, piece: bytes) -> None:
    """An unbuffered file takes what fits on the disk, and raises only when nothing does."""
    rest = memoryview(piece)
    while rest:
        rest = rest[copy.write(rest) :]


def _footer_start(path: Path) -> int:
    with path.open("rb") as copy:
        end = copy.seek(max(0, path.stat().st_size - _FOOTER_END.size))
        length: int = _FOOTER_END.unpack(copy.read())[0]
    return max(0, end - length)


def _spans(metadata: pq.FileMetaData, row_groups: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First byte and end of each row of neighbouring row groups."""
    span: tuple[int, int] | None = None
    before = -1
    for number in row_groups:
        first, end = _extent(metadata.row_group(number))
        if span and number != before + 1:
            yield span
            span = None
        span, before = (span[0] if span else first, end), number
    if span:
        yield span


def _extent(group: pq.RowGroupMetaData) -> tuple[int, int]:
    columns = [group.column(number) for number in range(group.num_columns)]
    starts = [min(filter(None, (column.dictionary_page_offset, column.data_page_offset))) for column in columns]
    sizes = [column.total_compressed_size for column in columns]
    return min(starts), max(map(sum, zip(starts, sizes, strict=True)))


def _as(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with the columns of the schema. Raises ArrowInvalid when that would change a value."""
    columns = []
    for field in schema:
        if field.name not in batch.schema.names:
            column = pa.nulls(batch.num_rows, field.type)
        elif field.name in _TIMES:
            column = batch[field.name].cast(_MILLISECONDS).cast(pa.int64())
        else:
            column = batch[field.name].cast(field.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
