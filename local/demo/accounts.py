"""The books of a demo run: figures from independent places, and what must hold between them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from local.fleet.message import Tally


@dataclasses.dataclass(frozen=True)
class Accounts:
    """The figures of one run, each from where it is known best.

    - `published`: messages the MQTT broker acknowledged to the fleet.
    - `archived`: lines of the archive's objects.
    - `stored`: items of the hot table.
    - `duplicate`: counted by the compaction as it decoded the archive; nothing else sees all copies side by side.
    - `quarantined`, `quarantined_by_reason`: records that `process_readings` set aside, a position once.
    - `compacted`: the compaction's whole report, made from the archive alone.
    - `table_rows`: what SQL counts in the Iceberg table.
    """

    tally: Tally
    archived: int
    undelivered: int
    """Messages in the archive bucket's `errors/`."""
    stored: int
    quarantined_by_reason: Mapping[str, int]
    compacted: Mapping[str, Any]
    table_rows: int
    objects_before: int
    bytes_before: int
    alerts: int
    seconds: Mapping[str, float]

    @property
    def published(self) -> int:
        """Messages the broker acknowledged."""
        return self.tally.published

    @property
    def duplicate(self) -> int:
        """Readings of a device and time that another message has too."""
        return int(self.compacted["duplicate"])

    @property
    def quarantined(self) -> int:
        """Records set aside on the stream's side."""
        return sum(self.quarantined_by_reason.values())

    def faults(self) -> list[str]:
        """A sentence for each thing that does not hold; empty when the books balance."""
        expected_reasons = dict(sorted(self.tally.reasons.items()))
        found_reasons = dict(self.quarantined_by_reason)
        archive_reasons = dict(self.compacted["quarantined_by_reason"])
        checks = {
            f"published {self.published:,} ≠ archived {self.archived:,}": self.published == self.archived,
            f"published {self.published:,} ≠ stored {self.stored:,} + duplicate {self.duplicate:,} "
            f"+ quarantined {self.quarantined:,}": self.published == self.stored + self.duplicate + self.quarantined,
            f"table_rows {self.table_rows:,} ≠ stored {self.stored:,}": self.table_rows == self.stored,
            f"quarantined on the stream {found_reasons} ≠ what was sent {expected_reasons}": found_reasons
            == expected_reasons,
            f"quarantined by the compaction {archive_reasons} ≠ on the stream {found_reasons}": archive_reasons
            == found_reasons,
            f"duplicate {self.duplicate:,} ≠ {self.tally.duplicate:,} sent twice": self.duplicate
            == self.tally.duplicate,
            f"{self.undelivered:,} messages could not be delivered (errors/ of the raw bucket)": not self.undelivered,
            f"{self.tally.refused:,} messages were refused by the broker": not self.tally.refused,
            f"{self.tally.unacknowledged:,} messages were never acknowledged": not self.tally.unacknowledged,
            "no alert, although readings passed a limit": self.alerts > 0,
        }
        found = [sentence for sentence, holds in checks.items() if not holds]
        if found and self.tally.redelivered:
            found.append(
                f"{self.tally.redelivered:,} messages were sent again after a lost connection and may count twice"
            )
        return found

    def as_dict(self) -> dict[str, object]:
        """The figures of `build/demo/report.json`."""
        return {
            "published": self.published,
            "archived": self.archived,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "quarantined": self.quarantined,
            "quarantined_by_reason": dict(self.quarantined_by_reason),
            "alerts": self.alerts,
            "table_rows": self.table_rows,
            "objects_before": self.objects_before,
            "bytes_before": self.bytes_before,
            "files_after": self.compacted["files"],
            "bytes_after": self.compacted["bytes"],
            "late": self.compacted["late"],
            "seconds": round(sum(self.seconds.values()), 1),
            "seconds_by_stage": {stage: round(taken, 1) for stage, taken in self.seconds.items()},
            "faults": self.faults(),
        }
