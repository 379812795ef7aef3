"""Decoding tasks that a test plans itself, on a lake in memory."""

import gzip
import io
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from compaction.manifests import PlannedObject, Task, TaskResult
from compaction.writing import Writer
from reprocessing.decode.decoding import Decoder
from reprocessing.keys import plan_key
from reprocessing.manifests import DecodeResult, DecodeTask, Plan
from reprocessing.request import Request, Scope
from sensors import quarantine
from sensors.reading import Reason, Rejection
from sensors.settings import Decoding
from tests.lake import AT, Lake

AT_MS = AT * 1000
ALL = Scope(0, 253_402_300_800_000)
RULES = "rules-of-today"


def request(scope: Scope = ALL, **fields: Any) -> Request:
    """A request for archived readings of both targets, unless the fields say otherwise."""
    usual = {"source": "archive", "targets": ("table", "hot"), "mode": "apply", "max_rate": 1, "restore_days": 1}
    return Request(scope=scope, restore_tier="Standard", note="test", **(usual | fields))


def planned(lake: Lake, asked: Request, run_id: str = "run", rules: str = RULES) -> None:
    """Write the plan of a run."""
    plan = Plan(run_id, asked, rules, "2026-11-21T12:30:00Z", None, 1, 1, 1, 0, 0, 0, 0, 0)
    lake.store.write(plan_key(run_id), msgspec.json.encode(plan))


def objects(lake: Lake, bucket: str, prefix: str) -> tuple[PlannedObject, ...]:
    """The objects of a bucket as a plan has them."""
    stored = lake.s3.buckets[bucket]
    return tuple(
        PlannedObject(key, len(stored[key].body), stored[key].etag.strip('"'))
        for key in sorted(stored)
        if key.startswith(prefix)
    )


def task(lake: Lake, *, to_table: bool = True) -> DecodeTask:
    """All of the archive."""
    return DecodeTask("00000", objects(lake, lake.raw, "raw-data/"), to_table)


def draining(lake: Lake) -> DecodeTask:
    """All of the quarantine."""
    return DecodeTask("00000", objects(lake, lake.processed, "quarantine/"))


def decoder(lake: Lake, decoding: Decoding = Decoding(), rules: str = RULES) -> Decoder:  # noqa: B008 - it is frozen
    return Decoder(lake.s3, lake.raw, lake.processed, rules, decoding, lake.metrics, lake.partition_by, 128_000_000)


def compacted(lake: Lake, decoding: Decoding = Decoding(), run_id: str = "compaction") -> TaskResult:  # noqa: B008 - it is frozen
    """What `write_parquet` makes of all of the archive."""
    writer = Writer(lake.s3, lake.raw, lake.processed, decoding, lake.metrics, lake.partition_by, 128_000_000, False)
    return writer.write(run_id, Task("00000", objects(lake, lake.raw, "raw-data/")))


def rows(lake: Lake, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of Parquet files, in their order."""
    return [row for key in keys for row in pq.read_table(pa.BufferReader(lake.store.read(key))).to_pylist()]


def staged(lake: Lake, result: DecodeResult) -> list[dict[str, Any]]:
    """The rows that a task has decoded, of all files."""
    return rows(lake, [one.file.key for one in result.files])


def line(reason: str, source: quarantine.Source, position: str, payload: object, received_at_ms: int = AT_MS) -> bytes:
    """A line of the quarantine."""
    record = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return quarantine.line(Rejection(Reason(reason), "by the test", received_at_ms), record, source, position)


def put_quarantine(lake: Lake, name: str, *lines: bytes) -> str:
    """A quarantine object of these lines; its key."""
    key = f"quarantine/reason=mixed/year=2026/month=11/day=21/{name}.jsonl.gz"
    lake.store.write(key, quarantine.pack(lines))
    return key


def resolved(lake: Lake, result: DecodeResult) -> list[list[str]]:
    """Object and position of each line that a task has resolved."""
    body = lake.store.read(result.resolved_key) if result.resolved_key else b""
    return [json.loads(one) for one in (body or b"").splitlines()]


def quarantined(lake: Lake, key: str | None) -> list[dict[str, str]]:
    """The lines of an object of rejected records."""
    body = lake.store.read(key) if key else None
    return [json.loads(one) for one in gzip.open(io.BytesIO(body))] if body else []
