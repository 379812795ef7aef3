"""Lines of the quarantine once more through the decoder: those that were asked for and that no run has resolved yet."""

import binascii
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
import pyarrow as pa

from compaction.columns import batch_of
from compaction.errors import ObjectChanged
from compaction.intake import Keep
from compaction.lines import DAMAGE
from reprocessing.marks import Marks
from reprocessing.request import TARGETS, Request
from reprocessing.scope import has_device
from sensors.decode import decode
from sensors.quarantine import QuarantineLine, Source
from sensors.reading import Reading, Reason, Rejection
from sensors.settings import Decoding
from sensors.times import from_text

_TOGETHER: Final = 1000  # readings that become one batch of rows


class _Held(NamedTuple):
    """Readings that become rows together, with the number of the quarantine object and the `source_object` of each."""

    readings: list[Reading]
    numbers: list[int]
    sources: list[str]


class Drain:
    """Hands on the readings of the scope, some at a time, by the source of their lines; objects are numbered as read.

    `resolved` gets a line for each of them. `records` and `rejected` are as an `Intake` has them, of the lines that
    were tried; `outside` are readings by object that are not of the scope.
    """

    def __init__(
        self,
        request: Request,
        decoding: Decoding,
        metrics: Sequence[str],
        keep: Mapping[Source, Keep],
        resolved: BinaryIO,
    ) -> None:
        self._request = request
        self._decoding = decoding
        self._metrics = tuple(metrics)
        self._keep = keep
        self._resolved = resolved
        self._held = {source: _Held([], [], []) for source in keep}
        self.records: list[int] = []
        self.rejected: list[Counter[str]] = []
        self.outside = Counter[int]()

    def read(self, key: str, body: Any, marks: Marks) -> None:
        """Read one quarantine object to its end. Raises ObjectChanged for an object that is none."""
        number = len(self.records)
        self.records.append(0)
        self.rejected.append(Counter())
        for line in lines_of(key, body):
            if marks.passes(line.position) or not self._asked_for(line):
                continue
            self.records[number] += 1
            outcome = self._decode(line)
            if isinstance(outcome, Rejection):
                self.rejected[number][outcome.reason.value] += 1
            elif self._in_scope(outcome):
                self._resolved.write(msgspec.json.encode((key, line.position)) + b"\n")
                self._take(line, outcome, number)
            else:
                self.outside[number] += 1

    def finish(self) -> None:
        """Hand on what is held back."""
        for source in self._held:
            self._hand_on(source)

    def _asked_for(self, line: QuarantineLine) -> bool:
        reasons = self._request.reasons
        return (not reasons or line.reason.value in reasons) and TARGETS[line.source] in self._request.targets

    def _decode(self, line: QuarantineLine) -> Reading | Rejection:
        """By the rules of today; the rest of a damaged object stays, for in the archive it is no record either."""
        received_at_ms = from_text(line.received_at) or 0  # a moment of `iso_ms` is always one
        if line.reason is Reason.NOT_JSON and line.detail.startswith(DAMAGE):
            return Rejection(line.reason, line.detail, received_at_ms)
        return decode(binascii.a2b_base64(line.payload_b64), received_at_ms, self._decoding)

    def _in_scope(self, reading: Reading) -> bool:
        scope = self._request.scope
        return scope.start_ms <= reading.measured_at_ms < scope.end_ms and has_device(scope, reading.device_id)

    def _take(self, line: QuarantineLine, reading: Reading, number: int) -> None:
        held = self._held[line.source]
        held.readings.append(reading)
        held.numbers.append(number)
        held.sources.append(line.position.rpartition(":")[0] if line.source == "archive" else line.position)
        if len(held.readings) == _TOGETHER:
            self._hand_on(line.source)

    def _hand_on(self, source: Source) -> None:
        held, self._held[source] = self._held[source], _Held([], [], [])
        if held.readings:
            rows = batch_of(held.readings, self._metrics, held.numbers)
            self._keep[source](rows.append_column("source_object", pa.array(held.sources, pa.string())))


def lines_of(key: str, body: Any) -> Iterator[QuarantineLine]:
    """The lines of a quarantine object, read as they are taken. Raises ObjectChanged for an object that is none."""
    decoder = msgspec.json.Decoder(QuarantineLine)
    try:
        with gzip.open(body) as lines:
            yield from map(decoder.decode, lines)
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ObjectChanged(
            f"{key} is not as the quarantine is written: {error}. Find out what wrote it; other days and reasons can "
            "be drained without it."
        ) from None
