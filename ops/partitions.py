"""Files of the table's partitions and how large they are, from the manifests of its current snapshot."""

import statistics
from collections.abc import Collection, Sequence
from typing import NamedTuple

from pyiceberg.table import Table

from optimization.inventory import LiveFile, inventory

SHOWN = 5
OTHERS = ""
"""The partition of files that no run would rewrite, such as those that another program has added elsewhere."""


class Partition(NamedTuple):
    """The data files of one partition, named by its folder: how many, their rows, their sizes in bytes."""

    partition: str
    files: int
    rows: int
    bytes: int
    smallest: int
    median: int
    largest: int


def partitions(table: Table) -> list[Partition]:
    """Every partition with a file, in order of name, which is that of time. Reads manifests, no data."""
    found = inventory(table, table.location(), None, None)
    named = [(span.name, files) for span, files in found.files.items()]
    return sorted(_measured(name, files) for name, files in [*named, (OTHERS, found.aliens)] if files)


def worth_showing(found: Collection[Partition], worst: Collection[str] = ()) -> list[Partition]:
    """The newest partitions, those with the most files, and some of those named `worst`; newest first."""
    newest = sorted(found)[-SHOWN:]
    most = sorted(found, key=lambda one: -one.files)[:SHOWN]
    named = [one for one in found if one.partition in worst][-SHOWN:]
    return sorted({*newest, *most, *named}, reverse=True)


def short(partition: str) -> str:
    """A partition's day or hour alone, as people read it."""
    return partition.rpartition("=")[2] or "others"


def _measured(partition: str, files: Sequence[LiveFile]) -> Partition:
    sizes = [file.bytes for file in files]
    rows, median = sum(file.rows for file in files), round(statistics.median(sizes))
    return Partition(partition, len(files), rows, sum(sizes), min(sizes), median, max(sizes))
