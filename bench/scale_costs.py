"""What a reading costs compaction, upkeep and reprocessing, by its size: bytes in archive and table, and CPU."""

import io
import itertools
import random
import resource
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pyarrow.parquet as pq
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from isal import igzip

from compaction.manifests import FileResult, PlannedObject, Task
from compaction.writing import Writer
from optimization.manifests import Group, RewriteTask, SourceFile
from optimization.rewriting import Rewriter
from reprocessing.keys import plan_key
from reprocessing.manifests import Plan
from reprocessing.merge.merging import Merger
from reprocessing.merge_manifests import MergeGroup, MergeTask
from reprocessing.request import Request, Scope
from sensors.settings import Decoding
from sensors.times import MAX_MS

JSON_BYTES: Final = 60_000_000  # of each size; two tasks of half of it, and a rewrite of what they wrote
OBJECT_BYTES: Final = 5_000_000
HOUR_MS: Final = 1_795_251_600_000  # 2026-11-21T09:00:00Z
DEVICES: Final = 10_000
METRICS_OF: Final = {200: 8, 500: 25, 1000: 53}
"""Bytes of a payload → metrics that make it so large. All are declared, their values random, which compress worst."""
GZIP_LEVEL: Final = 2  # of ISA-L: about what zlib's 6, which Firehose uses, leaves

ONE_ROW: Final = RewriteTask("00000-001", "group", ("press-00000", 0), ("press-00000", HOUR_MS + 1))
"""A range of one reading, the first of all: the first row group of every file is read for it."""


class Costs(msgspec.Struct, frozen=True):
    """Of one reading: bytes as a device sends it, on the stream, in the archive, in the table; microseconds of CPU to
    compact it, to rewrite it, to read it in a row group that a rewrite needs another row of, and to merge what was
    decoded of it with what the table has.
    """

    payload_bytes: float
    record_bytes: float
    archive_bytes: float
    table_bytes: float
    compact_us: float
    rewrite_us: float
    passed_over_us: float
    merge_us: float


class FolderlessS3:
    """As much of an S3 client as worker and rewriter use, on a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, *, Key: str, Range: str = "", **_: object) -> dict[str, Any]:  # noqa: N803 - boto3's names
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        body = self.objects[Key]
        first, _dash, last = Range.removeprefix("bytes=").partition("-")
        part = body[int(first) : int(last) + 1] if Range else body
        return {
            "Body": StreamingBody(io.BytesIO(part), len(part)),
            "ContentRange": f"bytes {first}-{last}/{len(body)}",
            "LastModified": datetime(2026, 11, 21, 10, tzinfo=UTC),
        }

    def put_object(self, *, Key: str, Body: Any, **_: object) -> None:  # noqa: N803
        self.objects[Key] = Body if isinstance(Body, bytes) else Body.read()


def measure(payload_bytes: int, json_bytes: int = JSON_BYTES) -> Costs:
    """Compact generated readings in two tasks and rewrite their files into one."""
    s3 = FolderlessS3()
    metrics = tuple(f"metric_{number:02}" for number in range(METRICS_OF[payload_bytes]))
    halves, (sent, recorded, rows) = _archive(s3, metrics, json_bytes)
    archived = sum(item.bytes for half in halves for item in half)
    writer = Writer(s3, "raw", "processed", Decoding(), metrics, "day", file_bytes=1_000_000_000, bloom_filter=False)
    compact_s = -_cpu_s()
    results = [writer.write("run", Task(f"{number:05}", tuple(half))) for number, half in enumerate(halves)]
    compact_s += _cpu_s()
    files = [file for result in results for file in result.files]
    return Costs(
        payload_bytes=round(sent / rows, 1),
        record_bytes=round(recorded / rows, 1),
        archive_bytes=round(archived / rows, 1),
        table_bytes=round(sum(file.bytes for file in files) / rows, 1),
        compact_us=round(compact_s / rows * 1e6, 2),
        rewrite_us=round(_rewrite_s(s3, files, metrics, RewriteTask("00000-000", "group")) / rows * 1e6, 2),
        passed_over_us=round(_rewrite_s(s3, files, metrics, ONE_ROW) / _group_rows(s3, files) * 1e6, 2),
        merge_us=round(_merge_s(s3, files, metrics) / rows * 1e6, 2),
    )


def _archive(
    s3: FolderlessS3, metrics: tuple[str, ...], json_bytes: int
) -> tuple[list[list[PlannedObject]], tuple[int, int, int]]:
    """Objects of two tasks; bytes of their payloads and of their records, readings."""
    halves: list[list[PlannedObject]] = [[], []]
    records = _records(metrics)
    sent = recorded = rows = 0
    for number in range(max(2, json_bytes // OBJECT_BYTES)):
        lines: list[bytes] = []
        written = 0
        while written < OBJECT_BYTES:
            payload, envelope = next(records)
            lines.append(envelope)
            written += len(envelope)
            sent += len(payload)
        recorded, rows = recorded + written, rows + len(lines)
        key = f"{number:05}.gz"
        s3.objects[key] = igzip.compress(b"".join(lines), compresslevel=GZIP_LEVEL)
        halves[number % 2].append(PlannedObject(key, len(s3.objects[key]), "tag"))
    return halves, (sent, recorded, rows)


def _records(metrics: tuple[str, ...]) -> Iterator[tuple[bytes, bytes]]:
    """A payload as a device sends it, and the line that the archive has of it; every device once a second."""
    rng = random.Random(0)
    for number in itertools.count():
        device, at = f"press-{number % DEVICES:05}", HOUR_MS + number // DEVICES * 1000
        values = ",".join(f'"{name}":{rng.gauss(60, 5):.2f}' for name in metrics)
        payload = f'{{"device_id":"{device}","timestamp":{at},{values}'
        yield f"{payload}}}".encode(), f'{payload},"topic_device_id":"{device}","received_at":{at + 120}}}\n'.encode()


def _rewrite_s(s3: FolderlessS3, files: list[FileResult], metrics: tuple[str, ...], task: RewriteTask) -> float:
    sources = tuple(SourceFile(file.key, file.rows, file.bytes) for file in files)
    s3.put_object(Key="group", Body=msgspec.json.encode(Group("day", sources, metrics)))
    before = _cpu_s()
    Rewriter(s3, "processed", "day", 1_000_000_000).rewrite("run", task)
    return _cpu_s() - before


def _merge_s(s3: FolderlessS3, files: list[FileResult], metrics: tuple[str, ...]) -> float:
    """Of the files, and of as many that were decoded of the same readings."""
    asked = Request(Scope(0, MAX_MS), "archive", ("table",), "apply", 1, "Standard", 1, "")
    plan = Plan("run", asked, "", "", None, 0, 0, 0, 0, 0, 0, 0, 0)
    old = tuple(SourceFile(file.key, file.rows, file.bytes) for file in files)
    staged = tuple(msgspec.structs.replace(source, key=f"staging/{source.key}") for source in old)
    s3.objects |= {f"staging/{source.key}": s3.objects[source.key] for source in old}
    group = MergeGroup(files[0].partition, old, staged, (), metrics, replaces=True)
    for key, manifest in {plan_key("run"): plan, "group": group}.items():
        s3.put_object(Key=key, Body=msgspec.json.encode(manifest))
    before = _cpu_s()
    Merger(s3, "processed", "day", 1_000_000_000, "", {}).merge("run", "merge", MergeTask("00000-000", "group"))
    return _cpu_s() - before


def _group_rows(s3: FolderlessS3, files: list[FileResult]) -> int:
    """Rows of the first row group of each file."""
    return sum(pq.read_metadata(io.BytesIO(s3.objects[file.key])).row_group(0).num_rows for file in files)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
