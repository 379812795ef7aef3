"""One contender of the compaction measurement: `python -m bench.compaction_contenders NAME IN OUT`, a process each.

Prints CPU seconds (user and system) of the work alone, without the start of the interpreter, and the peak memory.
"""

import os
import resource
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

METRICS: Final = ("temperature", "vibration", "pressure")
_DEDUPLICATED: Final = (
    "SELECT * FROM read_json('{source}', format='newline_delimited') "
    "QUALIFY row_number() OVER (PARTITION BY device_id, timestamp ORDER BY received_at DESC) = 1 "
    "ORDER BY device_id, timestamp"
)
_CHUNK_BYTES: Final = 1_000_000


class Cost(msgspec.Struct, frozen=True):
    """What a contender took."""

    cpu_s: float
    peak_rss_mb: float


class LocalS3:
    """As much of an S3 client as the worker uses, on folders."""

    def __init__(self, source: Path, out: Path) -> None:
        self._source, self._out = source, out

    def get_object(self, *, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        return {"Body": (self._source / Key).open("rb"), "LastModified": datetime(2026, 11, 21, 10, tzinfo=UTC)}

    def put_object(self, *, Key: str, Body: Any, **_: str) -> None:  # noqa: N803
        path = self._out / Key.replace("/", "_")
        with path.open("wb") as file:
            while data := Body if isinstance(Body, bytes) else Body.read(_CHUNK_BYTES):
                file.write(data)
                if isinstance(Body, bytes):
                    break


def ours(source: Path, out: Path) -> Callable[[], object]:
    """The worker with everything on, all objects in one task."""
    from compaction.manifests import PlannedObject, Task
    from compaction.writing import Writer
    from sensors.settings import Decoding

    writer = Writer(
        LocalS3(source, out), "raw", "processed", Decoding(), METRICS, "day", file_bytes=128_000_000, bloom_filter=False
    )
    objects = [PlannedObject(path.name, path.stat().st_size, "tag") for path in sorted(source.iterdir())]
    return lambda: writer.write("run", Task("00000", tuple(objects)))


def duckdb_copy(source: Path, out: Path) -> Callable[[], object]:
    """DuckDB's plain COPY."""
    return _duckdb("FROM read_json('{source}', format='newline_delimited')", source, out)


def duckdb_sort_dedupe(source: Path, out: Path) -> Callable[[], object]:
    """DuckDB with the same order and the same duplicates removed."""
    return _duckdb(_DEDUPLICATED, source, out)


def _duckdb(query: str, source: Path, out: Path) -> Callable[[], object]:
    import duckdb

    connection = duckdb.connect(config={"threads": len(os.sched_getaffinity(0))})
    query = query.format(source=source / "*.json.gz")
    return lambda: connection.execute(f"COPY ({query}) TO '{out / 'o.parquet'}' (FORMAT parquet, COMPRESSION zstd)")


def polars(source: Path, out: Path) -> Callable[[], object]:
    """Polars' streaming scan and sink."""
    import polars

    return lambda: polars.scan_ndjson(source / "*.json.gz").sink_parquet(out / "o.parquet", compression="zstd")


def decompress(source: Path, _: Path) -> Callable[[], object]:
    """The floor: decompress alone."""
    return lambda: [sum(map(len, _texts(path))) for path in source.iterdir()]


def floor(source: Path, _: Path) -> Callable[[], object]:
    """The floor: decompress and parse alone."""
    parse = msgspec.json.Decoder().decode
    return lambda: [
        sum(1 for text in _texts(path) for line in text for _ in (parse(line),)) for path in source.iterdir()
    ]


def _texts(path: Path) -> Any:
    from isal import igzip

    with igzip.open(path, "rb") as file:  # type: ignore[no-untyped-call]
        while lines := file.readlines(_CHUNK_BYTES):
            yield lines


CONTENDERS: Final = {
    contender.__name__: contender for contender in (ours, duckdb_copy, duckdb_sort_dedupe, polars, decompress, floor)
}


def main(name: str, source: Path, out: Path) -> None:
    """Run one contender and print its cost as JSON."""
    work = CONTENDERS[name](source, out)
    before_s = _cpu_s()
    work()
    cost = Cost(round(_cpu_s() - before_s, 3), round(peak_bytes() / 1_000_000, 1))
    sys.stdout.write(msgspec.json.encode(cost).decode())


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_bytes() -> int:
    """Of this process alone; `ru_maxrss` would count its parent's as well."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
