"""The compaction measurement: it runs on a small hour and names its figures."""

import json
import subprocess
import sys
from pathlib import Path

from bench.compaction_inputs import layouts

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
