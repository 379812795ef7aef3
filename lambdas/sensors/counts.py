"""Conservation: every record that came in is stored, a duplicate, or quarantined, and this is where it is checked."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from sensors.reading import Reading, Rejection


class UnbalancedError(Exception):
    """Counts that do not add up: a record was lost or counted twice, so nothing built on them may be published."""


class Counts(msgspec.Struct, frozen=True):
    """What became of a number of records. `late` and `ignored_fields` are about the stored readings."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    by_reason: dict[str, int] = {}
    late: int = 0
    ignored_fields: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """The counts of both parts together."""
        return Counts(
            received=self.received + other.received,
            stored=self.stored + other.stored,
            duplicate=self.duplicate + other.duplicate,
            quarantined=self.quarantined + other.quarantined,
            by_reason=dict(Counter(self.by_reason) + Counter(other.by_reason)),
            late=self.late + other.late,
            ignored_fields=self.ignored_fields + other.ignored_fields,
        )

    def check(self) -> "Counts":
        """These counts, when they balance; raises UnbalancedError with all of them otherwise."""
        if self.received != self.stored + self.duplicate + self.quarantined:
            raise UnbalancedError(f"received is not stored + duplicate + quarantined: {self}")
        if self.quarantined != sum(self.by_reason.values()):
            raise UnbalancedError(f"quarantined is not the sum of its reasons: {self}")
        return self


def count(received: int, stored: Iterable[Reading], duplicate: int, rejected: Iterable[Rejection]) -> Counts:
    """Count what became of `received` records; raises UnbalancedError when one of them is missing."""
    kept = list(stored)
    by_reason = Counter(rejection.reason.value for rejection in rejected)
    return Counts(
        received=received,
        stored=len(kept),
        duplicate=duplicate,
        quarantined=by_reason.total(),
        by_reason=dict(by_reason),
        late=sum(reading.late for reading in kept),
        ignored_fields=sum(reading.ignored_fields for reading in kept),
    ).check()
