"""Windows of arrival hours."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaction.errors import InvalidInput
from compaction.hours import Window, closed_until, floor_hour, hour_of, hour_prefix, window_of

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def at(hour: int) -> datetime:
    return datetime(2026, 11, 21, hour, tzinfo=UTC)


def test_without_input_a_run_takes_every_hour_whose_grace_is_over() -> None:
    assert window_of({}, NOW, grace_minutes=16) == Window(None, at(12), every_closed=True)
    assert window_of({}, NOW.replace(minute=15), grace_minutes=16) == Window(None, at(11), every_closed=True)
    assert closed_until(NOW.replace(minute=16), 16) == at(12)


def test_hours_that_are_asked_for_are_whole_hours_around_the_times_given() -> None:
    window = window_of({"from": "2026-11-21T09:59:59Z", "to": "2026-11-21T11:00:01Z"}, NOW, 16)
    assert window == Window(at(9), at(12))
    assert window_of({"from": "2026-11-21T09:00", "to": "2026-11-21T11:00"}, NOW, 16) == Window(at(9), at(11))


def test_an_offset_is_taken_into_account_and_its_absence_means_utc() -> None:
    assert window_of({"from": "2026-11-21T11:30:00+02:00"}, NOW, 16).start == at(9)
    assert window_of({"from": "2026-11-21T09:30:00"}, NOW, 16).start == at(9)


def test_an_hour_that_is_still_open_is_taken_when_asked_for() -> None:
    assert window_of({"to": "2026-11-21T13:00:00Z"}, NOW, 16) == Window(None, at(13))


@pytest.mark.parametrize(
    ("run_input", "message"),
    [
        ({"from": "yesterday"}, "from: 'yesterday' is not an ISO-8601 time"),
        ({"to": 1763715600}, "to: 1763715600 is not an ISO-8601 time"),
        ({"from": "2026-11-21T10:00Z", "to": "2026-11-21T10:00Z"}, "from: .* is not before 'to'"),
        ({"from": "2026-11-22", "to": "2026-11-21"}, "from: .* is not before 'to'"),
        ({"From": "2026-11-21"}, "From: unknown field"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from: .* outside the years"),
        ({"from": "1969-12-31T23:59:59Z"}, "from: .* outside the years"),
        ({"to": "9998-01-01"}, "to: .* outside the years"),
        ({"to": "9999-12-31T23:30:00-14:00"}, "to: .* outside the years"),
        ([], "input: not an object"),
    ],
)
def test_an_input_that_cannot_be_used_is_refused_with_field_and_reason(run_input: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        window_of(run_input, NOW, 16)


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_folder_of_an_hour_tells_the_hour_and_folders_are_in_the_order_of_hours(moment: datetime) -> None:
    assert hour_of(hour_prefix(moment) + "a.gz") == floor_hour(moment)
    assert hour_prefix(floor_hour(moment)) < hour_prefix(at(0)) or moment >= at(0)


def test_a_key_of_the_archive_tells_its_hour_and_other_keys_none() -> None:
    assert hour_of(hour_prefix(at(9)) + "a.gz") == at(9)
    for key in (
        "errors/x",
        "raw-data/x.gz",
        hour_prefix(at(9)),
        "raw-data/year=2026/month=13/day=01/hour=00/a.gz",
        "raw-data/year=٢٠٢٦/month=11/day=21/hour=09/a.gz",
    ):
        assert hour_of(key) is None
