"""The function's disk."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compaction.errors import DiskFull


@contextmanager
def scratch_folder(otherwise: str) -> Iterator[Path]:
    """A folder on the function's disk, gone afterwards.

    Raises DiskFull, which says to give the function more disk or `otherwise`.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="rows-") as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskFull(
            "The function's disk is full: the sorted rows of the task do not fit. "
            f"Raise compaction.worker_disk_mb, or {otherwise} and start a new run."
        ) from error
