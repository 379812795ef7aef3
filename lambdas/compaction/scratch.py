"""The function's disk."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compaction.errors import DiskFull

_PREFIX = "sensorkeep-rows-"
_UNLOCKED = "new-"


@contextmanager
def scratch_folder(otherwise: str) -> Iterator[Path]:
    """A folder on the function's disk, gone afterwards; those that killed invocations have left go first.

    Raises DiskFull, which says to give the function more disk or `otherwise`.
    """
    _remove_leftovers()
    try:
        with _locked_folder() as folder:
            yield folder
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskFull(
            "The function's disk is full: the sorted rows of the task do not fit. "
            f"Raise compaction.worker_disk_mb, or {otherwise} and start a new run."
        ) from error


@contextmanager
def _locked_folder() -> Iterator[Path]:
    """A folder that is locked for as long as its owner lives, from the moment on that it has its name."""
    folder = Path(tempfile.mkdtemp(prefix=_UNLOCKED + _PREFIX))
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = folder.rename(folder.with_name(folder.name.removeprefix(_UNLOCKED)))
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(lock)


def _remove_leftovers() -> None:
    """Remove folders that nobody holds a lock of: a sandbox keeps its disk when an invocation is killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY)
        except OSError:  # gone since, or another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:  # in use
            pass
        finally:
            os.close(lock)
