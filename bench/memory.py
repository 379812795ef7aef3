"""Peak memory of the compaction worker for inputs of growing size, and of one process that does task after task."""

import argparse
import multiprocessing
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench.compaction_contenders import ours, peak_bytes
from bench.compaction_inputs import MB, Layout, generate
from config.settings import load

SUMMARY: Final = "Peak memory of write_parquet on 1x, 4x and 16x the input, on one object, and task after task."
TASKS: Final = 10


class Peak(msgspec.Struct, frozen=True):
    """One input in a process of its own: megabytes of JSON uncompressed, and the peak after each task."""

    name: str
    objects: int
    mb: float
    peak_rss_mb: tuple[float, ...]


class Figures(msgspec.Struct, frozen=True):
    """The series, and the memory that the function has by default."""

    setting_mb: int
    series: tuple[Peak, ...]


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--size", type=int, default=64, metavar="MB", help="megabytes of JSON of the first input (64)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the figures."""
    memory_mb = load("local", {}).compaction.worker_memory_mb
    figures = Figures(memory_mb, tuple(measure(layout, tasks) for layout, tasks in inputs(arguments.size)))
    if arguments.json:
        print(msgspec.json.encode(figures).decode())
    else:
        _show(figures)


def inputs(size_mb: int) -> tuple[tuple[Layout, int], ...]:
    """Once, four and sixteen times the size in objects of 4 MB, the last also in one object; and task after task."""
    once, four, sixteen = ((4 * MB,) * max(size_mb * times // 4, 1) for times in (1, 4, 16))
    return (
        (Layout("1x", once), 1),
        (Layout("4x", four), 1),
        (Layout("16x", sixteen), 1),
        (Layout("16x in one object", (size_mb * 16 * MB,)), 1),
        (Layout("4x, task after task", four), TASKS),
    )


def measure(layout: Layout, tasks: int) -> Peak:
    """Do a number of tasks on one input in a fresh process."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        source, out = Path(folder) / "in", Path(folder) / "out"
        out.mkdir()
        total = generate(layout, source)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks = pool.apply(_work, (source, out, tasks))
    return Peak(layout.name, len(layout.sizes), round(total / MB, 1), tuple(peaks))


def _work(source: Path, out: Path, tasks: int) -> list[float]:
    work = ours(source, out)
    peaks = []
    for _ in range(tasks):
        work()
        peaks.append(round(peak_bytes() / MB, 1))
    return peaks


def _show(figures: Figures) -> None:
    table = Table(title=f"Peak memory of write_parquet, which has {figures.setting_mb:,} MB")
    for heading in ("input", "objects", "MB of JSON", "peak MB"):
        table.add_column(heading, justify="left" if heading == "input" else "right")
    for one in figures.series:
        peaks = [f"{peak:,.0f}" for peak in one.peak_rss_mb]
        table.add_row(one.name, f"{one.objects:,}", f"{one.mb:,.0f}", " to ".join(dict.fromkeys((peaks[0], peaks[-1]))))
    Console().print(table)
