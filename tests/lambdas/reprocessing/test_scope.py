"""Which readings are of a scope."""

from datetime import UTC, datetime
from fnmatch import fnmatchcase

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction.columns import TIMESTAMP
from reprocessing.request import Scope
from reprocessing.scope import Bounds, archive_window, has_device, holds_all, mask, may_meet, may_overlap, row_groups
from sensors.settings import Decoding

names = st.text("ab.-", min_size=1, max_size=4)
patterns = st.one_of(names, st.text("ab.-*?[]!", min_size=1, max_size=5))
scopes = st.builds(
    lambda start, length, devices: Scope(start, start + length, tuple(devices)),
    st.integers(0, 9),
    st.integers(1, 9),
    st.lists(patterns, max_size=3),
)
rows_of = st.lists(st.tuples(names, st.integers(0, 19)), min_size=1, max_size=12)


def batch(rows: list[tuple[str, int]], *, as_dictionary: bool = False) -> pa.RecordBatch:
    devices = pa.array([device for device, _ in rows], pa.string())
    moments = pa.array([moment for _, moment in rows], pa.int64())
    return pa.record_batch(
        {"device_id": devices.dictionary_encode() if as_dictionary else devices, "measured_at": moments}
    )


def is_of(scope: Scope, device: str, moment_ms: int) -> bool:
    """The rule in a line."""
    named = not scope.devices or any(fnmatchcase(device, pattern) for pattern in scope.devices)
    return scope.start_ms <= moment_ms < scope.end_ms and named


@settings(deadline=None)
@given(scopes, rows_of, st.booleans())
def test_the_mask_says_of_each_row_what_the_rule_says(scope, rows, as_dictionary):
    expected = [is_of(scope, *row) for row in rows]

    assert mask(scope, batch(rows, as_dictionary=as_dictionary)).to_pylist() == expected
    assert [has_device(scope, device) for device, _ in rows] == [
        is_of(scope, device, scope.start_ms) for device, _ in rows
    ]


@settings(deadline=None)
@given(scopes, rows_of, st.lists(st.booleans(), min_size=4, max_size=4))
def test_bounds_never_hide_a_row_of_the_scope_nor_claim_one_that_is_not(scope, rows, known):
    devices, moments = zip(*rows, strict=True)
    ends = (min(devices), max(devices), min(moments), max(moments))
    bounds = Bounds(*(end if is_known else None for end, is_known in zip(ends, known, strict=True)))
    found = [is_of(scope, *row) for row in rows]

    assert may_meet(scope, bounds) or not any(found)
    assert all(found) or not holds_all(scope, bounds)


@pytest.mark.parametrize(
    ("devices", "first", "last", "meets"),
    [
        ((), "a", "z", True),
        (("pump-2",), "pump-1", "pump-3", True),
        (("pump-4",), "pump-1", "pump-3", False),
        (("pump-*",), "fan-1", "pump-0", True),
        (("pump-*",), "valve-1", "valve-9", False),
        (("pump-*",), "fan-1", "fan-9", False),
        (("*-9",), "fan-1", "fan-2", True),
        (("*-9",), "fan-1", "fan-1", False),
        (("fan-[12]",), "fan-2", "fan-2", True),
    ],
)
def test_a_file_is_passed_over_when_none_of_the_devices_lies_between_its_first_and_last(devices, first, last, meets):
    assert may_meet(Scope(0, 10, devices), Bounds(first, last, 0, 9)) is meets


@pytest.mark.parametrize(
    ("first_ms", "last_ms", "meets", "all_of_it"),
    [
        (10, 19, True, True),
        (9, 19, True, False),
        (10, 20, True, False),
        (0, 9, False, False),
        (20, 30, False, False),
        (19, None, True, False),
        (None, 10, True, False),
        (None, 9, False, False),
    ],
)
def test_the_range_is_half_open(first_ms, last_ms, meets, all_of_it):
    bounds = Bounds("a", "b", first_ms, last_ms)

    assert may_meet(Scope(10, 20), bounds) is meets
    assert holds_all(Scope(10, 20), bounds) is all_of_it


def test_row_groups_say_their_bounds(tmp_path):
    moments = pa.array([1_000_000, 2_000_000, 3_000_000, 4_000_000], TIMESTAMP)
    rows = pa.table({"device_id": ["fan-1", "fan-2", "pump-1", "pump-1"], "measured_at": moments})
    pq.write_table(rows, tmp_path / "with.parquet", row_group_size=2)
    pq.write_table(rows, tmp_path / "without.parquet", write_statistics=False)

    assert row_groups(pq.read_metadata(tmp_path / "with.parquet")) == [
        Bounds("fan-1", "fan-2", 1000, 2000),
        Bounds("pump-1", "pump-1", 3000, 4000),
    ]
    assert row_groups(pq.read_metadata(tmp_path / "without.parquet")) == [Bounds(None, None, None, None)]


def test_the_archive_hours_reach_from_clocks_that_are_ahead_to_readings_that_are_late():
    def ms(day: int, hour: int, minute: int = 0) -> int:
        return int(datetime(2026, 3, day, hour, minute, tzinfo=UTC).timestamp() * 1000)

    window = archive_window(Scope(ms(2, 10, 20), ms(2, 11)), Decoding(late_after_h=24, future_tolerance_s=300))
    assert (window.start, window.end) == (
        datetime(2026, 3, 2, 10, tzinfo=UTC),
        datetime(2026, 3, 3, 11, tzinfo=UTC),
    )

    early = archive_window(Scope(ms(2, 10, 19), ms(2, 11, 1)), Decoding(late_after_h=1, future_tolerance_s=300))
    assert (early.start, early.end) == (datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 13, tzinfo=UTC))


def test_the_first_day_there_is_has_hours_before_it():
    window = archive_window(Scope(0, 1), Decoding())

    assert window.start == datetime(1969, 12, 31, 23, tzinfo=UTC)


@settings(deadline=None)
@given(scopes, scopes, rows_of)
def test_scopes_that_share_a_reading_overlap(one, other, rows):
    assert may_overlap(one, other) or not any(is_of(one, *row) and is_of(other, *row) for row in rows)


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        (Scope(0, 10), Scope(9, 20), True),
        (Scope(0, 10), Scope(10, 20), False),
        (Scope(0, 10, ("fan-1",)), Scope(0, 10), True),
        (Scope(0, 10, ("fan-1",)), Scope(0, 10, ("fan-2", "fan-3")), False),
        (Scope(0, 10, ("fan-1",)), Scope(0, 10, ("fan-?",)), True),
        (Scope(0, 10, ("fan-*",)), Scope(0, 10, ("pump-*",)), False),
        (Scope(0, 10, ("fan-*",)), Scope(0, 10, ("*-1",)), True),
    ],
)
def test_scopes_overlap_in_time_and_devices(one, other, overlaps):
    assert may_overlap(one, other) is overlaps
    assert may_overlap(other, one) is overlaps
