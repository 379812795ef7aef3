"""The archive hour that the compaction contenders read: the same records in differently sized objects."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from isal import igzip

HOUR_MS: Final = 1_795_251_600_000  # 2026-11-21T09:00:00Z
DEVICES: Final = 2_000
DUPLICATES: Final = 0.01  # what MQTT's quality of service 1 and Firehose's retries may send again
MB: Final = 1_000_000


class Layout(msgspec.Struct, frozen=True):
    """How the hour is cut: bytes of each object, uncompressed."""

    name: str
    sizes: tuple[int, ...]


def layouts(size_mb: int) -> tuple[Layout, ...]:
    """At 1,000 MB: 200 objects of 5 MB, 5,000 of 40 KB, and one of 500 MB beside 100 of 5 MB."""
    return (
        Layout("large", (5 * MB,) * max(size_mb // 5, 1)),
        Layout("small", (40_000,) * max(size_mb * 5, 1)),
        Layout("skewed", (size_mb * MB // 2, *(5 * MB,) * (size_mb // 10))),
    )


def generate(layout: Layout, folder: Path) -> int:
    """Write the objects, in gzip; bytes uncompressed, in all."""
    folder.mkdir(parents=True)
    records = _records(sum(layout.sizes))
    total = 0
    for number, size in enumerate(layout.sizes):
        written = 0
        with igzip.open(folder / f"{number:05}.json.gz", "wb", compresslevel=2) as file:  # type: ignore[no-untyped-call]
            while written < size:
                text = b"".join(itertools.islice(records, min(200, (size - written) // 240 + 1)))
                file.write(text)
                written += len(text)
        total += written
    return total


def _records(total_bytes: int) -> Iterator[bytes]:
    """Readings of DEVICES devices with three declared metrics and one that is not, without end; 1 % come twice."""
    rng = random.Random(0)
    at, ahead_ms = 0, 3_600_000 / (total_bytes / 225)  # so that they fill an hour
    line = b""
    while True:
        if not line or rng.random() >= DUPLICATES:
            line = _record(rng, HOUR_MS + int(at * ahead_ms))
            at += 1
        yield line


def _record(rng: random.Random, received_at: int) -> bytes:
    device_id = f"press-{rng.randrange(DEVICES):04d}"
    return (
        f'{{"device_id":"{device_id}","timestamp":{received_at - rng.randrange(200, 30_000)},'
        f'"temperature":{rng.gauss(60, 5):.2f},"vibration":{rng.gauss(3, 0.5):.3f},"pressure":{rng.gauss(6, 0.2):.3f},'
        f'"flow_rate":{rng.gauss(120, 9):.1f},"location":"hall-{rng.randrange(9)}","equipment_type":"press",'
        f'"topic_device_id":"{device_id}","received_at":{received_at}}}\n'
    ).encode()
