"""The objects that the failed tasks of a run had to take up, as its Distributed Map has written down how each ended."""

from typing import Final

import msgspec

from compaction import manifests as compact
from compaction.manifests import PlannedObject
from compaction.store import Store
from reprocessing.keys import RUNS_PREFIX

_FOLDERS: Final = (compact.RUNS_PREFIX, RUNS_PREFIX)


class _Task(msgspec.Struct, frozen=True):
    """A task of either machine; those that merge name no objects."""

    objects: tuple[PlannedObject, ...] = ()


class _Input(msgspec.Struct, frozen=True):
    task: _Task = _Task()


class _Child(msgspec.Struct, frozen=True, rename="pascal"):
    """A failed execution of a map; its input is JSON within the JSON.

    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
    """

    input: str = "{}"


def failed_objects(store: Store, run_id: str) -> set[str]:
    """The keys of the objects of the tasks that failed; empty for a run without failed tasks, or no run at all.

    What a redrive has mended is among them too: its first results stay. A map ends with its first failure, so that
    the tasks are few.
    """
    found: set[str] = set()
    for folder in _FOLDERS:
        for key in store.keys(f"{folder}{run_id}/map/"):
            if key.rpartition("/")[2].startswith("FAILED_"):
                for child in msgspec.json.decode(store.read(key) or b"[]", type=list[_Child]):
                    task = msgspec.json.decode(child.input, type=_Input).task
                    found.update(planned.key for planned in task.objects)
    return found
