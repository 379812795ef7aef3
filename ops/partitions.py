"""Files of the table's partitions and how large they are, from the manifests of its current snapshot."""

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import NamedTuple

from pyiceberg.manifest import DataFile, DataFileContent
from pyiceberg.table import Table

SHOWN = 5


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
    sizes: dict[str, list[int]] = defaultdict(list)
    rows: dict[str, int] = defaultdict(int)
    for partition, file in _files(table):
        sizes[partition].append(file.file_size_in_bytes)
        rows[partition] += file.record_count
    return [
        Partition(name, len(found), rows[name], sum(found), min(found), round(statistics.median(found)), max(found))
        for name, found in sorted(sizes.items())
    ]


def worth_showing(found: Collection[Partition], worst: Collection[str] = ()) -> list[Partition]:
    """The newest partitions, those with the most files, and some of those named `worst`; newest first."""
    newest = sorted(found)[-SHOWN:]
    most = sorted(found, key=lambda one: -one.files)[:SHOWN]
    named = [one for one in found if one.partition in worst][-SHOWN:]
    return sorted({*newest, *most, *named}, reverse=True)


def _files(table: Table) -> Iterator[tuple[str, DataFile]]:
    snapshot = table.current_snapshot()
    schema, specs = table.schema(), table.specs()
    for manifest in snapshot.manifests(table.io) if snapshot else ():
        spec = specs[manifest.partition_spec_id]
        for entry in manifest.fetch_manifest_entry(table.io):
            if entry.data_file.content == DataFileContent.DATA:
                yield spec.partition_to_path(entry.data_file.partition, schema), entry.data_file
