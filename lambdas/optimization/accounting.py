"""Whether every row that tasks have read is accounted for: in number, and by the sums of the keys' hashes.

A key that was lost and another that came twice would leave the counts right; the sums (`compaction.checksum`) not.
"""

from collections import Counter
from collections.abc import Iterable

from compaction.errors import CountsDoNotBalance, ResultMismatch
from optimization.manifests import SourceFile, SourceResult

NOTHING = "Nothing is published; keep the run's manifests and report this."


class Account:
    """What all tasks of a group have read, file by file, and what has become of it."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._rows_to: Counter[str] = Counter()
        self._keys_to = 0

    def read(self, sources: Iterable[SourceResult]) -> None:
        """Enter rows that a task has read."""
        for source in sources:
            self._rows[source.key] += source.rows
            self._keys[source.key] += int(source.key_checksum, 16)

    def went(self, where: str, rows: int, key_checksum: str) -> None:
        """Enter what became of some of the rows, in words such as `written`."""
        self._rows_to[where] += rows
        self._keys_to += int(key_checksum, 16)

    def rows(self, where: str) -> int:
        """How many rows went there."""
        return self._rows_to[where]

    def check(self, group: str, files: Iterable[SourceFile]) -> None:
        """Raise CountsDoNotBalance or ResultMismatch unless each file was read as planned, and all rows went somewhere.

        `group` is the key of the group that has the files.
        """
        planned = {file.key: file for file in files}
        for file in planned.values():
            self._check_file(file)
        if strange := sorted(self._rows.keys() - planned.keys()):
            raise ResultMismatch(f"{strange[0]} was read for the group {group}, which does not have it. {NOTHING}")
        if self._rows.total() != self._rows_to.total():
            went = " and ".join(f"{rows} {where}" for where, rows in sorted(self._rows_to.items(), reverse=True))
            raise CountsDoNotBalance(f"Group {group}: {self._rows.total()} rows were read, but {went}. {NOTHING}")
        if (self._keys.total() - self._keys_to) % 2**64:
            raise CountsDoNotBalance(
                f"Group {group}: the keys written and left out are not the keys that were read. {NOTHING}"
            )

    def _check_file(self, file: SourceFile) -> None:
        rows, keys = self._rows[file.key], f"{self._keys[file.key] % 2**64:016x}"
        if rows != file.rows:
            raise CountsDoNotBalance(f"{file.key} has {file.rows} rows, but {rows} were read of it. {NOTHING}")
        if file.key_checksum not in (None, keys):
            raise CountsDoNotBalance(
                f"{file.key} has the key checksum {file.key_checksum} in its footer, its rows as read {keys}. {NOTHING}"
            )
