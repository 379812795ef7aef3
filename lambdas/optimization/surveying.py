"""Going through the table partition by partition, the oldest first: what is to be rewritten there, and what cannot be.

Held are the table's list of files, and the footers of one partition.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final, NamedTuple

from pyiceberg.table import Table

from compaction.ahead import ahead
from optimization.choosing import Chosen, Placed, choose, parts
from optimization.inventory import LiveFile, Span, inventory
from optimization.keeping import columns_of
from optimization.looking import footer, place

MAX_FILES: Final = 50_000
MAX_TASKS: Final = 10_000
"""A run ends with the partition in which it has as many: its commit names each file, and planning looks into files for
each task. The next run takes what is left."""


class Surveyed(NamedTuple):
    """A partition: the groups that are rewritten, and the files that have to be left alone, with the reason."""

    partition: str
    groups: list[Chosen]
    left_alone: list[LiveFile]
    reason: str = ""

    def lines(self) -> Iterator[dict[str, Any]]:
        """For people: a line a group, with the files and bytes of it and why it is rewritten, and one of the rest."""
        for chosen in self.groups:
            yield self._line(len(chosen.files), chosen.bytes, ", ".join(chosen.reasons))
        if self.left_alone:
            yield self._line(len(self.left_alone), sum(file.bytes for file in self.left_alone), self.reason)

    def _line(self, files: int, size: int, reason: str) -> dict[str, Any]:
        return {"partition": self.partition, "files": files, "bytes": size, "reason": reason}


def survey(
    table: Table, location: str, start: datetime | None, end: datetime | None, file_bytes: int
) -> Iterator[Surveyed]:
    """The partitions that have any time between two, of which None is no bound.

    `location` is what stands before a file's key in the bucket of the table, `file_bytes` the target size of a file.
    """
    found = inventory(table, location, start, end)
    if found.aliens:
        yield Surveyed("", [], found.aliens, "left alone: not of this table's making, or row-level deletes anywhere")
    spans = sorted(found.files, key=lambda span: (span.start_ms, span.by))
    for span in sorted(found.with_deletes.intersection(spans)):
        yield Surveyed(span.name, [], found.files[span], "left alone: row-level deletes")
    alive = ((span, file) for span in spans if span not in found.with_deletes for file in found.files[span])
    columns = columns_of(table)
    files = tasks = 0
    looked_at = ahead(lambda item: place(item[1], footer(table.io, item[1].path), columns), alive)
    for span, answers in groupby(looked_at, key=lambda answer: answer[0][0]):
        surveyed = _surveyed(span, [(file, where) for (_, file), where in answers], file_bytes)
        yield surveyed
        files += sum(len(chosen.files) for chosen in surveyed.groups)
        tasks += sum(parts(chosen.bytes, file_bytes) for chosen in surveyed.groups)
        if files >= MAX_FILES or tasks >= MAX_TASKS:
            return


def _surveyed(span: Span, answers: Sequence[tuple[LiveFile, Placed | None]], file_bytes: int) -> Surveyed:
    placed = [where for _, where in answers if where is not None]
    refused = [file for file, where in answers if where is None]
    reason = "left alone: columns or times that a rewrite would not keep"
    return Surveyed(span.name, choose(placed, file_bytes), refused, reason)
