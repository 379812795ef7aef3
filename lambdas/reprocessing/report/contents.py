"""`report.json`: what a run was asked for, what it has found, and what it has changed, or would have."""

from typing import Literal

import msgspec

from reprocessing.changes import Alarms, MetricChange, Series
from reprocessing.ledger import Taken
from reprocessing.merge_manifests import HotRefusal
from reprocessing.report.costs import Estimate
from reprocessing.request import Mode, Request

Outcome = Literal["applied", "looked", "refused", "undone"]


class Found(msgspec.Struct, frozen=True):
    """What the plan has found, see `manifests.Plan`.

    `missing_objects` names the first of the missing, `outside_objects` of those outside, whose records have become
    `outside_readings` of the scope; frozen ones that were left out do not count there.
    """

    objects: int
    bytes: int
    waiting: int
    outside: int
    missing: int
    frozen: int
    frozen_bytes: int
    missing_objects: tuple[str, ...] = ()
    outside_objects: tuple[str, ...] = ()
    outside_readings: int = 0


class Records(msgspec.Struct, frozen=True):
    """What became of the records that were decoded: records = stored + duplicate + quarantined + outside the scope.

    `for_hot` are those of the stored that are for the hot table.
    """

    records: int
    stored: int
    duplicate: int
    quarantined: int
    outside: int
    by_reason: dict[str, int]
    late: int
    ignored_fields: int
    for_hot: int = 0

    @property
    def balances(self) -> bool:
        """Whether every record is accounted for once."""
        return self.records == self.stored + self.duplicate + self.quarantined + self.outside


class Readings(msgspec.Struct, frozen=True):
    """Readings of the scope before and after, see `changes.Changes`; `vanished_by` says why they are gone."""

    before: int = 0
    before_duplicates: int = 0
    after: int = 0
    same: int = 0
    changed: int = 0
    added: int = 0
    vanished: int = 0
    attributes_changed: int = 0
    vanished_by: dict[str, int] = {}


class Day(msgspec.Struct, frozen=True):
    """Readings of one UTC day, `2026-11-21`."""

    day: str
    before: int
    after: int
    changed: int


class Device(msgspec.Struct, frozen=True):
    """Readings of one device."""

    device_id: str
    before: int
    after: int
    changed: int


class Others(msgspec.Struct, frozen=True):
    """Readings of devices that are not listed, together. A device counts once for each day and task that has it."""

    devices: int
    before: int
    after: int
    changed: int


class Hot(msgspec.Struct, frozen=True):
    """What became of readings for the hot table, see `merge_manifests.HotResult`; `refusals` are the first refused."""

    written: int
    unchanged: int
    newer: int
    expired: int
    refused: int = 0
    refusals: tuple[HotRefusal, ...] = ()


class Written(msgspec.Struct, frozen=True):
    """What was published: rows and files taken out of the table and put into it.

    Where nothing was to be published, it is what would have been; of a refused run it is nothing.
    """

    rows_replaced: int
    rows_written: int
    files_replaced: int
    files_written: int


class Alerts(msgspec.Struct, frozen=True):
    """Alarms that are new: readings as they are now raise them, and those before raised none by the rule at the time.

    `sent` are published. `compared` are those alarms that were looked at: the first ones, when there are very many.
    """

    compared: int
    new: int
    sent: int


class Refusal(msgspec.Struct, frozen=True):
    """Why nothing is published: the error's name and its sentence."""

    error: str
    cause: str


class Report(msgspec.Struct, frozen=True):
    """All of it. Times are ISO-8601, snapshots text, None where nothing was published.

    `devices` are those of which most readings differ, `other_devices` all others; `metrics` likewise. Of the alarms,
    `total` and `by_hour` count all. `estimate` is of a run that applies its changes. `taken_back` is said of a run that
    was undone before it came to its report; one that is undone without it was taken back by a rollback of the table.
    """

    run_id: str
    mode: Mode
    outcome: Outcome
    request: Request
    started_at: str
    finished_at: str
    duration_s: int
    executions: tuple[str, ...]
    snapshot_before: str | None
    snapshot_id: str | None
    refused: Refusal | None
    found: Found
    records: Records
    readings: Readings
    days: tuple[Day, ...]
    devices: tuple[Device, ...]
    other_devices: Others
    metrics: dict[str, MetricChange]
    other_metrics: MetricChange
    series: tuple[Series, ...]
    alarms_before: Alarms
    alarms_after: Alarms
    alarms_given: Alarms | None
    alerts: Alerts
    hot: Hot | None
    written: Written
    estimate: Estimate
    taken_back: Taken | None = None
