"""Files that a rewrite would not keep as they are: left alone by the plan, so that one of them never stops a run."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFileContent
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.typedef import Record

from tests.lake import AT, Lake, reading
from tests.lambdas.optimization import others
from tests.upkeep import Upkeep

DAY = 86_400
PARTITION = "warehouse/readings/data/measured_at_day=2026-11-21/"
US = 1_000_000


@pytest.fixture
def upkeep(memory_lake: Lake) -> Upkeep:
    """Two files that overlap, and a third of which the tests make what they want."""
    for name in ("a", "b", "c"):
        memory_lake.put(name, [reading("a"), reading("d")])
        memory_lake.run(name)
    return Upkeep(memory_lake)


def rewrite(lake: Lake, change: Callable[[pa.Table], pa.Table]) -> None:
    """Make the third file one that another program wrote."""
    key = f"{PARTITION}c-00000.parquet"
    rows = change(pq.read_table(pa.BufferReader(lake.store.read(key))).replace_schema_metadata())
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    lake.store.write(key, sink.getvalue())


def times(name: str, unit: str, *ticks: int) -> Callable[[pa.Table], pa.Table]:
    """A column of times, in ticks since the beginning of the hour."""
    begin = AT * {"ms": 1000, "us": US, "ns": 1000 * US}[unit]
    column = pa.array([begin + tick for tick in ticks], pa.timestamp(unit, "UTC"))
    return lambda rows: rows.set_column(rows.column_names.index(name), name, column)


def column(name: str, values: Any) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.set_column(rows.column_names.index(name), name, values)


def numbered(**ids: int) -> Callable[[pa.Table], pa.Table]:
    """Columns with the ids that Athena and Spark give them."""

    def change(rows: pa.Table) -> pa.Table:
        numbers = {name: {"PARQUET:field_id": str(number)} for name, number in ids.items()}
        return rows.cast(pa.schema([field.with_metadata(numbers.get(field.name)) for field in rows.schema]))

    return change


@pytest.mark.parametrize(
    "change",
    [
        times("measured_at", "us", 0, 1),
        times("measured_at", "us", 1001, 2000),
        times("received_at", "us", 0, 1),
        times("measured_at", "ns", 0, 1_000_001),
        column("measured_at", pa.array([AT, AT])),
        column("device_id", pa.array([b"a", b"d"])),
        column("source_object", pa.array(["x", None])),
        lambda rows: rows.drop_columns(["received_at"]),
        lambda rows: rows.append_column("colour", pa.array([1, 1])),
        numbered(temperature=999),
    ],
    ids=[
        "last time finer than milliseconds",
        "first time finer than milliseconds",
        "receipt finer than milliseconds",
        "nanoseconds",
        "no time",
        "bytes",
        "null where the table has none",
        "required column missing",
        "unknown column",
        "column that had the name before",
    ],
)
def test_a_file_that_would_lose_something_is_left_alone_and_the_others_are_rewritten(
    upkeep: Upkeep, change: Callable[[pa.Table], pa.Table]
) -> None:
    rewrite(upkeep.lake, change)

    answer = upkeep.plan("run")

    assert (answer["files"], answer["skipped_files"]) == (2, 1)
    upkeep.write("run")
    assert upkeep.commit("run").rows_after == 2
    reasons = [line["reason"] for line in upkeep.dry_run()["partitions"]]
    assert reasons == ["left alone: columns or times that a rewrite would not keep"]


@pytest.mark.parametrize(
    "change",
    [
        times("measured_at", "us", 1000, 2000),
        times("measured_at", "ns", 1_000_000, 2_000_000),
        times("measured_at", "ms", 1, 2),
        column("device_id", pa.array(["a", "d"], pa.large_string())),
        column("device_id", pa.array(["a", "d"]).dictionary_encode()),
        lambda rows: rows.select([name for name in reversed(rows.column_names) if name != "location"]),
        numbered(device_id=1, measured_at=2),
    ],
    ids=["microseconds", "nanoseconds", "milliseconds", "large text", "dictionary", "other columns", "ids"],
)
def test_a_file_of_others_that_loses_nothing_is_rewritten_with_the_rest(
    upkeep: Upkeep, change: Callable[[pa.Table], pa.Table]
) -> None:
    rewrite(upkeep.lake, change)

    answer = upkeep.plan("run")

    assert (answer["files"], answer["skipped_files"]) == (3, 0)


@pytest.mark.parametrize("day", [-1, 3_000_000], ids=["before 1970", "after 9999"])
def test_a_day_that_has_no_name_is_left_alone_and_the_others_are_rewritten(
    upkeep: Upkeep, day: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # PyIceberg cannot name them either; its reader need not
        patch.setattr(PartitionSpec, "partition_to_path", lambda *_: "odd")
        others.add(upkeep.lake, "warehouse/readings/data/odd.parquet", DataFileContent.DATA, Record(day))

    answer = upkeep.plan("run")

    assert (answer["files"], answer["skipped_files"]) == (3, 1)
    assert upkeep.dry_run()["partitions"][0]["reason"].startswith("left alone: ")


def test_deletes_in_a_day_that_has_no_name_do_not_keep_the_others_from_being_rewritten(upkeep: Upkeep) -> None:
    others.add(upkeep.lake, "odd.deletes.parquet", DataFileContent.POSITION_DELETES, Record(-1))

    assert (upkeep.plan("run")["files"], upkeep.plan("run")["skipped_files"]) == (3, 0)


def test_a_file_without_a_row_is_no_place_to_look_for_keys(upkeep: Upkeep) -> None:
    rewrite(upkeep.lake, lambda rows: rows.slice(0, 0))
    small = Upkeep(upkeep.lake, file_bytes=2000)

    assert small.plan("run")["files"] == 3
    assert small.plan("run")["tasks"] > 1
