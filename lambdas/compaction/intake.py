"""Reading a task's objects: each record once through the decoder, into columns or into the quarantine."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from compaction.columns import Columns
from compaction.lines import Damaged, blocks
from sensors import quarantine
from sensors.decode import decode
from sensors.reading import Reading, Reason, Rejection
from sensors.settings import Limits


class Intake:
    """What has been read so far; objects are numbered in the order in which they are read."""

    def __init__(self, metrics: Sequence[str], limits: Limits) -> None:
        self._limits = limits
        self._columns = Columns(metrics)
        self.records: list[int] = []
        self.rejected: list[Counter[str]] = []
        self.rejections: list[Rejection] = []
        self.quarantine_lines: list[bytes] = []

    def read(self, key: str, body: Any, last_modified: datetime) -> None:
        """Read one object to its end; a record without a time of arrival arrived when the object was written.

        Blank lines are not records. Where an object is damaged, what came before counts, and the loss is one record
        set aside with the place.
        """
        arrived_at_ms = int(last_modified.timestamp() * 1000)
        self.records.append(0)
        self.rejected.append(Counter())
        next_line = 1
        try:
            for block in blocks(body):
                self._take(block, key, next_line, arrived_at_ms)
                next_line += len(block)
        except Damaged as damage:
            self.records[-1] += 1
            self._reject(Rejection(Reason.NOT_JSON, str(damage), arrived_at_ms), b"", f"{key}:{next_line}")

    def rows(self) -> pa.Table:
        """The readings as columns (see Columns); hands them over and forgets them."""
        return self._columns.table()

    def _take(self, block: list[bytes], key: str, first_line: int, arrived_at_ms: int) -> None:
        limits = self._limits
        readings: list[Reading] = []
        blank = 0
        for number, record in enumerate(block, first_line):
            if not record or record.isspace():
                blank += 1
                continue
            outcome = decode(record, arrived_at_ms, limits)
            if isinstance(outcome, Reading):
                readings.append(outcome)
            else:
                self._reject(outcome, record, f"{key}:{number}")
        self.records[-1] += len(block) - blank
        self._columns.add(readings, len(self.records) - 1)

    def _reject(self, rejection: Rejection, record: bytes, position: str) -> None:
        self.rejected[-1][rejection.reason.value] += 1
        self.rejections.append(rejection)
        self.quarantine_lines.append(quarantine.line(rejection, record, "archive", position))
