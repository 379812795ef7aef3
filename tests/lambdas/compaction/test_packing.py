"""Packing objects into tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaction import packing
from compaction.manifests import PlannedObject
from compaction.packing import MAX_OBJECTS, chunks, pack


def planned(number: int, size: int, day: int = 21) -> PlannedObject:
    return PlannedObject(f"raw-data/year=2026/month=11/day={day}/hour=09/{number:06}.gz", size, "tag")


sizes = st.lists(st.integers(0, 200), max_size=60)


@given(sizes, st.integers(1, 300))
def test_every_object_is_in_one_task_and_the_order_of_objects_does_not_matter(sizes: list[int], target: int) -> None:
    objects = [planned(number, size) for number, size in enumerate(sizes)]

    tasks = pack(objects, target)

    assert sorted(item.key for task in tasks for item in task) == [item.key for item in objects]
    assert pack(objects[::-1], target) == tasks


@given(sizes.filter(bool), st.integers(1, 300))
def test_tasks_are_no_larger_than_the_target_and_one_object_and_come_largest_first(
    sizes: list[int], target: int
) -> None:
    tasks = [sum(item.bytes for item in task) for task in pack([planned(*item) for item in enumerate(sizes)], target)]

    assert max(tasks) <= target + max(sizes)
    assert tasks == sorted(tasks, reverse=True)
    assert len(tasks) <= sum(sizes) // target + 1


def test_large_objects_are_shared_out_before_small_ones_fill_up() -> None:
    tasks = pack([planned(number, size) for number, size in enumerate([1, 1, 1, 1, 4, 4])], 5)

    assert [sum(item.bytes for item in task) for task in tasks] == [4, 4, 4]


@pytest.mark.parametrize("sizes", [[1] * (MAX_OBJECTS * 2 + 1), [99] + [0] * MAX_OBJECTS * 2])
def test_a_task_has_no_more_objects_than_a_map_item_can_name(sizes: list[int]) -> None:
    tasks = pack([planned(number, size) for number, size in enumerate(sizes)], 10**9)

    assert len(tasks) == 3
    assert max(len(task) for task in tasks) <= packing.MAX_OBJECTS


def test_objects_are_grouped_chunks_of_arrival() -> None:
    objects = [planned(1, 1), planned(2, 1), planned(3, 1, day=22)]

    assert [len(day) for day in chunks(objects)] == [2, 1]
