"""The memory measurement names its figures; the worker's memory does not grow with its input, however odd that is."""

import io
import itertools
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.compaction_contenders import ours, peak_bytes
from bench.compaction_inputs import MB, Layout, generate
from compaction import rowgroups, spill
from compaction.manifests import PlannedObject, Task
from compaction.writing import Writer
from sensors.settings import Decoding

ROOT = Path(__file__).parents[2]
AT_MS = 1_795_251_600_000
LONG = "\N{GRINNING FACE}" * 250
SCALE = 10  # by which what the worker holds at once is made smaller, so that little input is much


def test_its_figures_are_those_that_are_promised() -> None:
    command = [sys.executable, "-m", "bench", "memory", "--json", "--size", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    figures = json.loads(done.stdout)

    assert figures["setting_mb"] > 512
    assert [one["name"] for one in figures["series"]] == ["1x", "4x", "16x", "16x in one object", "4x, task after task"]
    assert [len(one["peak_rss_mb"]) for one in figures["series"]] == [1, 1, 1, 1, 10]
    assert min(figures["series"][0]["peak_rss_mb"]) > 0


@pytest.fixture(scope="module")
def growth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Megabytes that tasks add to a fresh process, by name of the input."""
    folder = tmp_path_factory.mktemp("inputs")
    for name, objects in (("3x", 3), ("12x", 12)):  # of less, what a process needs once is more than the rows
        generate(Layout(name, (5 * MB,) * objects), folder / name)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        names = ("3x", "12x", *ODD)
        return dict(zip(names, pool.starmap(grown_mb, [(name, folder) for name in names], chunksize=1), strict=True))


def test_memory_does_not_grow_with_the_input(growth: dict[str, float]) -> None:
    assert growth["12x"] < 1.5 * growth["3x"], growth


def test_no_input_is_odd_enough_to_fill_the_memory(growth: dict[str, float]) -> None:
    assert all(growth[name] < 200 for name in ODD), growth


def line_feeds() -> Iterator[bytes]:
    return itertools.repeat(b"\n" * MB, 100)


def metrics_named_by_their_type() -> Iterator[bytes]:
    return (reading(number, f'"sensor_type":"m{number}","value":1') for number in range(20_000))


def some_rows_that_are_a_thousand_times_as_long() -> Iterator[bytes]:
    wide = ",".join(f'"{LONG}{number}":1' for number in range(60))
    return (reading(number, wide if number % 50 == 0 else '"x":1') for number in range(15_000))


ODD = {
    odd.__name__: odd for odd in (line_feeds, metrics_named_by_their_type, some_rows_that_are_a_thousand_times_as_long)
}


def reading(number: int, fields: str) -> bytes:
    return f'{{"device_id":"a","timestamp":{AT_MS - number},{fields}}}\n'.encode()


def grown_mb(name: str, folder: Path) -> float:
    """What one task adds to the peak of this process; for the series with all that is held at once scaled down."""
    if name in ODD:
        writer = Writer(
            OneObject(ODD[name]()), "raw", "processed", Decoding(), ("x",), "day", 128 * MB, bloom_filter=False
        )
        task = Task("00000", (PlannedObject("odd", 1, "tag"),))
        before = peak_bytes()
        writer.write("run", task)
    else:
        spill.RUN_BYTES //= SCALE
        spill._BATCH_BYTES //= SCALE
        rowgroups.BYTES //= SCALE
        work = ours(folder / name, folder)
        before = peak_bytes()
        work()
    return (peak_bytes() - before) / MB


class Text(io.RawIOBase):
    """What is generated, as the body of an object."""

    def __init__(self, text: Iterator[bytes]) -> None:
        self._text = text
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size and (more := next(self._text, b"")):
            self._left += more
        taken, self._left = self._left[:size], self._left[size:]
        return taken


class OneObject:
    """An S3 client whose archive holds one object, and which forgets what is written."""

    def __init__(self, text: Iterator[bytes]) -> None:
        self._text = text

    def get_object(self, **_: str) -> dict[str, Any]:
        return {"Body": Text(self._text), "LastModified": datetime(2026, 11, 21, 10, tzinfo=UTC)}

    def put_object(self, **_: Any) -> None:
        pass
