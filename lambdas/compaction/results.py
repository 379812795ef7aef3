"""The results that the tasks of a plan have left, read ahead, one at a time."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import msgspec

from compaction.ahead import ahead
from compaction.errors import ResultMissing
from compaction.store import Store


class Planned(Protocol):
    """A line of a plan."""

    @property
    def task_id(self) -> str:
        """What tells the task from the others of its run."""


AnyTask = TypeVar("AnyTask", bound=Planned)
AnyResult = TypeVar("AnyResult")


def results(
    store: Store, run: str, plan: Iterable[AnyTask], key: Callable[[str], str], kind: type[AnyResult]
) -> Iterator[tuple[AnyTask, AnyResult]]:
    """Each task with its result of this kind, which is at the key of the task's id; `run` is for messages.

    Raises ResultMissing at the end, naming the first task without a result and saying how many there are.
    """
    decode = msgspec.json.Decoder(kind).decode
    missing: list[str] = []
    for task, body in ahead(lambda task: store.read(key(task.task_id)), plan):
        if body is None:
            missing.append(task.task_id)
        else:
            yield task, decode(body)
    if missing:
        raise ResultMissing(
            f"{run} has no result of {len(missing)} of its tasks, the first is task {missing[0]}. "
            "Redrive the execution or start a new run."
        )
