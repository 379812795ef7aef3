"""What tells today's rules from yesterday's: a hash of the settings and the code that make readings of records."""

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from sensors.settings import FunctionSettings

if TYPE_CHECKING:  # the build puts these into every zip with this module, needed there or not: their sources are hashed
    import compaction.arrange
    import compaction.intake  # noqa: F401

SOURCES: Final = (
    "compaction/arrange.py",
    "compaction/columns.py",
    "compaction/identities.py",
    "compaction/intake.py",
    "compaction/lines.py",
    "compaction/shape.py",
    "compaction/vectors.py",
    "sensors/decode.py",
    "sensors/parse.py",
    "sensors/reading.py",
    "sensors/settings.py",
    "sensors/times.py",
)
"""Whatever of ours `compaction.intake` and `compaction.arrange` run, below the root of the zip."""

_ROOT: Final = Path(__file__).parents[1]


def fingerprint(settings: FunctionSettings) -> str:
    """SHA-256 of the rules by which records become rows, in hexadecimal digits: the same in every function of a build.

    Settings that decide how fast, where or when are no part of it.
    """
    decides = {
        "decoding": settings.decoding,
        "metrics": settings.metrics,
        "partition_by": settings.lake.partition_by,
    }
    return hashlib.sha256(_sources(_ROOT) + msgspec.json.encode(decides, order="sorted")).hexdigest()


@cache
def _sources(root: Path) -> bytes:
    digest = hashlib.sha256()
    for name in SOURCES:
        body = (root / name).read_bytes()
        digest.update(f"{name}\n{len(body)}\n".encode() + body)
    return digest.digest()
