"""Reading a task's objects: each record once through the decoder's rules, into columns or into the quarantine."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from compaction.columns import batch, batch_of
from compaction.lines import Block, Damaged, blocks, split
from compaction.shape import Shape
from compaction.vectors import VectorDecoder
from sensors.decode import decode
from sensors.reading import MAX_PAYLOAD_BYTES, Reading, Reason, Rejection
from sensors.settings import Decoding

_LESSONS = 8  # refused records of a block that may teach the shape: what is not learned now comes again
_TOGETHER_BYTES = 400_000  # decoded at once at least, though the objects be small

Keep = Callable[[pa.RecordBatch], None]
SetAside = Callable[[Rejection, bytes, str], None]


class _Origin(NamedTuple):
    """Where the records of a block are from, and when the archive got them."""

    block: Block
    key: str
    arrived_at_ms: int
    source: int

    def place(self, number: int) -> str:
        return f"{self.key}:{self.block.position(number)}"


class Intake:
    """Hands on what it reads, some records at a time; objects are numbered in the order in which they are read."""

    def __init__(self, metrics: Sequence[str], decoding: Decoding, keep: Keep, set_aside: SetAside) -> None:
        self._metrics = tuple(metrics)
        self._decoding = decoding
        self._keep = keep
        self._set_aside = set_aside
        self._shape = Shape()
        self._vectors = VectorDecoder(metrics, decoding)
        self._held: list[_Origin] = []
        self._held_bytes = 0
        self.records: list[int] = []
        self.rejected: list[Counter[str]] = []

    def read(self, key: str, body: Any, last_modified: datetime) -> None:
        """Read one object to its end; a record without a time of arrival arrived when the object was written.

        Blank lines are not records. Where an object is damaged, what came before counts, and the loss is one record
        set aside with the place. The last records may be held back until `finish`.
        """
        arrived_at_ms = int(last_modified.timestamp() * 1000)
        source = len(self.records)
        self.records.append(0)
        self.rejected.append(Counter())
        try:
            for block in blocks(body):
                self._take(_Origin(block, key, arrived_at_ms, source))
        except Damaged as damage:
            self.finish()
            rejection = Rejection(Reason.NOT_JSON, str(damage), arrived_at_ms)
            self._reject(source, rejection, damage.rest, f"{key}:{damage.line}")

    def finish(self) -> None:
        """Hand on what is held back."""
        held, self._held, self._held_bytes = self._held, [], 0
        if held:
            self._hand_on(held)

    def _take(self, origin: _Origin) -> None:
        block = origin.block
        if block.cut:
            self.finish()
            (head,) = block.records
            detail = f"a line of {len(head) + block.cut} bytes, of which the first {len(head)} are kept here"
            rejection = Rejection(Reason.TOO_LARGE, detail, origin.arrived_at_ms)
            self._reject(origin.source, rejection, head, origin.place(0))
            return
        self._held.append(origin)
        self._held_bytes += sum(map(len, block.records)) + len(block.records)
        if self._held_bytes >= _TOGETHER_BYTES:
            self.finish()

    def _hand_on(self, held: list[_Origin]) -> None:
        one = held[0].block.records
        records = one if len(held) == 1 else [record for origin in held for record in origin.block.records]
        fits = max(map(len, records)) <= MAX_PAYLOAD_BYTES
        rows, refused = self._shape.rows(records) if fits else ([], list(range(len(records))))
        sources = _of_each(held, [origin.source for origin in held], pa.int32())
        arrived_at_ms = _of_each(held, [origin.arrived_at_ms for origin in held], pa.int64())
        accepted = _but(len(records), refused)
        decoded = self._vectors.decode(rows, self._shape, _at(arrived_at_ms, accepted))
        plain = [accepted[number] for number in _but(len(accepted), decoded.left)] if decoded.left else accepted
        parts: list[pa.RecordBatch] = []
        if plain:
            columns = {**decoded.columns, "_source": _at(sources, plain)}
            parts.append(batch(columns, self._metrics))
            for entry in pc.value_counts(columns["_source"]).to_pylist():
                self.records[entry["values"]] += entry["counts"]
        if len(plain) < len(records):
            for number in refused[:_LESSONS]:
                self._shape.learn(records[number])
            plain = [*plain, *self._one_by_one(held, plain, parts)]
        if parts:
            self._keep(parts[0] if len(parts) == 1 else _in_order(parts, plain))

    def _one_by_one(self, held: list[_Origin], done: Sequence[int], parts: list[pa.RecordBatch]) -> list[int]:
        """Decode the records that are not done; add a batch of their readings to `parts`, and answer its numbers."""
        readings: list[Reading] = []
        sources: list[int] = []
        numbers: list[int] = []
        skipped = set(done)
        first = 0
        for origin in held:
            for number, record in enumerate(origin.block.records):
                if first + number not in skipped and record and not record.isspace():
                    found = self._decode(record, origin, origin.place(number))
                    readings += found
                    sources += [origin.source] * len(found)
                    numbers += [first + number] * len(found)
            first += len(origin.block.records)
        if readings:
            parts.append(batch_of(readings, self._metrics, sources))
        return numbers

    def _decode(self, record: bytes, origin: _Origin, place: str) -> list[Reading]:
        """The readings of a line: one, or several without line feeds between; what is none is set aside."""
        outcome = decode(record, origin.arrived_at_ms, self._decoding)
        if isinstance(outcome, Reading):
            self.records[origin.source] += 1
            return [outcome]
        for heed_quotes in (True, False) if outcome.reason in {Reason.NOT_JSON, Reason.TOO_LARGE} else ():
            parts = split(record, heed_quotes=heed_quotes)
            if len(parts) > 1 and (heed_quotes or self._any_is_json(parts, origin.arrived_at_ms)):
                readings: list[Reading] = []
                for number, part in enumerate(parts, 1):
                    readings += self._decode(part, origin, f"{place}.{number}")
                return readings
        self._reject(origin.source, outcome, record, place)
        return []

    def _any_is_json(self, parts: list[bytes], arrived_at_ms: int) -> bool:
        outcomes = (decode(part, arrived_at_ms, self._decoding) for part in parts)
        return any(isinstance(outcome, Reading) or outcome.reason is not Reason.NOT_JSON for outcome in outcomes)

    def _reject(self, source: int, rejection: Rejection, record: bytes, place: str) -> None:
        self.records[source] += 1
        self.rejected[source][rejection.reason.value] += 1
        self._set_aside(rejection, record, place)


def _of_each(held: list[_Origin], values: list[int], kind: pa.DataType) -> pa.Array:
    """The value of each origin once for each of its records."""
    counts = (len(origin.block.records) for origin in held)
    return pa.concat_arrays([pa.repeat(pa.scalar(value, kind), n) for value, n in zip(values, counts, strict=True)])


def _but(count: int, numbers: list[int]) -> Sequence[int]:
    """The numbers below `count` that are not among these."""
    if not numbers:
        return range(count)
    out = set(numbers)
    return [number for number in range(count) if number not in out]


def _at(values: pa.Array, numbers: Sequence[int]) -> pa.Array:
    return values if len(numbers) == len(values) else values.take(pa.array(numbers, pa.int64()))


def _in_order(parts: list[pa.RecordBatch], numbers: Sequence[int]) -> pa.RecordBatch:
    rows = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    return rows.take(pc.array_sort_indices(pa.array(numbers, pa.int64())))
