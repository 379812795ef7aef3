"""What the files are called that an undo puts back: by the file that they are copies of, however often it was copied.

A copy is as old as its origin. So of two runs over a range the older can be undone after the newer: what stands for its
files then is copies of them, and so it may be with files that it never touched.
"""

import hashlib
import re
from typing import Final

_COPY: Final = re.compile(r"-undone-([0-9a-f]{16})\.parquet$")


def is_copy(path: str) -> bool:
    """Whether a file was put back by an undo."""
    return _COPY.search(path) is not None


def origin(path: str) -> str:
    """What names the file that this one was copied from, or the file itself; `path` is `s3://<bucket>/<key>`."""
    copied = _COPY.search(path)
    return copied[1] if copied else hashlib.sha256(path.split("/", 3)[3].encode()).hexdigest()[:16]


def copy_path(path: str, run_id: str) -> str:
    """Where the undo of a run copies a file to."""
    return f"{path.rpartition('/')[0]}/{run_id}-undone-{origin(path)}.parquet"
