"""Time and memory of planning a run, for archives of growing size whose listing is simulated."""

import argparse
import io
import json
import multiprocessing
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from rich.console import Console
from rich.table import Table

from compaction.hours import ARCHIVE_PREFIX, Window, hour_prefix
from compaction.planning import Planner

SUMMARY: Final = "Time and peak memory of a plan for 10⁴, 10⁵ and 10⁶ archive objects (simulated listing)."
OBJECTS: Final = (10_000, 100_000, 1_000_000)
OBJECTS_AN_HOUR: Final = 5_000
OBJECT_BYTES: Final = 40_000
TASK_BYTES: Final = 64_000_000
_PAGE: Final = 1_000
_FIRST_HOUR: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Figures(msgspec.Struct):
    """One plan: objects listed and planned, its tasks, CPU seconds, and MiB that the process has held at most."""

    objects: int
    planned: int
    tasks: int
    cpu_s: float
    peak_rss_mb: float


class Archive:
    """An S3 client that lists so many objects without holding them; every other one is in the ledger if asked for."""

    def __init__(self, objects: int, *, half_committed: bool) -> None:
        self._objects = objects
        self._half_committed = half_committed
        self._hours = [_FIRST_HOUR + timedelta(hours=number) for number in range(-(-objects // OBJECTS_AN_HOUR))]

    def get_paginator(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(paginate=self._pages)

    def put_object(self, *, Body: Any, **_: object) -> None:  # noqa: N803 - the client's name
        while Body.read(1 << 20):
            pass

    def get_object(self, *, Key: str, **_: object) -> dict[str, Any]:  # noqa: N803
        if not Key.startswith("ledger/year="):
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        body = b"".join(b'"%s"\n' % _name(number).encode() for number in range(0, OBJECTS_AN_HOUR, 2))
        return {"Body": StreamingBody(io.BytesIO(body), len(body))}

    def _pages(self, *, Prefix: str, StartAfter: str = "", **_: object) -> Iterator[dict[str, Any]]:  # noqa: N803
        for hour in self._hours:
            if Prefix == ARCHIVE_PREFIX:
                yield from _hour(hour_prefix(hour))
            elif self._half_committed:
                key = hour_prefix(hour).replace(ARCHIVE_PREFIX, "ledger/") + "run.jsonl"
                if key > StartAfter:
                    yield {"Contents": [{"Key": key, "Size": 1, "LastModified": hour}]}


class NoTable:
    """A Glue client of a lake that has no table yet."""

    class exceptions:  # noqa: N801 - the client's name
        """Errors by the names that the client gives them."""

        class EntityNotFoundException(Exception):  # noqa: N818
            """There is no such table."""

    def get_table(self, **_: object) -> None:
        raise self.exceptions.EntityNotFoundException


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--objects", type=int, nargs="+", default=OBJECTS, metavar="N", help="archive sizes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, each size in a process of its own, and print the figures."""
    found = {
        name: [_measured_alone(objects, half_committed=half) for objects in arguments.objects]
        for name, half in (("new", False), ("half in the ledger", True))
    }
    if arguments.json:
        print(json.dumps({name: [msgspec.to_builtins(one) for one in figures] for name, figures in found.items()}))
    else:
        _show(found)


def measure(objects: int, *, half_committed: bool) -> Figures:
    """Plan a run over so many objects."""
    archive = Archive(objects, half_committed=half_committed)
    planner = Planner(archive, NoTable(), "raw", "processed", "lake", TASK_BYTES)
    planner.plan("warm", Window(None, _FIRST_HOUR))
    started_s = time.process_time()
    answer = planner.plan("run", Window(None, _FIRST_HOUR + timedelta(days=36_500)))
    return Figures(
        objects=objects,
        planned=answer["objects"],
        tasks=answer["tasks"],
        cpu_s=round(time.process_time() - started_s, 2),
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def _measured_alone(objects: int, *, half_committed: bool) -> Figures:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (objects,), {"half_committed": half_committed})


def _hour(prefix: str) -> Iterator[dict[str, Any]]:
    for start in range(0, OBJECTS_AN_HOUR, _PAGE):
        yield {
            "Contents": [
                {
                    "Key": prefix + _name(number),
                    "Size": OBJECT_BYTES + number * 7919 % 5_000,
                    "ETag": f'"{number:032x}"',
                }
                for number in range(start, start + _PAGE)
            ]
        }


def _name(number: int) -> str:
    return f"archive-1-2026-01-01-00-00-00-{number:08x}-0000-0000-0000-000000000000.gz"


def _show(found: dict[str, list[Figures]]) -> None:
    table = Table(title=f"Planner: {OBJECTS_AN_HOUR:,} objects an hour, simulated listing")
    for heading in ("archive", "objects", "planned", "tasks", "CPU s", "µs an object", "peak MiB of RSS"):
        table.add_column(heading, justify="left" if heading == "archive" else "right")
    for name, figures in found.items():
        for one in figures:
            counts = (f"{one.objects:,}", f"{one.planned:,}", f"{one.tasks:,}")
            table.add_row(name, *counts, f"{one.cpu_s}", f"{one.cpu_s / one.objects * 1e6:.1f}", f"{one.peak_rss_mb}")
    Console().print(table)
