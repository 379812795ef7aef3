"""Order, duplicates and partitions, on columns."""

import io
from collections import Counter

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaction import parquet
from compaction.arrange import Arranged
from compaction.columns import Columns, table_schema
from compaction.errors import CompactionError
from sensors.dedupe import last_received
from sensors.reading import Reading

DAY_MS = 86_400_000

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


def arranged(content: list[Reading], blocks: int = 3) -> Arranged:
    columns = Columns(["temperature"])
    for number in range(blocks):
        columns.add(content[len(content) * number // blocks : len(content) * (number + 1) // blocks], number)
    return Arranged(columns.table(), "day")


@given(readings)
def test_the_rows_that_stay_are_those_that_the_domain_keeps(content: list[Reading]) -> None:
    kept = [content[position] for position in last_received(content)]
    expected = sorted(kept, key=lambda item: (item.measured_at_ms // DAY_MS, item.device_id, item.measured_at_ms))
    result = arranged(content)

    found = [row for _, rows in result.partitions(["temperature"], ["s0", "s1", "s2"]) for row in rows.to_pylist()]

    assert [row["device_id"] for row in found] == [item.device_id for item in expected]
    for row, item in zip(found, expected, strict=True):
        assert row["temperature"] == item.metrics.get("temperature")
        others = {name: value for name, value in item.metrics.items() if name != "temperature"}
        assert dict(row["other_metrics"] or ()) == others
        assert row["location"] == item.attributes.get("location")
    assert Counter(result.kept["late"].to_pylist()) == Counter(item.late for item in kept)
    assert sum(result.kept["ignored_fields"].to_pylist()) == sum(item.ignored_fields for item in kept)


def test_each_partition_holds_the_readings_of_its_day() -> None:
    content = [Reading("a", day * DAY_MS + 5, {"x": 1.0}, {}, 0, 0, False) for day in (1, 0, 1)]

    names = [(name, rows.num_rows) for name, rows in arranged(content).partitions([], ["s"] * 3)]

    assert names == [("measured_at_day=1970-01-01", 1), ("measured_at_day=1970-01-02", 1)]


def test_the_same_rows_give_the_same_bytes_in_the_types_that_iceberg_expects() -> None:
    content = [Reading("a", 5, {"temperature": 1.5, "x": 2.0}, {"location": "hall"}, 7, 0, False)]
    files = [
        parquet.encode(rows).to_pybytes()
        for _ in range(2)
        for _, rows in arranged(content).partitions(["temperature"], ["s"] * 3)
    ]

    assert files[0] == files[1]
    assert pq.read_schema(io.BytesIO(files[0])).equals(table_schema(["temperature"]))


def test_a_metric_cannot_be_declared_under_the_name_of_a_column() -> None:
    with pytest.raises(CompactionError, match=r"metrics\.source_object: the table has a column of that name"):
        table_schema(["source_object"])
