"""A plan while it is written: its tasks and lists, before it is known whether it is the first of its run."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, Final, cast

import msgspec

from compaction.errors import InvalidInput
from compaction.packing import chunks, day_of, pack
from compaction.planning import MAX_OBJECTS, MAX_TASKS
from compaction.store import Store
from reprocessing.keys import draft_key
from reprocessing.manifests import DecodeTask
from reprocessing.plan.finding import Found

PARTS: Final = ("tasks", "missing", "frozen")
TASK_OBJECTS: Final = 128
"""Objects of one task at most: a task is the input of one map item, and these are less than 32 KiB of it."""

_SPOOL_BYTES: Final = 8 * 1024 * 1024  # a plan of about 50,000 objects stays in memory, a larger one goes to /tmp


@contextmanager
def drafting(*, leaves_frozen: bool) -> Iterator["Draft"]:
    """An empty draft; with `leaves_frozen`, frozen objects are in no task."""
    with ExitStack() as stack:
        files = {part: stack.enter_context(tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)) for part in PARTS}
        yield Draft(cast("Mapping[str, BinaryIO]", files), leaves_frozen=leaves_frozen)


class Draft:
    """Files of a plan while they are written, and the counts of what is in them, by the names of the Plan."""

    def __init__(self, files: Mapping[str, BinaryIO], *, leaves_frozen: bool) -> None:
        self._files = files
        self._leaves_frozen = leaves_frozen
        self._digest = hashlib.sha256()
        self._encode = msgspec.json.Encoder().encode
        names = ("tasks", "objects", "bytes", "outside", "frozen", "frozen_bytes", "deep", "deep_bytes")
        self.counts = dict.fromkeys(names, 0)

    def take(self, found: Iterable[Found], task_bytes: int, *, by_day: bool) -> None:
        """Write tasks and frozen objects; a task is of one day of arrival if `by_day` says so.

        Raises InvalidInput when they are too many; then all are counted first.
        """
        for task in _tasks(self._counted(found), task_bytes, day_of if by_day else _all_alike):
            self.counts["tasks"] += 1
            self._line("tasks", task)
        if self._is_too_large:
            raise InvalidInput(
                f"from: {self.counts['objects']:,} objects make {self.counts['tasks']:,} tasks, and a run takes "
                f"{MAX_OBJECTS:,} and {MAX_TASKS:,}. Narrow 'from' and 'to', and do the rest with other runs."
            )

    def miss(self, missing: Iterable[str]) -> None:
        """Write down what is not there."""
        for key in sorted(missing):
            self._line("missing", key)

    def publish(self, store: Store, run_id: str) -> str:
        """Write the files under the name of what is in them, and answer that name."""
        name = self._digest.hexdigest()[:16]
        for part, file in self._files.items():
            file.seek(0)
            store.write(draft_key(run_id, name, part), file)
        return name

    @property
    def _is_too_large(self) -> bool:
        return self.counts["objects"] > MAX_OBJECTS or self.counts["tasks"] > MAX_TASKS

    def _counted(self, found: Iterable[Found]) -> Iterator[Found]:
        """Those that are decoded; all are counted."""
        for item in found:
            self._count("objects", "bytes", item)
            self.counts["outside"] += item.is_outside
            if item.is_frozen:
                self._count("frozen", "frozen_bytes", item)
                if item.storage_class == "DEEP_ARCHIVE":
                    self._count("deep", "deep_bytes", item)
                self._line("frozen", item.planned)
            if not (item.is_frozen and self._leaves_frozen):
                yield item

    def _count(self, number: str, size: str, item: Found) -> None:
        self.counts[number] += 1
        self.counts[size] += item.bytes

    def _line(self, name: str, value: object) -> None:
        if self._is_too_large:  # it is only counted any more
            return
        line = self._encode(value) + b"\n"
        self._digest.update(name.encode() + line)
        self._files[name].write(line)


def _tasks(found: Iterable[Found], task_bytes: int, alike: Callable[[str], object]) -> Iterator[DecodeTask]:
    """Tasks of objects given in order of key; holds one chunk of them."""
    number = 0
    for together in chunks(found, alike):
        for to_table in (True, False):
            for packed in pack(
                [item.planned for item in together if item.to_table is to_table], task_bytes, TASK_OBJECTS
            ):
                yield DecodeTask(f"{number:05}", tuple(packed), to_table)
                number += 1


def _all_alike(_: str) -> None:
    """Objects of the quarantine are small: a day of them is no task's worth."""
