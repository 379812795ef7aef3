"""The messages of a simulated fleet: deterministic by seed, with faults on request."""

import dataclasses
import json
import math
import random
import re
from collections.abc import Iterator

from local.fleet import FleetError
from local.fleet.garbage import DAY_MS, GARBAGE
from local.fleet.message import Kind, Message
from local.fleet.series import Machine

MAX_RATE_PER_DEVICE = 500
"""Readings a second of one device; the system tells readings apart by milliseconds."""
CLOCK_BEHIND_MS = 30 * DAY_MS


@dataclasses.dataclass(frozen=True)
class Faults:
    """Share of messages with each fault, 0 to 1; a message has at most one."""

    garbage: float = 0.0
    duplicates: float = 0.0
    disorder: float = 0.0
    clock: float = 0.0

    def __post_init__(self) -> None:
        shares = dataclasses.astuple(self)
        if not (min(shares) >= 0 and sum(shares) <= 1):  # so that NaN is refused, too
            raise FleetError("Faults are shares of the messages: each at least 0, together at most 1.")

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read `garbage=0.01,disorder=0.02`. Raises FleetError, naming what is allowed."""
        known = [field.name for field in dataclasses.fields(cls)]
        shares: dict[str, float] = {}
        for part in filter(None, text.split(",")):
            name, _, share = part.partition("=")
            try:
                shares[name.strip()] = float(share)
            except ValueError:
                raise FleetError(f"'{part}' is not a fault and its share, like garbage=0.01.") from None
            if name.strip() not in known:
                raise FleetError(f"Unknown fault '{name}'. Known: {', '.join(known)}.")
        return cls(**shares)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a simulated fleet is to send. Raises FleetError when it cannot."""

    devices: int
    rate: float
    """Messages a second of the whole fleet."""
    duration_s: float
    seed: int
    faults: Faults = Faults()
    prefix: str = "machine"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9:_-]{1,120}", self.prefix):
            raise FleetError(f"'{self.prefix}' cannot begin a device's name: use letters, digits, ':', '_' and '-'.")
        if not 1 <= self.devices <= 9999:
            raise FleetError(f"{self.devices} devices: choose 1 to 9999.")
        if not 0 < self.duration_s < math.inf or not 0 < self.rate <= MAX_RATE_PER_DEVICE * self.devices:
            raise FleetError(
                f"{self.devices} devices send more than 0 and at most {MAX_RATE_PER_DEVICE * self.devices} messages "
                "a second, for a number of seconds. Ask for more devices or a lower rate."
            )

    @property
    def names(self) -> list[str]:
        """Names of the devices."""
        return [f"{self.prefix}-{number:04d}" for number in range(1, self.devices + 1)]

    @property
    def total(self) -> int:
        """How many messages it sends."""
        return max(1, round(self.rate * self.duration_s))


def messages(plan: Plan, start_ms: int) -> Iterator[Message]:
    """All messages in the order in which they are to be sent; device after device, evenly over time.

    `start_ms` is the time of the first reading, in ms since 1970. The same plan and start give the same bytes.
    """
    devices = [_Device(name, plan, number) for number, name in enumerate(plan.names)]
    for slot in range(plan.total):
        due_s = slot / plan.rate
        yield from devices[slot % plan.devices].send(due_s, start_ms + round(due_s * 1000))
    for device in devices:
        yield from device.finish(plan.total / plan.rate)


class _Device:
    """One simulated device: its machine, its faults, and the sequence number of its messages."""

    def __init__(self, name: str, plan: Plan, number: int) -> None:
        self._name = name
        self._faults = plan.faults
        self._random = random.Random(f"{plan.seed}/faults/{number}")
        self._machine = Machine(random.Random(f"{plan.seed}/machine/{number}"))
        self._location = f"hall-{number % 4 + 1}"
        self._sequence = 0
        self._last: Message | None = None
        self._held: Message | None = None

    def send(self, due_s: float, at_ms: int) -> Iterator[Message]:
        """The messages of one slot: usually one; none when it is held back, two when a held one follows."""
        fault = self._draw()
        if fault == "duplicates" and self._last is not None:
            yield dataclasses.replace(self._last, due_s=due_s, kind=Kind.DUPLICATE)
            return
        self._sequence += 1
        if fault == "garbage":
            kind = self._random.choice(GARBAGE)
            payload = kind.make(self._name, at_ms)
            yield Message(self._name, due_s, payload, Kind.GARBAGE, kind.reason, kind.name)
        elif fault == "clock":
            yield self._with_wrong_clock(due_s, at_ms)
        elif fault == "disorder" and self._held is None:
            self._held = self._reading(due_s, at_ms)
        else:
            self._last = self._reading(due_s, at_ms)
            yield self._last
            if self._held is not None:
                yield dataclasses.replace(self._held, due_s=due_s, kind=Kind.OUT_OF_ORDER)
                self._held = None

    def finish(self, due_s: float) -> Iterator[Message]:
        """The message that is still held back, if there is one; nothing later has overtaken it."""
        if self._held is not None:
            yield dataclasses.replace(self._held, due_s=due_s)

    def _draw(self) -> str:
        """The fault of the next message, empty for none."""
        drawn = self._random.random()
        for name, share in dataclasses.asdict(self._faults).items():
            drawn -= share
            if drawn < 0:
                return str(name)
        return ""

    def _with_wrong_clock(self, due_s: float, at_ms: int) -> Message:
        if self._random.random() < 0.5:
            ahead = self._reading(due_s, at_ms + DAY_MS)
            return dataclasses.replace(ahead, kind=Kind.CLOCK_AHEAD, reason="timestamp_in_future")
        return dataclasses.replace(self._reading(due_s, at_ms - CLOCK_BEHIND_MS), kind=Kind.CLOCK_BEHIND)

    def _reading(self, due_s: float, at_ms: int) -> Message:
        metrics = self._machine.read(at_ms)
        fields = {
            "device_id": self._name,
            "timestamp": at_ms,
            "sequence": self._sequence,
            "sensor_type": "condition-monitor",
            "equipment_type": "pump",
            "location": self._location,
            **metrics,
        }
        payload = json.dumps(fields, separators=(",", ":")).encode()
        return Message(self._name, due_s, payload, Kind.ANOMALY if metrics["anomaly"] else Kind.NORMAL)
