"""Sharing objects out among tasks of about equal bytes."""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from compaction.joining import Keyed
from compaction.manifests import PlannedObject

Item = TypeVar("Item", bound=Keyed)

MAX_OBJECTS = 500
"""Objects of one task at most: their keys and tags make up the input of one map item, which may have 256 KiB."""
CHUNK_OBJECTS = 20_000
"""Objects that are shared out together: about 10 MB of memory, and at 40 KB an object a dozen tasks."""


def pack(
    objects: Sequence[PlannedObject], task_bytes: int, most_objects: int = MAX_OBJECTS
) -> list[list[PlannedObject]]:
    """Share objects out: the largest first, each into the task that has least (longest processing time first).

    An object of a task's size or more is a task of its own; of the others there are as few tasks as the bytes need at
    `task_bytes` each, or as the objects need at `most_objects` each. Larger tasks come first, so that the map does not
    end waiting for one. In each task the objects are in order of key. The answer depends on the objects alone, not on
    their order.
    """
    bins = [[planned] for planned in objects if planned.bytes >= task_bytes]
    bins += _shared_out([planned for planned in objects if planned.bytes < task_bytes], task_bytes, most_objects)
    packed = [sorted(content, key=lambda item: item.key) for content in bins if content]
    return sorted(packed, key=lambda content: (-sum(item.bytes for item in content), content[0].key))


def _shared_out(objects: Sequence[PlannedObject], task_bytes: int, most_objects: int) -> list[list[PlannedObject]]:
    total = sum(planned.bytes for planned in objects)
    count = max(math.ceil(total / task_bytes), math.ceil(len(objects) / most_objects), 1)
    bins: list[list[PlannedObject]] = [[] for _ in range(count)]
    lightest = [(0, number) for number in range(count)]
    for planned in sorted(objects, key=lambda item: (-item.bytes, item.key)):
        filled, number = heapq.heappop(lightest)
        bins[number].append(planned)
        if len(bins[number]) < most_objects:
            heapq.heappush(lightest, (filled + planned.bytes, number))
    return bins


def day_of(key: str) -> str:
    """The day of arrival of an archive object, as its key has it."""
    return key.partition("/hour=")[0]


def chunks(objects: Iterable[Item], alike: Callable[[str], object] = day_of) -> Iterator[list[Item]]:
    """Cut objects, given in order of key, into lists to share out: CHUNK_OBJECTS at most, whose keys are `alike`.

    A task of objects of one day of arrival touches few partitions, and whoever packs holds one chunk, however many
    objects there are.
    """
    chunk: list[Item] = []
    for item in objects:
        if chunk and (len(chunk) == CHUNK_OBJECTS or alike(chunk[0].key) != alike(item.key)):
            yield chunk
            chunk = []
        chunk.append(item)
    if chunk:
        yield chunk
