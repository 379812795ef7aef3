"""How old a run may be when it is committed. Whoever deletes files that no snapshot names relies on it."""

from datetime import datetime, timedelta

from compaction.errors import RunTooOld
from compaction.store import Store

MARGIN = timedelta(days=1)
"""Between the last commit of a run's files and their sweeping: a commit takes minutes, clocks differ by seconds."""


def is_old(store: Store, plan: str, orphan_days: int, now: datetime) -> bool:
    """Whether a run's plan (its key) was written more than `orphan_days` less one ago.

    All files of a run are younger than its plan, so a file that is older than `orphan_days` can never be committed any
    more. Raises ClientError when there is no plan.
    """
    return now - store.written_at(plan) > timedelta(days=orphan_days) - MARGIN


def refuse_old(store: Store, plan: str, orphan_days: int, now: datetime) -> None:
    """Raise RunTooOld for a run whose plan (its key) `is_old`, ClientError when there is no plan."""
    if is_old(store, plan, orphan_days, now):
        raise RunTooOld(
            f"{plan} was written at {store.written_at(plan).isoformat()}, and files that no snapshot names are deleted "
            f"after {orphan_days} days, so those of the run may be gone. Start a new run, which takes up what this had."
        )
