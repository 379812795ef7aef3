"""Reads text through the intake and by the one decoder alone, in forms that can be compared."""

import io
from datetime import UTC, datetime
from typing import Any, NamedTuple

from compaction.columns import batch_of
from compaction.intake import Intake
from sensors.decode import decode
from sensors.reading import Reading, Rejection
from sensors.settings import Decoding

ARRIVED = datetime(2026, 11, 21, 9, tzinfo=UTC)
ARRIVED_MS = 1_795_251_600_000
METRICS = ("temperature", "vibration")
DECODING = Decoding()


class Outcome(NamedTuple):
    """What came of a text: rows with floats as their bits, rejects with bytes and place, the number of records."""

    rows: list[dict[str, Any]]
    rejects: list[tuple[Rejection, bytes, str]]
    records: int


def through_the_intake(body: bytes, lessons: bytes = b"", decoding: Decoding = DECODING) -> Outcome:
    """Read an object after another one, from which the intake may have learned."""
    rows: list[dict[str, Any]] = []
    rejects: list[tuple[Rejection, bytes, str]] = []
    intake = Intake(METRICS, decoding, lambda batch: rows.extend(batch.to_pylist()), lambda *one: rejects.append(one))
    if lessons:
        intake.read("lessons", io.BytesIO(lessons), ARRIVED)
        intake.finish()
        rows.clear()
        rejects.clear()
    intake.read("object", io.BytesIO(body), ARRIVED)
    intake.finish()
    return Outcome([exact({**row, "_source": 0}) for row in rows], rejects, intake.records[-1])


def by_the_decoder(lines: list[bytes], decoding: Decoding = DECODING) -> Outcome:
    """The same of lines, each decoded on its own."""
    outcomes = [
        (decode(line, ARRIVED_MS, decoding), line, f"object:{number}")
        for number, line in enumerate(lines, 1)
        if line and not line.isspace()
    ]
    readings = [outcome for outcome, _, _ in outcomes if isinstance(outcome, Reading)]
    rejects = [(outcome, line, place) for outcome, line, place in outcomes if isinstance(outcome, Rejection)]
    return Outcome(
        [exact(row) for row in batch_of(readings, METRICS, [0] * len(readings)).to_pylist()], rejects, len(outcomes)
    )


def exact(value: Any) -> Any:
    """Zero and minus zero differ here."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {name: exact(part) for name, part in value.items()}
    return [exact(part) for part in value] if isinstance(value, list | tuple) else value
