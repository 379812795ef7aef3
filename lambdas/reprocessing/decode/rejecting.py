"""What a decoding task rejects, staged: all of it, and what of it is not set aside already."""

import gzip
from pathlib import Path
from typing import NamedTuple

import msgspec

from compaction.rejects import Rejects
from compaction.store import Store
from reprocessing.decode.draining import lines_of
from reprocessing.decode.standing import Standing
from reprocessing.keys import new_rejects_key, rejects_key
from sensors.quarantine import GZIP_LEVEL
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
        self._new_path = folder / "new.jsonl.gz"

    def add(self, rejection: Rejection, record: bytes, position: str) -> None:
        """Take up one record."""
        self._all.add(rejection, record, position)

    def stage(self, store: Store, run_id: str, task_id: str) -> StagedRejects:
        """Write what there is below the run's folder. To be called once: what stands is looked up here, after reading.

        Its place in the quarantine follows from all that was rejected, and so from the archive alone, whatever is set
        aside already.
        """
        quarantine_key = self._all.complete("reprocess", f"{run_id}-{task_id}")
        if quarantine_key is None:
            return StagedRejects()
        key = rejects_key(run_id, task_id)
        store.write_file(key, self._all.path)
        new = self._write_new(self._standing) if self._standing else self._all.lines
        if new == self._all.lines:
            return StagedRejects(key, key, quarantine_key)
        if not new:
            return StagedRejects(key, None, quarantine_key)
        store.write_file(new_rejects_key(run_id, task_id), self._new_path)
        return StagedRejects(key, new_rejects_key(run_id, task_id), quarantine_key)

    def _write_new(self, standing: Standing) -> int:
        """Write the lines that are not set aside already to the disk, and answer their number."""
        count = 0
        with (
            self._all.path.open("rb") as body,
            self._new_path.open("wb") as file,
            gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as lines,
        ):
            for line in lines_of(self._all.path.name, body):
                if not standing.has(line.position, line.detail):
                    lines.write(msgspec.json.encode(line) + b"\n")
                    count += 1
        return count
