"""What the demo sends: recorded or simulated readings; among them garbage, duplicates and an overheating boiler."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from local.fleet import generate, replay
from local.fleet.garbage import GARBAGE
from local.fleet.message import Kind, Message
from local.fleet.shipment import Shipment

GARBAGE_MESSAGES = 200
DUPLICATE_MESSAGES = 200
BOILER = "boiler-1"
BOILER_READINGS = 60
"""A minute of readings, from 80 °C to past the limit of 100 °C: the recorded data stays below it."""
STEP = 20
"""One message of each extra follows on so many readings, and the rest at the end."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What is sent, and where it comes from."""

    shipment: Shipment
    source: str
    report: replay.Report
    """What could not be read from the recorded files."""


def prepare(now_ms: int, recorded: Path) -> Load:
    """The recorded data when it is there, else 20 simulated devices for a minute; and the extras."""
    report = replay.Report()
    if recorded.is_dir():
        recordings = replay.open_recordings(replay.find(recorded))
        readings, total = replay.messages(recordings, report, now_ms), None
        names, source = [each.device_id for each in recordings], f"{recorded.parent.name}/{recorded.name}"
    else:
        plan = generate.Plan(devices=20, rate=100, duration_s=60, seed=1)
        readings, total = generate.messages(plan, now_ms), plan.total
        names, source = plan.names, "20 simulated devices for a minute"
    messages = with_extras(readings, now_ms)
    extras = GARBAGE_MESSAGES + DUPLICATE_MESSAGES + BOILER_READINGS
    return Load(Shipment([*names, BOILER], messages, total and total + extras), source, report)


def with_extras(readings: Iterable[Message], now_ms: int) -> Iterator[Message]:
    """The readings, and among them garbage of every sort, earlier readings once more, and the boiler's readings."""
    extras = _Extras(now_ms)
    reading = None
    for number, reading in enumerate(readings, 1):
        yield reading
        if number % STEP == 0:
            yield from extras.after(reading)
    while reading is not None and extras.left:
        yield from extras.after(reading)


class _Extras:
    """What is sent beside the readings, one of each at a time."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._garbage = [GARBAGE[number % len(GARBAGE)] for number in range(GARBAGE_MESSAGES)]
        self._boiler = list(_boiler(now_ms))
        self._duplicates = DUPLICATE_MESSAGES
        self._earlier: Message | None = None

    @property
    def left(self) -> bool:
        """Whether there is anything left to send."""
        return bool(self._garbage or self._boiler or (self._earlier and self._duplicates))

    def after(self, reading: Message) -> Iterator[Message]:
        """Garbage in this reading's place, a reading of some time ago once more, and the boiler's next reading."""
        if self._garbage:
            sort = self._garbage.pop(0)
            payload = sort.make(reading.device_id, self._now_ms)
            yield Message(reading.device_id, reading.due_s, payload, Kind.GARBAGE, sort.reason, sort.name)
        if self._earlier is not None and self._duplicates:
            self._duplicates -= 1
            yield dataclasses.replace(self._earlier, due_s=reading.due_s, kind=Kind.DUPLICATE)
        if self._boiler:
            yield dataclasses.replace(self._boiler.pop(0), due_s=reading.due_s)
        if reading.reason is None:
            self._earlier = reading


def _boiler(now_ms: int) -> Iterator[Message]:
    for second in range(BOILER_READINGS):
        temperature = 80 + second * 0.6
        fields = {
            "device_id": BOILER,
            "timestamp": now_ms - (BOILER_READINGS - second) * 1000,
            "sequence": second + 1,
            "equipment_type": "boiler",
            "temperature": round(temperature, 1),
            "anomaly": int(temperature > 100),
        }
        kind = Kind.ANOMALY if fields["anomaly"] else Kind.NORMAL
        yield Message(BOILER, 0.0, json.dumps(fields, separators=(",", ":")).encode(), kind)
