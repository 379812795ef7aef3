"""Files and sizes of the table's partitions."""

from datetime import timedelta

from ops.partitions import partitions
from tests.lake import AT, HOUR, Lake, reading

DAY_S = 86_400


def test_the_files_of_each_partition_are_counted_and_measured(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading("pump-1"), reading("pump-1", AT - DAY_S), reading("pump-2", AT - DAY_S)])
    memory_lake.run("one")
    memory_lake.put("b", [reading(f"pump-{number}") for number in range(100)], HOUR - timedelta(hours=1))
    memory_lake.run("two")
    memory_lake.put("c", [reading("pump-7")])
    memory_lake.run("three")

    yesterday, today = partitions(memory_lake.table())

    assert (yesterday.partition, yesterday.files, yesterday.rows) == ("measured_at_day=2026-11-20", 1, 2)
    assert yesterday.smallest == yesterday.median == yesterday.largest == yesterday.bytes
    assert (today.partition, today.files, today.rows) == ("measured_at_day=2026-11-21", 3, 102)
    assert today.smallest <= today.median < today.largest
    assert today.smallest + today.median + today.largest == today.bytes


def test_a_table_without_a_file_has_no_partition(memory_lake: Lake) -> None:
    assert partitions(memory_lake.lake_table().load()) == []
    memory_lake.put("a", [b"garbage"])
    memory_lake.run("one")

    assert partitions(memory_lake.table()) == []


def test_files_of_an_earlier_partitioning_are_shown_in_the_day_they_are_of(memory_lake: Lake) -> None:
    memory_lake.partition_by = "hour"
    memory_lake.put("a", [reading()])
    memory_lake.run("one")
    memory_lake.partition_by = "day"
    memory_lake.put("b", [reading("pump-2")])
    memory_lake.run("two")

    assert [(one.partition, one.files) for one in partitions(memory_lake.table())] == [
        ("measured_at_day=2026-11-21", 2)
    ]
