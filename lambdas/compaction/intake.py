"""Reading a task's objects: each record once through the decoder's rules, into columns or into the quarantine."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from compaction.columns import batch, batch_of
from compaction.lines import Block, Damaged, blocks, split
from compaction.shape import Shape
from compaction.vectors import VectorDecoder
from sensors.decode import decode
from sensors.reading import MAX_PAYLOAD_BYTES, Reading, Reason, Rejection
from sensors.settings import Limits

_LESSONS = 8  # records of a block that may teach the shape: what is not learned now comes again

Keep = Callable[[pa.RecordBatch], None]
SetAside = Callable[[Rejection, bytes, str], None]


class Intake:
    """Hands on what it reads, block by block; objects are numbered in the order in which they are read."""

    def __init__(self, metrics: Sequence[str], limits: Limits, keep: Keep, set_aside: SetAside) -> None:
        self._metrics = tuple(metrics)
        self._limits = limits
        self._keep = keep
        self._set_aside = set_aside
        self._shape = Shape()
        self._vectors = VectorDecoder(metrics, limits)
        self.records: list[int] = []
        self.rejected: list[Counter[str]] = []

    def read(self, key: str, body: Any, last_modified: datetime) -> None:
        """Read one object to its end; a record without a time of arrival arrived when the object was written.

        Blank lines are not records. Where an object is damaged, what came before counts, and the loss is one record
        set aside with the place.
        """
        arrived_at_ms = int(last_modified.timestamp() * 1000)
        self.records.append(0)
        self.rejected.append(Counter())
        try:
            for block in blocks(body):
                self._take(block, f"{key}:", arrived_at_ms)
        except Damaged as damage:
            rejection = Rejection(Reason.NOT_JSON, str(damage), arrived_at_ms)
            self._reject(rejection, damage.rest, f"{key}:{damage.line}")

    def _take(self, block: Block, place: str, arrived_at_ms: int) -> None:
        if block.cut:
            (head,) = block.records
            detail = f"a line of {len(head) + block.cut} bytes, of which the first {len(head)} are kept here"
            self._reject(Rejection(Reason.TOO_LARGE, detail, arrived_at_ms), head, place + block.position(0))
            return
        records = block.records
        fits = max(map(len, records)) <= MAX_PAYLOAD_BYTES
        rows, refused = self._shape.rows(records) if fits else ([], list(range(len(records))))
        decoded = self._vectors.decode(rows, self._shape, arrived_at_ms)
        source = len(self.records) - 1
        if not refused and not decoded.left:
            self.records[-1] += len(rows)
            self._keep(batch(decoded.columns, self._metrics, source))
            return
        for number in refused[:_LESSONS]:
            self._shape.learn(records[number])
        left, plain = _shared_out(len(records), refused, decoded.left)
        readings: list[Reading] = []
        places: list[int] = []
        for number in left:
            if records[number] and not records[number].isspace():
                found = self._decode(records[number], place + block.position(number), arrived_at_ms)
                readings.extend(found)
                places.extend([number] * len(found))
        self.records[-1] += len(plain)
        parts = [batch(decoded.columns, self._metrics, source)] if plain else []
        parts += [batch_of(readings, self._metrics, source)] if readings else []
        if parts:
            self._keep(_in_order(parts, plain + places))

    def _decode(self, record: bytes, place: str, arrived_at_ms: int) -> list[Reading]:
        """The readings of a line: one, or several without line feeds between; what is none is set aside."""
        outcome = decode(record, arrived_at_ms, self._limits)
        if isinstance(outcome, Reading):
            self.records[-1] += 1
            return [outcome]
        for heed_quotes in (True, False) if outcome.reason in {Reason.NOT_JSON, Reason.TOO_LARGE} else ():
            parts = split(record, heed_quotes=heed_quotes)
            if len(parts) > 1 and (heed_quotes or self._any_is_json(parts, arrived_at_ms)):
                found = [self._decode(part, f"{place}.{number}", arrived_at_ms) for number, part in enumerate(parts, 1)]
                return [reading for readings in found for reading in readings]
        self._reject(outcome, record, place)
        return []

    def _any_is_json(self, parts: list[bytes], arrived_at_ms: int) -> bool:
        outcomes = (decode(part, arrived_at_ms, self._limits) for part in parts)
        return any(isinstance(outcome, Reading) or outcome.reason is not Reason.NOT_JSON for outcome in outcomes)

    def _reject(self, rejection: Rejection, record: bytes, place: str) -> None:
        self.records[-1] += 1
        self.rejected[-1][rejection.reason.value] += 1
        self._set_aside(rejection, record, place)


def _shared_out(records: int, refused: list[int], left: list[int]) -> tuple[list[int], list[int]]:
    """The numbers of the records for the decoder, and of those that are done; `left` counts the accepted only."""
    out = set(refused)
    accepted = [number for number in range(records) if number not in out]
    out.update(accepted[number] for number in left)
    return sorted(out), [number for number in accepted if number not in out]


def _in_order(parts: list[pa.RecordBatch], numbers: list[int]) -> pa.RecordBatch:
    rows = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    return rows.take(pc.array_sort_indices(pa.array(numbers, pa.int64())))
