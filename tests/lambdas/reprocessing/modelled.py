"""A run that a model follows step by step, and what its objects say by the rules of the run."""

import binascii
import gzip
import json
from collections.abc import Iterable, Iterator

import msgspec

from optimization.errors import FilesReplaced
from reprocessing.errors import FewerReadings
from reprocessing.keys import (
    decoded_key,
    resolved_prefix,
    tasks_key,
)
from reprocessing.manifests import DecodeTask
from reprocessing.request import Request, Scope
from reprocessing.scope import has_device
from sensors.decode import decode
from sensors.reading import Reading
from sensors.settings import FunctionSettings
from tests.lake import Lake
from tests.lambdas.reprocessing.system import Key, Row, System

STEPS = ("plan", "decode", "plan_merge", "merge", "commit", "report")

Line = tuple[str, bytes]
"""A record that is set aside, and the object that it is of."""


class Run:
    """One execution, as far as it is; a step that fails is taken again."""

    def __init__(self, system: System, asked: Request, drained: dict[str, list[Line]]) -> None:
        self.execution = system.execution(asked)
        self.asked = asked
        self.rules = system.settings
        self.left = list(STEPS)
        self.attempt = 1
        self.drained = drained
        self.refused: FewerReadings | None = None

    @property
    def run_id(self) -> str:
        return self.execution.run_id

    def take(self, lake: Lake) -> None:
        """The next step, and what the machine does with its failure."""
        step = self.left[0]
        try:
            if step == "plan":
                self.rules = self.execution.settings
            if step == "decode" and not list(lake.store.keys(decoded_key(self.run_id, ""))):
                is_drain = self.asked.source == "quarantine"
                self.drained[self.run_id] = [*open_lines(lake, self.objects(lake))] if is_drain else []
            arguments = {"plan_merge": (self.attempt,), "report": (self.refused,)}.get(step, ())
            getattr(self.execution, step)(*arguments)
        except FilesReplaced:
            if self.attempt == 5:
                raise
            self.attempt += 1
            self.left = list(STEPS[2:])
            return
        except FewerReadings as error:
            self.refused = error
        self.left.pop(0)

    def objects(self, lake: Lake) -> list[str]:
        """The objects that the run takes up for the table."""
        tasks = [msgspec.json.decode(line, type=DecodeTask) for line in lake.store.lines(tasks_key(self.run_id)) or ()]
        return [planned.key for task in tasks if task.to_table for planned in task.objects]


def once(rows: Iterable[Row]) -> dict[Key, Row]:
    """The row that counts of each key: the last received, then that of the last object, then the last."""
    found: dict[Key, Row] = {}
    for row in sorted(rows, key=lambda row: (row["received_at"], row["source_object"])):
        found[row["device_id"], row["measured_at"]] = row
    return found


def is_of(scope: Scope, row: Row) -> bool:
    return scope.start_ms <= row["measured_at"] < scope.end_ms and has_device(scope, row["device_id"])


def row_of(line: bytes, source: str, rules: FunctionSettings) -> Row | None:
    """The row of a record, None of one that is rejected."""
    found = decode(line, 0, rules.decoding)
    if not isinstance(found, Reading):
        return None
    return {
        "device_id": found.device_id,
        "measured_at": found.measured_at_ms,
        "received_at": found.received_at_ms,
        "source_object": source,
        "metrics": found.metrics,
        **found.attributes,
    }


def decoded(lines: dict[str, list[bytes]], objects: Iterable[str], rules: FunctionSettings) -> Iterator[Row]:
    """The rows of these objects, by these rules."""
    for key in sorted(objects):
        yield from filter(None, (row_of(line, key, rules) for line in lines[key]))


def rejected(lines: dict[str, list[bytes]], objects: Iterable[str], rules: FunctionSettings) -> Iterator[str]:
    """The positions of the records of these objects that are set aside."""
    for key in objects:
        for number, line in enumerate(lines[key], 1):
            if row_of(line, key, rules) is None:
                yield f"{key}:{number}"


def open_lines(lake: Lake, objects: Iterable[str]) -> Iterator[Line]:
    """The records of these quarantine objects that no run has resolved."""
    for line in unresolved(lake, objects):
        yield line["position"].rpartition(":")[0], binascii.a2b_base64(line["payload_b64"])


def unresolved(lake: Lake, objects: Iterable[str]) -> Iterator[dict[str, str]]:
    """The lines of these quarantine objects that no run has resolved."""
    for key in objects:
        marks = (lake.store.read(mark) or b"" for mark in lake.store.keys(resolved_prefix(key)))
        resolved = {json.loads(line) for mark in marks for line in mark.splitlines()}
        for line in map(json.loads, gzip.decompress(lake.store.read(key) or b"").splitlines()):
            if line["position"] not in resolved:
                yield line
