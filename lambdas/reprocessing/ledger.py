"""What runs write down in `ledger/reprocess/`, where it stays: whose a range is, and what came of each run."""

from typing import Literal

import msgspec

from reprocessing.request import Request, Scope


class Claim(msgspec.Struct, frozen=True):
    """`ledger/reprocess/claims/<execution>.json`: an execution that changes a range, or undoes a change of it.

    `execution` is its ARN, `since` ISO-8601. It holds as long as the execution runs.
    """

    run_id: str
    execution: str
    scope: Scope
    since: str


class Taken(msgspec.Struct, frozen=True):
    """Who has had a run undone, why, when (ISO-8601) and with which snapshot."""

    by: str | None
    note: str
    at: str
    execution: str
    snapshot_id: str


class LedgerEntry(msgspec.Struct, frozen=True):
    """`ledger/reprocess/<run id>.json`: who has asked for what and when, and what came of it. Times are ISO-8601."""

    run_id: str
    by: str | None
    note: str
    request: Request
    started_at: str
    finished_at: str
    outcome: Literal["applied", "looked", "refused", "undone"]
    snapshot_id: str | None
    executions: tuple[str, ...]
    undone: Taken | None = None
