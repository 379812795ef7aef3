"""The footers of new Parquet files, compared with what the results say of them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO

from compaction.ahead import ahead
from compaction.errors import FileMismatch
from compaction.manifests import KEYS_METADATA, FileResult


class Footer(NamedTuple):
    """What a file says of itself; None stands for a statistic that it lacks."""

    rows: int
    bytes: int
    first_device_id: str | None
    last_device_id: str | None
    first_measured_at_ms: int | None
    last_measured_at_ms: int | None
    key_checksum: str | None


def verify_footers(io: FileIO, location: str, files: Iterable[FileResult]) -> None:
    """Raise FileMismatch unless each file is there with rows, bytes, devices, times and keys of its result.

    `location` is what stands before a file's key.
    """
    for file, footer in ahead(lambda file: _read(io, location + file.key), files):
        place = f"{location}{file.key}"
        if footer is None:
            raise FileMismatch(f"{place} is missing, its result says {file.rows} rows. Start a new run.")
        for name, found in footer._asdict().items():
            expected = getattr(file, name)
            if found != expected:
                raise FileMismatch(
                    f"{place} has {name} {found} in its footer, its result says {expected}. Start a new run."
                )


def _read(io: FileIO, path: str) -> Footer | None:
    try:
        with io.new_input(path).open() as stream:
            size = stream.seek(0, 2)
            metadata = pq.read_metadata(stream)
    except FileNotFoundError:
        return None
    except pa.ArrowInvalid as error:
        raise FileMismatch(f"{path} has no footer that can be read: {error}. Start a new run.") from None
    first_device_id, last_device_id = range_of(metadata, "device_id")
    first_measured_at, last_measured_at = range_of(metadata, "measured_at")
    checksum = (metadata.metadata or {}).get(KEYS_METADATA.encode())
    return Footer(
        rows=metadata.num_rows,
        bytes=size,
        first_device_id=first_device_id,
        last_device_id=last_device_id,
        first_measured_at_ms=_ms(first_measured_at),
        last_measured_at_ms=_ms(last_measured_at),
        key_checksum=checksum.decode() if checksum else None,
    )


def range_of(metadata: pq.FileMetaData, column: str) -> tuple[Any, Any]:
    """Smallest and largest value of a column over all row groups, None and None when a group has no statistics."""
    number = metadata.schema.names.index(column)
    groups = [metadata.row_group(group).column(number).statistics for group in range(metadata.num_row_groups)]
    if not groups or not all(group is not None and group.has_min_max for group in groups):
        return None, None
    return min(group.min for group in groups), max(group.max for group in groups)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
