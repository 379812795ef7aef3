"""What a person asks of a reprocessing: the execution's input, validated and completed from the settings."""

import re
from typing import Final, Literal

import msgspec

from sensors.quarantine import Source
from sensors.settings import Threshold

Mode = Literal["dry_run", "apply", "backtest"]
Target = Literal["table", "hot"]
Tier = Literal["Expedited", "Standard", "Bulk"]

TARGETS: Final[dict[Source, Target]] = {"archive": "table", "stream": "hot"}
"""What lines of the quarantine are for, by where they come from."""


SPECIAL: Final = re.compile(r"[*?\[]")
"""Begins what stands for characters that differ; no device's name has any of them."""


def is_glob(device: str) -> bool:
    """Whether an entry of a scope stands for the devices that match it, not for the one of that name."""
    return SPECIAL.search(device) is not None


class Scope(msgspec.Struct, frozen=True):
    """Which readings: measured from `start_ms` on and before `end_ms` (epoch milliseconds), of these devices.

    `devices` holds names and globs (`*`, `?`, `[…]`, none of which a device's name can have); empty means all.
    """

    start_ms: int
    end_ms: int
    devices: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True):
    """A request that can be carried out. `rules`, of a back-test, are thresholds by metric, in the settings' form.

    `fresh` is for a run of its own, although an unfinished one of the same request could be carried on.
    """

    scope: Scope
    source: Literal["archive", "quarantine"]
    targets: tuple[Target, ...]
    mode: Mode
    max_rate: int
    restore_tier: Tier
    restore_days: int
    note: str
    reasons: tuple[str, ...] = ()
    failed_tasks_of: str | None = None
    rules: dict[str, tuple[Threshold, ...]] | None = None
    alerts: Literal["suppress", "send"] = "suppress"
    allow_fewer: bool = False
    fresh: bool = False
    by: str | None = None


def writes_table(request: Request) -> bool:
    """Whether the run, or the one that it is the trial of, writes to the table."""
    return "table" in request.targets and request.mode != "backtest"


def publishes(request: Request) -> bool:
    """Whether the run itself changes the table."""
    return request.mode == "apply" and "table" in request.targets


def settles_hot(request: Request) -> bool:
    """Whether the run itself changes the hot table."""
    return request.mode == "apply" and "hot" in request.targets


def is_compared(request: Request, *, to_table: bool) -> bool:
    """Whether decoded readings are compared with those of the table: those that are for it, and sometimes others.

    A back-test is about everything that has arrived; and what the stream left in the quarantine has nothing else to be
    compared with when it is drained alone. But what waits for compaction is no change of anybody's.
    """
    return to_table or request.mode == "backtest" or (request.source == "quarantine" and "table" not in request.targets)
