"""CPU and memory of the compaction worker beside DuckDB, Polars and the floor, on the same generated hour."""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench.compaction_contenders import CONTENDERS, Cost
from bench.compaction_inputs import MB, Layout, generate, layouts

SUMMARY: Final = "CPU and peak memory of write_parquet, of DuckDB, of Polars, and of merely parsing."
ROOT: Final = Path(__file__).parents[1]


class Input(msgspec.Struct):
    """One cut of the hour: megabytes of JSON uncompressed, and what each contender took for it."""

    name: str
    objects: int
    mb: float
    costs: dict[str, Cost]


class Ratios(msgspec.Struct):
    """Our CPU seconds divided by each contender's; None for one that is not installed."""

    duckdb_copy_cpu: float | None
    duckdb_sort_dedupe_cpu: float | None
    polars_cpu: float | None
    floor_cpu: float | None


class Figures(msgspec.Struct):
    """The result over all inputs: CPU seconds are summed, of the peaks the highest counts."""

    ratios: Ratios
    peak_rss_mb: float
    mb_per_s_per_core: float
    inputs: list[Input]


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--size", type=int, default=1000, metavar="MB", help="megabytes of JSON of each input, uncompressed (1000)"
    )
    parser.add_argument("--input", choices=[layout.name for layout in layouts(1)], help="one input only")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the figures."""
    wanted = [layout for layout in layouts(arguments.size) if arguments.input in {None, layout.name}]
    figures = summarize([measure(layout) for layout in wanted])
    if arguments.json:
        print(msgspec.json.encode(figures).decode())
    else:
        _show(figures)


def measure(layout: Layout) -> Input:
    """Run every contender on one input, each as a process of its own on the same core."""
    with tempfile.TemporaryDirectory(prefix="bench-compaction-") as folder:
        source = Path(folder) / "in"
        total = generate(layout, source)
        installed = [name for name in CONTENDERS if name != "polars" or importlib.util.find_spec("polars")]
        costs = {name: _cost(name, source, Path(folder) / name) for name in installed}
    return Input(layout.name, len(layout.sizes), round(total / MB, 1), costs)


def _cost(name: str, source: Path, out: Path) -> Cost:
    out.mkdir()
    command = [sys.executable, "-m", "bench.compaction_contenders", name, str(source), str(out)]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    core = min(os.sched_getaffinity(0))
    pin = lambda: os.sched_setaffinity(0, {core})  # noqa: E731 - runs in the child, before it starts any thread
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, preexec_fn=pin)
    return msgspec.json.decode(done.stdout, type=Cost)


def summarize(inputs: list[Input]) -> Figures:
    """The figures over all inputs."""
    spent = {name: sum(one.costs[name].cpu_s for one in inputs) for name in inputs[0].costs}
    return Figures(
        ratios=Ratios(
            **{f"{name}_cpu": _ratio(spent, name) for name in ("duckdb_copy", "duckdb_sort_dedupe", "polars", "floor")}
        ),
        peak_rss_mb=max(one.costs["ours"].peak_rss_mb for one in inputs),
        mb_per_s_per_core=round(sum(one.mb for one in inputs) / spent["ours"], 1),
        inputs=inputs,
    )


def _ratio(spent: dict[str, float], name: str) -> float | None:
    return round(spent["ours"] / spent[name], 2) if name in spent else None


def _show(figures: Figures) -> None:
    table = Table(title="Compaction: CPU seconds (and peak megabytes), each contender alone on one core")
    table.add_column("contender")
    for one in figures.inputs:
        table.add_column(f"{one.name}: {one.objects:,} objects, {one.mb:,.0f} MB", justify="right")
    table.add_column("ours is", justify="right")
    spent = {name: sum(one.costs[name].cpu_s for one in figures.inputs) for name in figures.inputs[0].costs}
    for name in spent:
        cells = [f"{one.costs[name].cpu_s:,.2f} ({one.costs[name].peak_rss_mb:,.0f})" for one in figures.inputs]
        table.add_row(name, *cells, f"{_ratio(spent, name):,.2f}x")
    console = Console()
    console.print(table)
    console.print(f"{figures.mb_per_s_per_core:,.0f} MB of JSON a second and core")
