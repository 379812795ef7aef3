"""Parquet files of the target size from arranged rows: row groups, statistics, what the manifest says of each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compaction import checksum
from compaction.arrange import PARTITION_MS, PartitionBy, partition_name
from compaction.columns import TIMESTAMP, table_schema
from compaction.manifests import FIRST_KEY_METADATA, KEYS_METADATA, LAST_KEY_METADATA, FileResult
from compaction.rowgroups import RowGroups
from sensors.reading import ATTRIBUTES

FILES_PREFIX: Final = "warehouse/readings/data/"
_DICTIONARIES: Final = ["device_id", *ATTRIBUTES, "source_object", "other_metrics.key_value.key"]
_BLOOM_DEVICES: Final = 16_384  # that a row group may have before its filter says yes more often than once in twenty


class Format(msgspec.Struct, frozen=True):
    """What the settings say of the files."""

    metrics: Sequence[str]
    partition_by: PartitionBy
    file_bytes: int
    bloom_filter: bool


Publish = Callable[[str, Path], None]


class Files:
    """Writes arranged rows a file at a time, and hands the path of each, with its key, to `publish` when complete.

    A file holds one partition of `measured_at`. The same rows give the same files to the byte, however they were cut
    when they were added. Rows have the column `source_object`, or `_source`, a place in `sources`. Keys begin with
    `prefix`.
    """

    def __init__(
        self,
        layout: Format,
        name: str,
        folder: Path,
        publish: Publish,
        sources: Sequence[str] | None = None,
        prefix: str = FILES_PREFIX,
    ) -> None:
        self._layout = layout
        self._sources = None if sources is None else pa.array(sources, pa.string())
        self._name = name
        self._path = folder / "part.parquet"
        self._publish = publish
        self._prefix = prefix
        self._file: _File | None = None
        self._groups = RowGroups()
        self._partition: int | None = None
        self._part = 0
        self.results: list[FileResult] = []

    def add(self, rows: pa.Table) -> None:
        """Take up rows that come after all that were added before."""
        rows = rows.combine_chunks()
        partitions = pc.divide(rows["measured_at"], PARTITION_MS[self._layout.partition_by]).combine_chunks()
        start = 0
        for entry in pc.value_counts(partitions).to_pylist():  # in order of appearance, which is ascending
            if entry["values"] != self._partition:
                self._close()
                self._partition, self._part = entry["values"], 0
            for group in self._groups.add(rows.slice(start, entry["counts"])):
                self._write(group)
            start += entry["counts"]

    def finish(self) -> tuple[FileResult, ...]:
        """Complete the last file; the manifest lines of all."""
        self._close()
        return tuple(self.results)

    def _write(self, group: pa.Table) -> None:
        self._file = self._file or _File(self._path, self._layout)
        self._file.write(group, self._sources)
        if self._file.size >= self._layout.file_bytes:
            self._complete()

    def _close(self) -> None:
        for group in self._groups.rest():
            self._write(group)
        if self._file:
            self._complete()

    def _complete(self) -> None:
        file, self._file = self._file, None
        if file is None or self._partition is None:
            return
        partition = partition_name(self._partition, self._layout.partition_by)
        key = f"{self._prefix}{partition}/{self._name}{f'-{self._part:03}' if self._part else ''}.parquet"
        self._part += 1
        self.results.append(file.close(key, partition))
        self._publish(key, self._path)


class _File:
    """One file being written.

    Columns get their types from the schema of the file alone (no Arrow schema in it), as Iceberg readers expect.
    """

    def __init__(self, path: Path, layout: Format) -> None:
        self._schema = _stored_schema(layout.metrics)
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            use_dictionary=_DICTIONARIES,
            write_statistics=True,
            write_page_index=True,
            sorting_columns=[pq.SortingColumn(0), pq.SortingColumn(1)],
            store_schema=False,
            bloom_filter_options={"device_id": {"ndv": _BLOOM_DEVICES, "fpp": 0.05}} if layout.bloom_filter else None,
        )
        self._rows = 0
        self._checksum = 0
        self._ends: list[tuple[str, int]] = []
        self._times_ms: list[int] = []

    @property
    def size(self) -> int:
        """Bytes so far."""
        return int(self._sink.tell())

    def write(self, group: pa.Table, sources: pa.StringArray | None) -> None:
        """Add a row group."""
        devices = group["device_id"].combine_chunks().dictionary_encode()
        measured_at = group["measured_at"].combine_chunks()
        self._writer.write_table(self._stored(group, devices, sources), row_group_size=group.num_rows)
        self._rows += group.num_rows
        self._checksum = (self._checksum + checksum.of_keys(devices, measured_at)) % 2**64
        self._ends += [_key(group, 0), _key(group, -1)]
        times = pc.min_max(measured_at)
        self._times_ms += [times["min"].as_py(), times["max"].as_py()]

    def close(self, key: str, partition: str) -> FileResult:
        """Complete the file; its manifest line."""
        first, last = self._ends[0], self._ends[-1]
        self._writer.add_key_value_metadata(
            {
                KEYS_METADATA: f"{self._checksum:016x}",
                FIRST_KEY_METADATA: msgspec.json.encode(first).decode(),
                LAST_KEY_METADATA: msgspec.json.encode(last).decode(),
            }
        )
        self._writer.close()
        size = self.size
        self._sink.close()
        return FileResult(
            key=key,
            partition=partition,
            rows=self._rows,
            bytes=size,
            first_device_id=first[0],
            last_device_id=last[0],
            first_measured_at_ms=min(self._times_ms),
            last_measured_at_ms=max(self._times_ms),
            key_checksum=f"{self._checksum:016x}",
        )

    def _stored(self, group: pa.Table, devices: pa.DictionaryArray, sources: pa.StringArray | None) -> pa.Table:
        columns: dict[str, Any] = {name: group[name] for name in self._schema.names if name in group.column_names}
        columns |= {name: group[name].combine_chunks().dictionary_encode() for name in ATTRIBUTES}
        columns["device_id"] = devices
        columns["source_object"] = (
            group["source_object"].combine_chunks().dictionary_encode()
            if sources is None
            else pa.DictionaryArray.from_arrays(group["_source"].combine_chunks(), sources)
        )
        for name in ("measured_at", "received_at"):
            columns[name] = pc.multiply(group[name], 1000).cast(TIMESTAMP)
        return pa.table([columns[name] for name in self._schema.names], schema=self._schema)


def _key(rows: pa.Table, number: int) -> tuple[str, int]:
    return rows["device_id"][number].as_py(), rows["measured_at"][number].as_py()


def _stored_schema(metrics: Sequence[str]) -> pa.Schema:
    """The table's schema, with dictionaries where there are some in memory."""
    encoded = pa.dictionary(pa.int32(), pa.string())
    names = {"device_id", "source_object", *ATTRIBUTES}
    return pa.schema([field.with_type(encoded) if field.name in names else field for field in table_schema(metrics)])
