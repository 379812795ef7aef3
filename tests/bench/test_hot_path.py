"""The hot-path measurement: it runs, names its figures, and the calls it counts stay within the mark."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    command = [sys.executable, "-m", "bench", "hot-path", "--json", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


def test_its_figures_are_those_that_are_promised(figures):
    assert set(figures) == {"plain_us", "ours_us", "floor_us", "speedup", "floor_ratio", "calls_per_1000"}
    assert all(value > 0 for value in figures.values())


def test_500_readings_take_at_most_21_calls(figures):
    assert 40 <= figures["calls_per_1000"] <= 42
