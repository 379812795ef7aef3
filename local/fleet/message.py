"""What a device sends: one message, its kind, and what the system must make of it."""

import dataclasses
import enum


class Kind(enum.StrEnum):
    """Why a message is as it is. Every message has exactly one kind."""

    NORMAL = "normal"
    ANOMALY = "anomaly"
    """A reading of a labelled anomaly (metric `anomaly` is 1)."""
    OUT_OF_ORDER = "out_of_order"
    """A reading sent after a later one of the same device."""
    CLOCK_BEHIND = "clock_behind"
    """A reading whose clock is weeks behind: stored, and counted as late."""
    DUPLICATE = "duplicate"
    """The same device and time as a message before it."""
    CLOCK_AHEAD = "clock_ahead"
    """A reading whose clock is a day ahead: rejected."""
    GARBAGE = "garbage"
    """Something no reading can be made of: rejected."""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message."""

    device_id: str
    due_s: float
    """Seconds after the start at which it is to be sent."""
    payload: bytes
    kind: Kind
    reason: str | None = None
    """The reason the system must give for rejecting it; None when it is to be accepted."""
    detail: str = ""
    """Which sort of garbage it is."""


@dataclasses.dataclass
class Tally:
    """Counts of what was sent. A message counts once the broker has acknowledged it."""

    by_kind: dict[str, int] = dataclasses.field(default_factory=dict)
    garbage: dict[str, int] = dataclasses.field(default_factory=dict)
    """Messages of kind `garbage` by their sort."""
    reasons: dict[str, int] = dataclasses.field(default_factory=dict)
    """Messages to be rejected, by the expected reason."""
    refused: int = 0
    """Answered by the broker with an error, for example by the device policy."""
    unacknowledged: int = 0
    """Sent without an answer until the end: they may or may not have arrived."""
    redelivered: int = 0
    """Sent again after a lost connection: each may have arrived twice."""

    def acknowledge(self, message: Message) -> None:
        """Count one message that the broker has taken."""
        _add(self.by_kind, message.kind.value)
        if message.kind is Kind.GARBAGE:
            _add(self.garbage, message.detail)
        if message.reason is not None:
            _add(self.reasons, message.reason)

    @property
    def published(self) -> int:
        """Messages the broker has acknowledged."""
        return sum(self.by_kind.values())

    @property
    def duplicate(self) -> int:
        """Messages the system must recognise as duplicates."""
        return self.by_kind.get(Kind.DUPLICATE.value, 0)

    @property
    def quarantined(self) -> int:
        """Messages the system must reject."""
        return sum(self.reasons.values())

    @property
    def stored(self) -> int:
        """Readings the system must hold at the end."""
        return self.published - self.duplicate - self.quarantined

    def as_dict(self) -> dict[str, object]:
        """The counts as JSON values, with what the system must end up with under `expected`."""
        return {
            "published": self.published,
            "by_kind": dict(sorted(self.by_kind.items())),
            "garbage": dict(sorted(self.garbage.items())),
            "refused": self.refused,
            "unacknowledged": self.unacknowledged,
            "redelivered": self.redelivered,
            "expected": {
                "stored": self.stored,
                "duplicate": self.duplicate,
                "quarantined": self.quarantined,
                "quarantined_by_reason": dict(sorted(self.reasons.items())),
            },
        }


def _add(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
