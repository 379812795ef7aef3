"""What a decoding task rejects, staged: all of it, and what of it is not set aside already."""

from pathlib import Path
from typing import NamedTuple

from compaction.rejects import Rejects
from compaction.store import Store
from reprocessing.keys import new_rejects_key, rejects_key
from reprocessing.standing import Standing
from sensors.reading import Rejection


class StagedRejects(NamedTuple):
    """Keys as a DecodeResult has them, each None where nothing is to be named."""

    rejects_key: str | None = None
    new_rejects_key: str | None = None
    quarantine_key: str | None = None


class Rejected:
    """Collects what is rejected, on the disk at `folder`. Without `standing`, nothing is set aside already."""

    def __init__(self, folder: Path, standing: Standing | None) -> None:
        self._standing = standing
        self._all = Rejects(folder)
        self._new = Rejects(folder / "new")

    def add(self, rejection: Rejection, record: bytes, position: str) -> None:
        """Take up one record."""
        self._all.add(rejection, record, position)
        if self._standing and not self._standing.has(position, rejection.detail):
            self._new.add(rejection, record, position)

    def stage(self, store: Store, run_id: str, task_id: str) -> StagedRejects:
        """Write what there is below the run's folder.

        Its place in the quarantine follows from all that was rejected, and so from the archive alone, whatever is set
        aside already.
        """
        quarantine_key = self._all.complete("reprocess", f"{run_id}-{task_id}")
        if quarantine_key is None:
            return StagedRejects()
        key = rejects_key(run_id, task_id)
        store.write_file(key, self._all.path)
        if self._standing is None or self._new.lines == self._all.lines:
            return StagedRejects(key, key, quarantine_key)
        if not self._new.complete("reprocess", f"{run_id}-{task_id}"):
            return StagedRejects(key, None, quarantine_key)
        store.write_file(new_rejects_key(run_id, task_id), self._new.path)
        return StagedRejects(key, new_rejects_key(run_id, task_id), quarantine_key)
