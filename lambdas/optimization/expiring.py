"""Expiry: old snapshots leave the table, by one commit. What only they named is swept up later."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import msgspec
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import RemoveSnapshotsUpdate, TableRequirement, ValidatableTableRequirement

from compaction.committing import commit
from compaction.lake_table import LakeTable, committed
from compaction.ledger import Ledger
from compaction.runs import SETTLED_PROPERTY
from compaction.store import Store
from optimization.manifests import Expired, expired_key

SHOWN = 20
"""Snapshots that a dry run names, oldest first."""


class Expirer(msgspec.Struct, frozen=True):
    """The bucket of the ledger, the table, and which snapshots are kept; `now` is when the function was called."""

    store: Store
    table: LakeTable
    keep_snapshots: int
    keep_days: int
    now: datetime
    sleep: Callable[[float], None] = time.sleep

    def expire(self, run_id: str) -> Expired:
        """Take out what is old; again, the same answer, also when an answer was lost on the way.

        Runs are known by their snapshots until the ledger knows them, so that it is completed first. Raises
        LedgerIncomplete when that is not possible, and CommitConflict when others were faster at every attempt.
        """
        return commit(f"The expiry of run {run_id}", lambda: self._expire_once(run_id), self.sleep)

    def dry_run(self) -> dict[str, Any]:
        """How many snapshots would be taken out, how many would stay, and the oldest of the former: id and time."""
        table = self.table.find()
        old = self._old(table) if table else []
        snapshots = [{"id": str(one.snapshot_id), "time": one.timestamp_ms} for one in old[:SHOWN]]
        kept = len(table.metadata.snapshots) - len(old) if table else 0
        return {**msgspec.to_builtins(Expired(len(old), kept)), "snapshots": snapshots}

    def _expire_once(self, run_id: str) -> Expired:
        """One attempt, on the table as it is now."""
        table = self.table.find()
        if table is None:
            return Expired(0, 0)
        Ledger(self.store).heal(committed(table))
        old = {snapshot.snapshot_id for snapshot in self._old(table)}
        begun = self._begun(run_id)
        if old:
            self.store.write(expired_key(run_id), msgspec.json.encode(sorted(begun | old)))
            _remove(table, old)
        kept = {snapshot.snapshot_id for snapshot in table.metadata.snapshots} - old
        return Expired(len((begun | old) - kept), len(kept))

    def _begun(self, run_id: str) -> set[int]:
        """The snapshots that an earlier attempt of the run has set out to remove."""
        body = self.store.read(expired_key(run_id))
        return set() if body is None else msgspec.json.decode(body, type=set[int])

    def _old(self, table: Table) -> list[Snapshot]:
        return expirable(table, self.keep_snapshots, self.now - timedelta(days=self.keep_days))


def expirable(table: Table, keep_snapshots: int, before: datetime) -> list[Snapshot]:
    """The snapshots from before this time, oldest first, but for the newest ones and those that something relies on.

    Heads of branches and tags stay, and what compaction goes by: the newest run, back to which the ledger is complete,
    and the run that tells how far the archive is settled. Runs are those of the table's history: one that was rolled
    back, kept in the place of one that was not, would count as committed once the way there is expired.
    """
    oldest_first = sorted(table.metadata.snapshots, key=lambda one: (one.sequence_number or 0, one.timestamp_ms))
    runs = committed(table)
    settled = [run for run in runs if SETTLED_PROPERTY in run.properties]
    settled.sort(key=lambda run: datetime.fromisoformat(run.properties[SETTLED_PROPERTY]), reverse=True)
    kept = {ref.snapshot_id for ref in table.metadata.refs.values()}
    kept.update(one.snapshot_id for one in oldest_first[-keep_snapshots:])
    kept.update(run.snapshot_id for run in (*runs[:1], *settled[:1]))
    before_ms = before.timestamp() * 1000
    return [one for one in oldest_first if one.timestamp_ms < before_ms and one.snapshot_id not in kept]


class _AsLoaded(ValidatableTableRequirement):
    """The table is the one that was judged: PyIceberg would drop a tag that somebody has put on a snapshot since."""

    type: Literal["assert-as-loaded"] = "assert-as-loaded"
    loaded: Any

    def validate(self, base_metadata: TableMetadata | None) -> None:  # type: ignore[override]
        if base_metadata != self.loaded:
            raise CommitFailedException("the table changed since it was loaded")


def _remove(table: Table, snapshot_ids: set[int]) -> None:
    """Swap the table's metadata for one without these. Raises CommitFailedException when somebody else has swapped."""
    unchanged = cast("TableRequirement", _AsLoaded(loaded=table.metadata))
    table.catalog.commit_table(table, (unchanged,), (RemoveSnapshotsUpdate(snapshot_ids=sorted(snapshot_ids)),))
