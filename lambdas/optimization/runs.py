"""What a run of `optimize` has written down about itself, read back."""

from collections.abc import Iterator

import msgspec

from compaction.store import Store
from optimization.manifests import RewriteTask, plan_key


def read_plan(store: Store, run_id: str) -> Iterator[RewriteTask] | None:
    """The tasks of a run, read as they are taken, or None when it has no plan."""
    lines = store.lines(plan_key(run_id))
    return None if lines is None else map(msgspec.json.Decoder(RewriteTask).decode, lines)
