"""Order, duplicates and partitions, on columns, and files that do not depend on how the rows came."""

import io
import itertools
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction import checksum, parquet, rowgroups, spill
from compaction.arrange import arrange, partition_name
from compaction.columns import batch_of, table_schema
from compaction.errors import CompactionError
from compaction.manifests import FIRST_KEY_METADATA, KEYS_METADATA, LAST_KEY_METADATA
from compaction.spill import SortedRuns
from sensors.dedupe import last_received
from sensors.reading import Reading

DAY_MS = 86_400_000
METRICS = ("temperature",)

readings = st.lists(
    st.builds(
        Reading,
        device_id=st.sampled_from(["a", "b", "B", "a.1"]),
        measured_at_ms=st.sampled_from([0, 1, DAY_MS - 1, DAY_MS, 253_402_300_799_999]),
        metrics=st.dictionaries(st.sampled_from(["temperature", "x", "y"]), st.floats(-9, 9), min_size=1),
        attributes=st.dictionaries(st.sampled_from(["location", "sensor_type"]), st.text(max_size=3)),
        received_at_ms=st.integers(0, 5),
        ignored_fields=st.integers(0, 3),
        late=st.booleans(),
    ),
    max_size=30,
)


def table(content: list[Reading]) -> pa.Table:
    return pa.Table.from_batches([batch_of(content, METRICS, [0] * len(content))])


def written(pieces: list[pa.Table], folder: Path, file_bytes: int = 10**9, *, bloom: bool = False) -> dict[str, bytes]:
    """The files that come of arranged rows, by key."""
    files: dict[str, bytes] = {}
    layout = parquet.Format(METRICS, "day", file_bytes, bloom)
    writer = parquet.Files(layout, "run-0", folder, lambda key, path: files.update({key: path.read_bytes()}), ["s0"])
    for piece in pieces:
        writer.add(piece)
    writer.finish()
    return files


@settings(deadline=None)
@given(readings)
def test_the_rows_that_stay_are_those_that_the_domain_keeps(content: list[Reading]) -> None:
    kept = [content[position] for position in last_received(content)]
    expected = sorted(kept, key=lambda item: (item.measured_at_ms // DAY_MS, item.device_id, item.measured_at_ms))

    result = arrange(table(content), DAY_MS)

    found = result.rows.to_pylist()
    assert [row["device_id"] for row in found] == [item.device_id for item in expected]
    for row, item in zip(found, expected, strict=True):
        assert row["temperature"] == item.metrics.get("temperature")
        others = {name: value for name, value in item.metrics.items() if name != "temperature"}
        assert dict(row["other_metrics"] or ()) == others
        assert row["location"] == item.attributes.get("location")
    assert len(result.duplicates) == len(content) - len(kept)
    assert Counter(row["_late"] for row in found) == Counter(item.late for item in kept)
    assert sum(row["_ignored_fields"] for row in found) == sum(item.ignored_fields for item in kept)


@settings(deadline=None)
@given(readings, st.data())
def test_of_rows_with_a_source_those_received_together_stay_by_source_whatever_their_order(
    content: list[Reading], data: st.DataObject
) -> None:
    names = st.lists(st.sampled_from(["x/a", "x/b", "x/B", "x"]), min_size=len(content), max_size=len(content))
    sources = data.draw(names)
    rows = table(content).append_column("source_object", pa.array(sources, pa.string()))
    rank = {place: (one.received_at_ms, sources[place], place) for place, one in enumerate(content)}
    best: dict[tuple[str, int], int] = {}
    for place, one in enumerate(content):
        key = (one.device_id, one.measured_at_ms)
        best[key] = max(best.get(key, place), place, key=lambda other: rank[other])

    result = arrange(rows, DAY_MS)

    expected = [
        rows.slice(best[row["device_id"], row["measured_at"]], 1).to_pylist()[0] for row in result.rows.to_pylist()
    ]
    assert result.rows.to_pylist() == expected
    assert result.rows.num_rows == len(best)
    assert result.rows.num_rows + result.duplicates.num_rows == len(content)


@settings(deadline=None, max_examples=40)
@given(readings, st.lists(st.integers(0, 30), max_size=8), st.integers(1, 1500), st.integers(2, 3))
def test_rows_come_out_the_same_however_they_are_cut_and_spilled(
    tmp_path_factory: pytest.TempPathFactory, content: list[Reading], cuts: list[int], run_bytes: int, most_runs: int
) -> None:
    bounds = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "RUN_BYTES", run_bytes)
        patch.setattr(spill, "_MOST_RUNS", most_runs)
        patch.setattr(spill, "_BATCH_BYTES", 3 * run_bytes // 4 + 1)
        duplicates: list[pa.Table] = []
        runs = SortedRuns(folder, DAY_MS, duplicates.append)
        for start, end in itertools.pairwise(bounds):
            runs.add(batch_of(content[start:end], METRICS, [0] * (end - start)))
        found = list(runs.drain())

    expected = arrange(table(content), DAY_MS)
    assert [row for piece in found for row in piece.to_pylist()] == expected.rows.to_pylist()
    assert sum(left_out.num_rows for left_out in duplicates) == expected.duplicates.num_rows
    if content:
        assert written(found, folder) == written([expected.rows], folder)


def merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: list[list[Reading]], most: int
) -> list[tuple[str, int, float]]:
    """Device, time and temperature of what stays of runs that are cut as the lists are."""
    monkeypatch.setattr(spill, "RUN_BYTES", 1)
    monkeypatch.setattr(spill, "_MOST_RUNS", most)
    runs = SortedRuns(tmp_path, DAY_MS, lambda _: None)
    for run in content:
        runs.add(batch_of(run, METRICS, [0] * len(run)))
    rows = [row for piece in runs.drain() for row in piece.to_pylist()]
    return [(row["device_id"], row["measured_at"], row["temperature"]) for row in rows]


def at(moment: int, value: float) -> Reading:
    return Reading("a", moment, {"temperature": value}, {}, 0, 0, False)


def test_of_equals_that_arrived_together_the_last_stays_though_its_run_was_merged_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert merged(tmp_path, monkeypatch, [[at(1, value)] for value in range(5)], most=3) == [("a", 1, 4.0)]


def test_a_duplicate_within_a_batch_of_one_run_of_the_last_row_of_another_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = merged(tmp_path, monkeypatch, [[at(1, 0), at(2, 0)], [at(2, 1), at(3, 1)]], most=9)

    assert found == [("a", 1, 0.0), ("a", 2, 1.0), ("a", 3, 1.0)]


@given(readings, st.integers(0, 30), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_files_are_the_same_to_the_byte_however_their_rows_are_cut(
    tmp_path_factory: pytest.TempPathFactory, content: list[Reading], cut: int, group_rows: int
) -> None:
    rows = arrange(table(content), DAY_MS).rows
    folder = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowgroups, "ROWS", group_rows)
        patch.setattr(rowgroups, "BYTES", 300)
        whole = written([rows], folder, file_bytes=1)
        assert written([rows.slice(0, cut), rows.slice(cut)], folder, file_bytes=1) == whole

    groups = [pq.read_metadata(io.BytesIO(data)) for data in whole.values()]
    assert sum(group.num_rows for group in groups) == rows.num_rows
    assert all(group.num_rows <= group_rows for group in groups)


def test_a_file_ends_with_the_row_group_that_reaches_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowgroups, "ROWS", 100)
    rows = table([Reading("a", moment, {"temperature": moment / 7}, {}, 0, 0, False) for moment in range(1000)])

    files = [pq.read_metadata(io.BytesIO(data)) for data in written([rows], tmp_path, file_bytes=5000).values()]

    last_groups = [file.row_group(file.num_row_groups - 1).column(0).dictionary_page_offset for file in files]
    assert 1 < len(files) < 10
    assert max(last_groups) < 5000
    assert sum(file.num_rows for file in files) == 1000


def test_each_partition_holds_the_readings_of_its_day(tmp_path: Path) -> None:
    content = [Reading("a", day * DAY_MS + 5, {"x": 1.0}, {}, 0, 0, False) for day in (1, 0, 1)]

    files = written([arrange(table(content), DAY_MS).rows], tmp_path)

    assert list(files) == [f"warehouse/readings/data/measured_at_day=1970-01-0{day}/run-0.parquet" for day in (1, 2)]
    assert partition_name(1, "hour") == "measured_at_hour=1970-01-01-01"


def test_a_file_is_in_the_types_that_iceberg_expects_with_statistics_and_pages_to_prune_by(tmp_path: Path) -> None:
    content = [Reading("a", 5, {"temperature": 1.5, "x": 2.0}, {"location": "hall"}, 7, 0, False)]

    (plain,) = written([table(content)], tmp_path).values()
    (filtered,) = written([table(content)], tmp_path, bloom=True).values()

    assert pq.read_schema(io.BytesIO(plain)).equals(table_schema(METRICS))
    column = pq.read_metadata(io.BytesIO(plain)).row_group(0).column(0)
    order = pq.read_metadata(io.BytesIO(plain)).row_group(0).sorting_columns
    assert [sorting.column_index for sorting in order] == [0, 1]
    assert (column.statistics.min, column.has_offset_index, column.has_column_index) == ("a", True, True)
    assert len(filtered) > len(plain)
    assert pq.read_table(io.BytesIO(filtered)).equals(pq.read_table(io.BytesIO(plain)))


def test_the_footer_holds_a_checksum_of_the_keys_that_their_order_does_not_change(tmp_path: Path) -> None:
    content = [Reading(name, at, {"x": 1.0}, {}, 0, 0, False) for name, at in [("a", 1), ("b", 1), ("a", 2)]]

    def of(some: list[Reading]) -> int:
        rows = table(some)
        return checksum.of_keys(
            rows["device_id"].combine_chunks().dictionary_encode(), rows["measured_at"].combine_chunks()
        )

    (data,) = written([arrange(table(content), DAY_MS).rows], tmp_path).values()

    assert of(content) == of(content[::-1]) == (of(content[:1]) + of(content[1:])) % 2**64
    assert len({of(content), of(content[:2]), of(content[1:])}) == 3
    assert pq.read_metadata(io.BytesIO(data)).metadata[KEYS_METADATA.encode()] == b"%016x" % of(content)


def test_the_footer_holds_the_keys_of_the_first_and_the_last_row_of_all_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowgroups, "ROWS", 1)
    content = [Reading(name, at, {"x": 1.0}, {}, 0, 0, False) for name, at in [("b", 1), ("ä", 4), ("a", 9), ("b", 2)]]

    (data,) = written([arrange(table(content), DAY_MS).rows], tmp_path).values()

    metadata = pq.read_metadata(io.BytesIO(data)).metadata
    assert json.loads(metadata[FIRST_KEY_METADATA.encode()]) == ["a", 9]
    assert json.loads(metadata[LAST_KEY_METADATA.encode()]) == ["ä", 4]


def test_a_metric_cannot_be_declared_under_the_name_of_a_column() -> None:
    with pytest.raises(CompactionError, match=r"metrics\.source_object: the table has a column of that name"):
        table_schema(["source_object"])
