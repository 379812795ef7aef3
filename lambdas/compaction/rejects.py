"""The quarantine object of a task, packed on the function's disk line by line: a task may be nothing but garbage."""

import zlib
from pathlib import Path

from sensors import quarantine
from sensors.quarantine import GZIP_LEVEL, GZIP_WINDOW, Writer
from sensors.reading import Rejection


class Rejects:
    """Collects what is set aside."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "quarantine.jsonl.gz"
        self._file = self.path.open("wb")
        self._gzip = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
        self._first_of: dict[str, Rejection] = {}
        self.lines = 0

    def add(self, rejection: Rejection, record: bytes, position: str) -> None:
        """Set one record aside."""
        self._file.write(self._gzip.compress(quarantine.line(rejection, record, "archive", position)))
        self._first_of.setdefault(rejection.reason.value, rejection)
        self.lines += 1

    def complete(self, writer: Writer, name: str) -> str | None:
        """Complete the file at `path`; the key of the writer's object with this name, or None without a line."""
        self._file.write(self._gzip.flush())
        self._file.close()
        return quarantine.key(self._first_of.values(), writer, name) if self.lines else None
