"""The compaction measurement: it runs on a small hour and names its figures; the worker's memory does not grow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.compaction_inputs import Layout, generate, layouts

ROOT = Path(__file__).parents[2]


def test_its_figures_are_those_that_are_promised() -> None:
    command = [sys.executable, "-m", "bench", "compaction", "--json", "--size", "5", "--input", "skewed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    figures = json.loads(done.stdout)

    assert set(figures) == {"ratios", "peak_rss_mb", "mb_per_s_per_core", "inputs"}
    assert set(figures["ratios"]) == {"duckdb_copy_cpu", "duckdb_sort_dedupe_cpu", "polars_cpu", "floor_cpu"}
    assert figures["mb_per_s_per_core"] > 0
    assert {"ours", "duckdb_copy", "duckdb_sort_dedupe", "decompress", "floor"} <= set(figures["inputs"][0]["costs"])


def test_the_hour_is_cut_as_promised() -> None:
    large, small, skewed = layouts(1000)

    assert large.sizes == (5_000_000,) * 200
    assert small.sizes == (40_000,) * 5000
    assert skewed.sizes[0] == sum(skewed.sizes[1:]) == 500_000_000


@pytest.fixture(scope="module")
def peaks_mb(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Peak memory of the worker's process for objects that are sorted at once, and for one that is spilled."""
    sizes = {"some": (2_000_000,) * 4, "one": (60_000_000,)}
    peaks = {}
    for name, content in sizes.items():
        folder = tmp_path_factory.mktemp(name)
        generate(Layout(name, content), folder / "in")
        command = [sys.executable, "-m", "bench.compaction_contenders", "ours", str(folder / "in"), str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
        peaks[name] = json.loads(done.stdout)["peak_rss_mb"]
    return peaks


def test_memory_is_bounded_however_much_is_read(peaks_mb: dict[str, float]) -> None:
    assert max(peaks_mb.values()) < 400, peaks_mb
