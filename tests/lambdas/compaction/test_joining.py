"""Two lists in order of key, side by side."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaction.hours import hour_of, hour_prefix
from compaction.joining import beside
from compaction.manifests import PlannedObject
from tests.lake import HOUR

keys = st.sets(
    st.builds(
        lambda hour, name: f"{hour_prefix(HOUR + timedelta(hours=hour))}{name}",
        st.integers(0, 9),
        st.text("ab", min_size=1),
    )
)


def listed(names: set[str], since: datetime | None = None) -> Iterator[PlannedObject]:
    start = hour_prefix(since) if since else ""
    return (PlannedObject(key, 1, "tag") for key in sorted(names) if key >= start)


@given(keys, keys)
def test_each_object_meets_the_entry_of_its_key(objects: set[str], entries: set[str]) -> None:
    both = list(beside(listed(objects), lambda hour: listed(entries, hour)))

    assert [found.key for found, _ in both] == sorted(objects)
    assert {found.key for found, entry in both if entry is not None} == objects & entries
    assert all(entry is None or entry.key == found.key for found, entry in both)


def test_hours_without_an_object_are_passed_over() -> None:
    hours = [HOUR + timedelta(hours=number) for number in range(1000)]
    read = []

    def entries_from(hour: datetime) -> Iterator[PlannedObject]:
        for entry in listed({f"{hour_prefix(hour)}a" for hour in hours}, hour):
            read.append(hour_of(entry.key))
            yield entry

    found = list(beside(listed({f"{hour_prefix(hour)}a" for hour in (hours[0], hours[500], hours[999])}), entries_from))

    assert all(entry is not None for _, entry in found)
    assert len(read) < 10


def test_entries_that_are_ahead_are_listed_once() -> None:
    asked = []

    def entries_from(hour: datetime) -> Iterator[PlannedObject]:
        asked.append(hour)
        return listed({f"{hour_prefix(HOUR + timedelta(hours=50))}a"}, hour)

    objects = {f"{hour_prefix(HOUR + timedelta(hours=number * 5))}a" for number in range(11)}

    assert [entry is not None for _, entry in beside(listed(objects), entries_from)] == [False] * 10 + [True]
    assert asked == [HOUR]


def test_a_key_that_is_not_of_the_archive_is_refused() -> None:
    with pytest.raises(ValueError, match="errors/x is not a key of the archive"):
        list(beside(listed({"errors/x"}), lambda _: iter(())))
