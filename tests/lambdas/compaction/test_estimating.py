"""Estimates of a dry run."""

import pytest

from compaction import prices
from compaction.estimating import Yield, estimate, yield_of
from compaction.planning import Size
from compaction.runs import RunSnapshot, committed
from tests.lake import AT, Lake, reading


def snapshot(run_id: str, **properties: str) -> RunSnapshot:
    return RunSnapshot(run_id, 1, properties)


def test_a_run_is_estimated_by_what_the_last_run_made_of_its_bytes(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading(at=AT + number) for number in range(100)])
    memory_lake.put("b", [reading(at=AT + number - 86_400) for number in range(100)])
    report = memory_lake.run("one")
    memory_lake.put("c", [b"garbage"])
    memory_lake.run("two")
    assert report is not None

    expected = yield_of(committed(memory_lake.glue, memory_lake.s3, ""))

    assert estimate(Size(3, 9, report.archive_bytes * 5), expected, 1024) | {"cost_usd": 0} == {
        "rows": 1000,
        "files": 6,
        "cost_usd": 0,
    }


def test_before_there_is_a_run_the_usual_is_assumed() -> None:
    assert yield_of([]) == Yield()
    assert estimate(Size(1, 1, 2_700), Yield(), 1024)["rows"] == 100


def test_part_of_a_file_is_a_file() -> None:
    assert estimate(Size(tasks=1, objects=1, bytes=100), Yield(files_a_task=1.2), 1024)["files"] == 2


def test_an_estimate_of_nothing_is_nothing() -> None:
    assert estimate(Size(), Yield(), 1024) == {"rows": 0, "files": 0, "cost_usd": 0.0}


def test_the_cost_is_that_of_memory_over_time_and_of_requests() -> None:
    """A terabyte of compressed archive in 5 MB objects, worked off at 2 MB/s in 3 GB."""
    size = Size(tasks=15_625, objects=200_000, bytes=10**12)
    cost = estimate(size, Yield(), 3072)["cost_usd"]

    memory = 10**12 / 2_000_000 * 3 * prices.LAMBDA_GB_S
    assert memory == pytest.approx(20.0, abs=0.1)
    assert cost - memory == pytest.approx(
        200_000 * prices.S3_GET + 3 * 15_625 * prices.S3_PUT_OR_LIST + 2 * 15_625 * prices.STATE_TRANSITION, rel=0.1
    )
