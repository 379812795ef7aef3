"""The planner's measurement: it runs, names its figures, and memory does not grow with the archive."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FEW, MANY = 100_000, 160_000


@pytest.fixture(scope="module")
def figures() -> dict[str, list[dict[str, Any]]]:
    command = [sys.executable, "-m", "bench", "planner", "--json", "--objects", str(FEW), str(MANY)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def test_what_is_not_in_the_ledger_is_planned(figures: dict[str, list[dict[str, Any]]]) -> None:
    assert {name: [one["planned"] for one in found] for name, found in figures.items()} == {
        "new": [FEW, MANY],
        "half in the ledger": [FEW // 2, MANY // 2],
    }
    assert all(set(one) == {"objects", "planned", "tasks", "cpu_s", "peak_rss_mb"} for one in figures["new"])


def test_memory_does_not_grow_with_the_archive(figures: dict[str, list[dict[str, Any]]]) -> None:
    for few, many in figures.values():
        assert many["peak_rss_mb"] - few["peak_rss_mb"] < 12, "60,000 more objects would take 25 MB"
