"""New files against their results."""

import io
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compaction.errors import FileMismatch
from compaction.footers import verify_footers
from compaction.manifests import KEYS_METADATA, FileResult
from tests.lake import AT, Lake, reading


def written(lake: Lake) -> FileResult:
    lake.put("a", [reading(), reading("pump-2", at=AT + 1)])
    lake.plan("run")
    ((file,),) = [result.files for result in lake.write("run")]
    return file


def verify(lake: Lake, file: FileResult) -> None:
    verify_footers(lake.lake_table().load().io, f"s3://{lake.processed}/", [file])


def test_a_file_as_its_result_says_passes(memory_lake: Lake) -> None:
    verify(memory_lake, written(memory_lake))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("rows", 3),
        ("bytes", 1),
        ("first_device_id", "pump-0"),
        ("last_device_id", "pump-20"),
        ("first_measured_at_ms", AT * 1000 - 1),
        ("last_measured_at_ms", AT * 1000),
        ("key_checksum", "0000000000000001"),
    ],
)
def test_a_file_that_is_other_than_its_result_is_named_with_the_difference(
    memory_lake: Lake, field: str, said: Any
) -> None:
    file = msgspec.structs.replace(written(memory_lake), **{field: said})

    with pytest.raises(FileMismatch, match=rf"run-00000\.parquet has {field} .* in its footer, its result says {said}"):
        verify(memory_lake, file)


def test_a_file_without_statistics_does_not_pass(memory_lake: Lake) -> None:
    file = written(memory_lake)
    whole = pq.read_table(pa.BufferReader(memory_lake.store.read(file.key)))
    sink = io.BytesIO()
    pq.write_table(whole, sink, write_statistics=False)
    memory_lake.store.write(file.key, sink.getvalue())

    with pytest.raises(FileMismatch, match="has first_device_id None"):
        verify(memory_lake, msgspec.structs.replace(file, bytes=len(sink.getvalue())))


def test_the_checksum_of_the_keys_is_read_from_the_footer(memory_lake: Lake) -> None:
    file = written(memory_lake)
    whole = pq.read_table(pa.BufferReader(memory_lake.store.read(file.key)))
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, whole.schema) as writer:
        writer.write_table(whole)
        writer.add_key_value_metadata({KEYS_METADATA: "00000000000000aa"})
    memory_lake.store.write(file.key, sink.getvalue())
    file = msgspec.structs.replace(file, bytes=len(sink.getvalue()), key_checksum="00000000000000aa")

    verify(memory_lake, file)


def test_smallest_and_largest_are_those_of_all_row_groups(memory_lake: Lake) -> None:
    """Rows are in order of device, so the first time of all may be in any group."""
    memory_lake.put("a", [reading("pump-1", at=AT + 1), reading("pump-2", at=AT + 2), reading("pump-3", at=AT)])
    memory_lake.plan("run")
    ((file,),) = [result.files for result in memory_lake.write("run")]
    whole = pq.read_table(pa.BufferReader(memory_lake.store.read(file.key)))
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, whole.schema) as writer:
        writer.write_table(whole, row_group_size=1)
        writer.add_key_value_metadata({KEYS_METADATA: file.key_checksum})
    memory_lake.store.write(file.key, sink.getvalue())

    verify(memory_lake, msgspec.structs.replace(file, bytes=len(sink.getvalue())))


def test_a_file_that_is_cut_short_does_not_pass(memory_lake: Lake) -> None:
    file = written(memory_lake)
    memory_lake.store.write(file.key, (memory_lake.store.read(file.key) or b"")[:-9])

    with pytest.raises(FileMismatch, match=r"run-00000\.parquet has no footer that can be read"):
        verify(memory_lake, file)
