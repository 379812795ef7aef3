"""Rewriting files: every row and value is kept, once."""

import errno
import resource
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compaction import rowgroups, spill
from compaction.errors import DiskFull, FileMismatch, ResultMissing
from compaction.scratch import scratch_folder
from optimization import reading as reading_module
from optimization.errors import FileNotRewritable
from optimization.manifests import Key, RewriteResult, RewriteTask, group_key, result_key
from optimization.ranges import KeyRange
from tests.lake import AT, Lake, arrow_rows, reading
from tests.lambdas.optimization import by_hand

AT_MS = AT * 1000


def compacted(lake: Lake, *batches: Sequence[dict[str, Any] | bytes]) -> Lake:
    """A table with a file for each batch (and partition)."""
    for batch in batches:
        number = f"{len(list(lake.store.keys('ledger/runs/'))):03}"
        lake.put(number, batch)
        lake.run(number)
    return lake


def parquet_rows(lake: Lake, results: Sequence[RewriteResult]) -> list[dict[str, Any]]:
    """Rows of the new files, in their order."""
    bodies = [lake.store.read(file.key) or b"" for result in results for file in result.files]
    return [row for body in bodies for row in pq.read_table(pa.BufferReader(body)).to_pylist()]


def foreign(lake: Lake, rows: pa.Table, key: str = "warehouse/readings/data/foreign.parquet") -> None:
    """Write a file that none of our functions has written."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    lake.store.write(key, sink.getvalue().to_pybytes())


def test_rows_of_several_files_become_one_sorted_file(memory_lake: Lake) -> None:
    lake = compacted(memory_lake, *([reading(name), reading(name, at=AT + 1)] for name in ("pump-2", "pump-1", "a")))
    before = lake.rows()

    rewritten = by_hand.optimize(lake, "run")

    assert lake.rows() == before
    assert (rewritten.files_before, rewritten.files_after, rewritten.duplicates) == (3, 1, 0)
    (key,) = by_hand.live_files(lake)
    rows = pq.read_table(pa.BufferReader(lake.store.read(key))).to_pylist()
    assert [(row["device_id"], row["measured_at"]) for row in rows] == sorted(
        (row["device_id"], row["measured_at"]) for row in before
    )


def test_every_value_is_kept_whatever_the_row_has(memory_lake: Lake) -> None:
    lake = compacted(
        memory_lake,
        [reading("a", temperature=-0.1, vibration=1e9), reading("a", at=AT + 1, x=1, y=2.5)],
        [reading("b", temperature=1, location="Köln", facility="", sensor_type="pump", equipment_type="press")],
        [reading("b", at=AT + 0.001, humidity=5e-9, location="x" * 256), reading("Z", at=AT - 86_400)],
    )
    before = lake.rows()

    by_hand.optimize(lake, "run", cuts=[("a", AT_MS + 1)])

    assert lake.rows() == before
    assert len(before) == 5


def test_columns_that_the_settings_have_dropped_and_files_from_before_a_column_keep_what_they_have(
    memory_lake: Lake,
) -> None:
    lake = compacted(memory_lake, [reading("a", temperature=1, vibration=2, humidity=3)])
    lake.metrics = ("temperature", "humidity")
    compacted(lake, [reading("b", temperature=1, vibration=2, humidity=3)])
    lake.metrics = ("humidity", "pressure")
    before = lake.rows()

    by_hand.optimize(lake, "run")

    columns = ("temperature", "vibration", "humidity", "other_metrics")
    assert [[row[name] for name in columns] for row in before] == [
        [1.0, 2.0, None, [("humidity", 3.0)]],
        [1.0, None, 3.0, [("vibration", 2.0)]],
    ]
    assert [{**row, "pressure": None} for row in before] == lake.rows()


def test_of_duplicates_in_several_files_the_last_received_stays_and_of_those_the_one_of_the_last_object(
    memory_lake: Lake,
) -> None:
    received = AT_MS + 100
    lake = compacted(
        memory_lake,
        [reading("a", temperature=1, received_at=received + 9), reading("b", temperature=1, received_at=received)],
        [reading("a", temperature=2, received_at=received), reading("b", temperature=2, received_at=received)],
        [reading("b", temperature=3, received_at=received), reading("c")],
    )

    rewritten = by_hand.optimize(lake, "run")

    assert [(row["device_id"], row["temperature"]) for row in lake.rows()] == [("a", 1.0), ("b", 3.0), ("c", 20.5)]
    assert (rewritten.rows_before, rewritten.rows_after, rewritten.duplicates) == (6, 3, 3)


def test_of_duplicates_received_together_the_last_object_wins_though_it_was_committed_first(memory_lake: Lake) -> None:
    lake = memory_lake
    for number, name in enumerate(("z", "a")):
        lake.put(name, [reading("a", temperature=number), reading("b", at=AT + number)])
        lake.run(name)

    by_hand.optimize(lake, "run")

    assert [(row["device_id"], row["temperature"], row["source_object"][-4:]) for row in lake.rows()] == [
        ("a", 0.0, "z.gz"),
        ("b", 20.5, "z.gz"),
        ("b", 20.5, "a.gz"),
    ]


CUTS: list[list[Key]] = [
    [],
    [("b", 0)],
    [("a", AT_MS + 2), ("b", AT_MS + 1), ("b", AT_MS + 3)],
    [("", 0), ("a", AT_MS), ("zzz", 0)],
]


@pytest.mark.parametrize("cuts", CUTS)
def test_tasks_that_share_a_group_take_each_row_once(memory_lake: Lake, cuts: list[Key]) -> None:
    batch = [reading(name, at=AT + second / 1000) for name in "abc" for second in range(5)]
    lake = compacted(memory_lake, batch, batch[3:9], [reading("b", at=AT + 0.0025)])
    before = {(row["device_id"], row["measured_at"]) for row in lake.rows()}

    by_hand.plan(lake, "run", cuts)
    results = by_hand.write(lake, "run")

    found = [(row["device_id"], row["measured_at"]) for row in parquet_rows(lake, results)]
    assert found == sorted(before)
    assert sum(source.rows for result in results for source in result.sources) == len(before) + 7
    assert sum(result.duplicates for result in results) == 7
    by_hand.commit(lake, "run")
    assert [(row["device_id"], row["measured_at"]) for row in lake.rows()] == found


@pytest.fixture
def small_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowgroups, "ROWS", 50)
    monkeypatch.setattr(reading_module, "TAIL_BYTES", 100)


class Ranges:
    """What is fetched of the data files, by first byte and last."""

    def __init__(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fetched: list[tuple[int, int]] = []
        get_object = lake.s3.get_object

        def get(**request: Any) -> Any:
            if "Range" in request:
                first, last = request["Range"].removeprefix("bytes=").split("-")
                self.fetched.append((int(first), int(last)))
            return get_object(**request)

        monkeypatch.setattr(lake.s3, "get_object", get)


def places(lake: Lake, key: str) -> Iterator[tuple[str, str, int, int]]:
    """Smallest and largest device of each row group of a file, its first byte and its last."""
    metadata = pq.read_metadata(pa.BufferReader(lake.store.read(key)))
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(column) for column in range(group.num_columns)]
        starts = [column.dictionary_page_offset or column.data_page_offset for column in columns]
        last = max(start + column.total_compressed_size for start, column in zip(starts, columns, strict=True)) - 1
        devices = columns[0].statistics
        yield devices.min, devices.max, min(starts), last


@pytest.mark.usefixtures("small_row_groups")
def test_row_groups_outside_the_range_of_a_task_are_not_fetched(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = [reading(f"pump-{number:03}", at=AT + second) for number in range(40) for second in range(10)]
    lake = compacted(memory_lake, batch)
    (task, *_) = by_hand.plan(lake, "run", cuts=[("pump-012", 0), ("pump-018", AT_MS)])[1:]
    (key,) = by_hand.live_files(lake)
    groups = list(places(lake, key))
    ranges = Ranges(lake, monkeypatch)

    by_hand.rewriter(lake).rewrite("run", task)

    wanted = [place for place in groups if place[0] < "pump-018" and place[1] >= "pump-012"]
    assert 0 < len(wanted) < len(groups) - 2
    data = [place for place in ranges.fetched if place[0] < groups[-1][3]]
    assert data == [(wanted[0][2], wanted[-1][3])]  # one request for neighbouring row groups
    assert len(ranges.fetched) <= 3  # with the end of the file, and what the footer has beyond it


def test_a_small_file_is_fetched_with_one_request(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = compacted(memory_lake, [reading()], [reading("pump-2")])
    by_hand.plan(lake, "run")
    ranges = Ranges(lake, monkeypatch)

    by_hand.write(lake, "run")

    assert len(ranges.fetched) == 2


def test_a_task_that_runs_again_writes_the_same_bytes_however_rows_are_cut_on_the_way(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = [reading(f"pump-{number}", at=AT + number, x=number) for number in range(300)]
    lake = compacted(memory_lake, batch[::2], batch[1::2], batch[100:150])
    by_hand.plan(lake, "run", cuts=[("pump-2", 0)])
    written = by_hand.write(lake, "run")
    keys = [file.key for result in written for file in result.files]
    keys += [result_key("run", result.task_id) for result in written]
    before = {key: lake.store.read(key) for key in keys}

    monkeypatch.setattr(spill, "RUN_BYTES", 3000)
    monkeypatch.setattr(spill, "_MOST_RUNS", 3)
    monkeypatch.setattr(reading_module, "_BATCH_ROWS", 7)

    assert by_hand.write(lake, "run") == written
    assert {key: lake.store.read(key) for key in keys} == before


@pytest.mark.parametrize(("before", "after", "files"), [("day", "hour", 2), ("hour", "day", 1)])
def test_files_of_another_partitioning_are_rewritten_to_that_of_the_settings(
    memory_lake: Lake, before: str, after: str, files: int
) -> None:
    lake = memory_lake
    lake.partition_by = before
    compacted(lake, [reading("a"), reading("b", at=AT + 1)], [reading("a", at=AT + 3600)])
    rows = lake.rows()
    lake.partition_by = after

    by_hand.plan(lake, "run", files=sorted(by_hand.live_files(lake)))
    by_hand.write(lake, "run")
    by_hand.commit(lake, "run")

    assert lake.rows() == rows
    assert len(lake.table().spec().fields) == 1
    early = lake.table().scan(row_filter="measured_at < '2026-11-21T10:00:00+00:00'")
    assert early.to_arrow().num_rows == 2
    assert len(by_hand.live_files(lake)) == (files if after == "hour" else 2)


def test_rows_that_somebody_else_has_written_are_rewritten_like_ours(memory_lake: Lake) -> None:
    lake = compacted(memory_lake, [reading("b", at=AT + 1, x=1), reading("b")])
    theirs = lake.table().scan().to_arrow().sort_by([("measured_at", "descending")])
    large = pa.schema([field.with_type(_large(field.type)) for field in theirs.schema])
    theirs = theirs.set_column(0, large.field(0), pa.array(["c", "a"], pa.large_string())).cast(large)
    key = "warehouse/readings/data/measured_at_day=2026-11-21/foreign.parquet"
    foreign(lake, theirs.drop_columns(["vibration", "location"]), key)
    lake.table().add_files([f"s3://{lake.processed}/{key}"])
    before = lake.rows()

    rewritten = by_hand.optimize(lake, "run", cuts=[("b", 0)])

    assert [row["device_id"] for row in before] == ["a", "b", "b", "c"]
    assert lake.rows() == before
    assert (rewritten.files_before, rewritten.rows_before, rewritten.files_after) == (2, 4, 2)


def _large(kind: pa.DataType) -> pa.DataType:
    return pa.large_string() if pa.types.is_string(kind) else kind


ROW = {
    "device_id": ["a"],
    "measured_at": pa.array([datetime(2026, 11, 21, 9, tzinfo=UTC)], pa.timestamp("us", "UTC")),
    "received_at": pa.array([datetime(2026, 11, 21, 9, tzinfo=UTC)], pa.timestamp("us", "UTC")),
    "source_object": ["x"],
}
FINER = pa.array([datetime(2026, 11, 21, 9, tzinfo=UTC) + timedelta(microseconds=1)], pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("column", "says"),
    [({"measured_at": FINER}, "lose data"), ({"renamed": [1.0]}, r"the columns \['renamed'\]")],
)
def test_a_file_that_would_lose_something_fails_by_name(memory_lake: Lake, column: dict[str, Any], says: str) -> None:
    lake = compacted(memory_lake, [reading()])
    key = "warehouse/readings/data/measured_at_day=2026-11-21/foreign.parquet"
    foreign(lake, pa.table(ROW | column), key)
    (task,) = by_hand.plan(lake, "run", files=[key])

    with pytest.raises(FileNotRewritable, match=f"{key}.*{says}"):
        by_hand.rewriter(lake).rewrite("run", task)


def replaced(lake: Lake, key: str, body: bytes | None) -> None:
    if body is None:
        lake.s3.delete_object(Bucket=lake.processed, Key=key)
    else:
        lake.store.write(key, body)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: None, "is gone"),
        (lambda body: body[:-1], "bytes, planned were"),
        (lambda body: body + b"x", "bytes, planned were"),
        (lambda body: b"", "is shorter"),
        (lambda body: bytes(len(body)), "no footer that can be read"),
        (lambda body: body[:-8] + b"\xff\xff\xff\x7fPAR1", "no footer that can be read"),
    ],
)
def test_a_file_that_is_not_the_one_that_was_planned_fails_by_name(memory_lake: Lake, change: Any, says: str) -> None:
    lake = compacted(memory_lake, [reading()])
    (task,) = by_hand.plan(lake, "run")
    (key,) = by_hand.live_files(lake)
    replaced(lake, key, change(lake.store.read(key) or b""))

    with pytest.raises(FileMismatch, match=f"{key}.*{says}"):
        by_hand.rewriter(lake).rewrite("run", task)


def test_a_task_without_its_group_fails_by_name(memory_lake: Lake) -> None:
    with pytest.raises(ResultMissing, match=r"groups/1-00003\.json"):
        by_hand.rewriter(memory_lake).rewrite("run", RewriteTask("00003-000", group_key("run", 1, 3)))


def test_a_disk_that_takes_only_part_of_a_copy_is_full(memory_lake: Lake, tmp_path: Path) -> None:
    """A write takes what fits, and says so in its answer alone; the process's limit of a file's size acts like that."""
    lake = compacted(memory_lake, [reading()])
    source = by_hand.source(lake, by_hand.live_files(lake)[0])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (source.bytes - 100, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            reading_module.fetch(lake.s3, lake.processed, source, KeyRange(None, None), tmp_path / "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full_is_a_named_failure_that_says_what_to_change() -> None:
    def fill() -> None:
        with scratch_folder("lower this"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFull, match="or lower this and start"):
        fill()


@pytest.mark.usefixtures("small_row_groups")
@pytest.mark.parametrize(("share", "files"), [(1.7, 1), (2.2, 2)])
def test_a_file_has_up_to_four_fifths_more_than_the_target(memory_lake: Lake, share: float, files: int) -> None:
    lake = compacted(memory_lake, [reading(f"pump-{number}", at=AT + number) for number in range(1000)])
    (task,) = by_hand.plan(lake, "run")
    (key,) = by_hand.live_files(lake)
    size = sum(last - first for *_, first, last in places(lake, key))

    result = by_hand.rewriter(lake, int(size / share)).rewrite("run", task)

    assert len(result.files) == files
    assert [row["device_id"] for row in parquet_rows(lake, [result])] == sorted(
        {row["device_id"] for row in lake.rows()}
    )


def test_the_result_names_what_was_read_and_written(memory_lake: Lake) -> None:
    lake = compacted(memory_lake, [reading("a"), reading("c")], [reading("b")])
    by_hand.plan(lake, "run", cuts=[("b", 0)])

    first, second = by_hand.write(lake, "run")

    keys = by_hand.live_files(lake)
    assert [(source.key, source.rows) for source in first.sources] == [(keys[0], 1)]
    assert [(source.key, source.rows) for source in second.sources] == [(keys[0], 1), (keys[1], 1)]
    assert [file.key for file in second.files] == [
        "warehouse/readings/data/measured_at_day=2026-11-21/run-00000-001-rewritten.parquet"
    ]
    assert msgspec.json.decode(lake.store.read(result_key("run", "00000-001")) or b"", type=RewriteResult) == second
    assert arrow_rows(pq.read_table(pa.BufferReader(lake.store.read(first.files[0].key))))[0]["device_id"] == "a"
