"""Sharing objects out among tasks of about equal bytes."""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence

from compaction.manifests import PlannedObject

MAX_OBJECTS = 500
"""Objects of one task at most: their keys and tags make up the input of one map item, which may have 256 KiB."""


def pack(objects: Sequence[PlannedObject], task_bytes: int) -> list[list[PlannedObject]]:
    """Share objects out: the largest first, each into the task that has least (longest processing time first).

    As few tasks as the bytes need at `task_bytes` each, or as the objects need at MAX_OBJECTS each; larger tasks come
    first, so that the map does not end waiting for one. In each task the objects are in order of key. The answer
    depends on the objects alone, not on their order.
    """
    total = sum(planned.bytes for planned in objects)
    count = max(math.ceil(total / task_bytes), math.ceil(len(objects) / MAX_OBJECTS), 1)
    bins: list[list[PlannedObject]] = [[] for _ in range(count)]
    lightest = [(0, number) for number in range(count)]
    for planned in sorted(objects, key=lambda item: (-item.bytes, item.key)):
        filled, number = heapq.heappop(lightest)
        bins[number].append(planned)
        if len(bins[number]) < MAX_OBJECTS:
            heapq.heappush(lightest, (filled + planned.bytes, number))
    packed = [sorted(content, key=lambda item: item.key) for content in bins if content]
    return sorted(packed, key=lambda content: (-sum(item.bytes for item in content), content[0].key))


def by_day(objects: Iterable[PlannedObject]) -> Iterator[list[PlannedObject]]:
    """Group objects, given in order of key, by day of arrival: a task then touches few partitions."""
    day: list[PlannedObject] = []
    for planned in objects:
        if day and _day(day[0]) != _day(planned):
            yield day
            day = []
        day.append(planned)
    if day:
        yield day


def _day(planned: PlannedObject) -> str:
    return planned.key.partition("/hour=")[0]
