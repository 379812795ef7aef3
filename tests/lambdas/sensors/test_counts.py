"""Counting: what balances, what does not, and how parts add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.counts import Counts, UnbalancedError, count
from sensors.dedupe import last_received
from sensors.reading import Reading, Reason, Rejection


def reading(device_id: str = "a", measured_at_ms: int = 0, received_at_ms: int = 0, **fields) -> Reading:
    return Reading(
        device_id, measured_at_ms, {"t": 1.0}, {}, received_at_ms, **{"ignored_fields": 0, "late": False} | fields
    )


def test_every_record_is_stored_a_duplicate_or_quarantined():
    stored = [reading(late=True, ignored_fields=2), reading(ignored_fields=1)]
    rejected = [
        Rejection(Reason.NOT_JSON, "", 0),
        Rejection(Reason.NOT_JSON, "", 0),
        Rejection(Reason.TOO_LARGE, "", 0),
    ]

    assert count(6, stored, 1, rejected) == Counts(
        received=6,
        stored=2,
        duplicate=1,
        quarantined=3,
        by_reason={"not_json": 2, "too_large": 1},
        late=1,
        ignored_fields=3,
    )


def test_a_missing_record_is_an_error_that_shows_the_counts():
    with pytest.raises(UnbalancedError, match="received=3"):
        count(3, [reading()], 1, [])


def test_reasons_that_do_not_add_up_are_an_error():
    with pytest.raises(UnbalancedError, match="reasons"):
        Counts(received=2, quarantined=2, by_reason={"not_json": 1}).check()


def test_the_counts_of_parts_add_up():
    first = Counts(received=3, stored=1, duplicate=1, quarantined=1, by_reason={"not_json": 1}, late=1)
    second = Counts(received=2, stored=0, quarantined=2, by_reason={"not_json": 1, "too_large": 1}, ignored_fields=4)

    assert (first + second).check() == Counts(
        received=5,
        stored=1,
        duplicate=1,
        quarantined=3,
        by_reason={"not_json": 2, "too_large": 1},
        late=1,
        ignored_fields=4,
    )


def test_of_duplicates_the_last_received_stays():
    readings = [reading("a", 1, 10), reading("b", 1, 10), reading("a", 1, 12), reading("a", 1, 11), reading("a", 2, 1)]

    assert last_received(readings) == [1, 2, 4]


def test_of_duplicates_that_arrived_together_the_later_in_the_sequence_stays():
    assert last_received([reading("a", 1, 10), reading("a", 1, 10)]) == [1]


@given(st.lists(st.builds(reading, st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 3))))
def test_each_identity_stays_once_and_nothing_received_later_is_dropped(readings):
    kept = last_received(readings)
    stays = {(readings[at].device_id, readings[at].measured_at_ms): at for at in kept}

    assert kept == sorted(stays.values())
    for position, one in enumerate(readings):
        winner = stays[(one.device_id, one.measured_at_ms)]
        assert (one.received_at_ms, position) <= (readings[winner].received_at_ms, winner)
