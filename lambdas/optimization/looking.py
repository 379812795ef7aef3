"""What the plan reads of data files: where the keys of each begin and end, and a sample of the keys of some."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO

from compaction.ahead import ahead
from compaction.footers import range_of
from compaction.manifests import FIRST_KEY_METADATA, KEYS_METADATA, LAST_KEY_METADATA
from optimization.choosing import Placed
from optimization.inventory import LiveFile
from optimization.keeping import Columns, is_kept
from optimization.manifests import Key, SourceFile
from optimization.splitting import spread

_FIRST_TIME: Final = -(2**63)
_LAST_TIME: Final = 2**63 - 1
_AFTER_ALL_DEVICES: Final = "\U0010ffff"
SAMPLED_KEYS: Final = 16
"""Of a row group that is looked at."""


def footer(io: FileIO, path: str) -> pq.FileMetaData:
    """A file's footer. Raises OSError and pyarrow's ArrowInvalid for a file that cannot be read."""
    with io.new_input(path).open() as stream:
        return pq.read_metadata(stream)


def place(file: LiveFile, metadata: pq.FileMetaData, columns: Columns) -> Placed | None:
    """Where a file's keys lie, by its footer; None when a rewrite would not keep all of it (`is_kept`).

    A file that was not written by the compaction counts as unsorted, with keys as far as its statistics go.
    """
    if not is_kept(metadata, columns):
        return None
    said = metadata.metadata or {}
    checksum = said.get(KEYS_METADATA.encode())
    ends = [said.get(name.encode()) for name in (FIRST_KEY_METADATA, LAST_KEY_METADATA)]
    if checksum is None or None in ends:
        first, last = range_of(metadata, "device_id")
        return Placed(
            file,
            first=(first or "", _FIRST_TIME),
            last=(last or _AFTER_ALL_DEVICES, _LAST_TIME),
            is_sorted=False,
            key_checksum=checksum.decode() if checksum else None,
        )
    first, last = (msgspec.json.decode(end or b"", type=Key) for end in ends)
    return Placed(file, first, last, is_sorted=True, key_checksum=checksum.decode())


def source(placed: Placed, location: str) -> SourceFile:
    """The file as manifests have it; `location` is what stands before its key."""
    return SourceFile(
        key=placed.file.path.removeprefix(location),
        rows=placed.file.rows,
        bytes=placed.file.bytes,
        key_checksum=placed.key_checksum,
        first=placed.first,
        last=placed.last,
    )


def samples(io: FileIO, location: str, files: Sequence[SourceFile], row_groups: int) -> Iterator[Key]:
    """Keys of so many row groups, evenly spread over the bytes of the files."""
    places = spread([file.bytes for file in files], row_groups)
    found = ahead(lambda at: _sample(io, location + files[at[0]].key, at[1]), places)
    return chain.from_iterable(keys for _, keys in found)


def _sample(io: FileIO, path: str, where: float) -> list[Key]:
    """Some keys of the row group that is so far into a file, from 0 to 1; what is left over says which of its keys."""
    with io.new_input(path).open() as stream:
        content = pq.ParquetFile(stream, read_dictionary=["device_id"])
        if not content.metadata.num_rows:
            return []
        rest, number = math.modf(where * content.num_row_groups)
        rows = content.read_row_group(int(number), columns=["device_id", "measured_at"])
    step = rows.num_rows / SAMPLED_KEYS
    rows = rows.take(sorted({int((place + rest) * step) for place in range(SAMPLED_KEYS)}))
    moments = rows["measured_at"].cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64())
    return list(zip(rows["device_id"].to_pylist(), moments.to_pylist(), strict=True))
