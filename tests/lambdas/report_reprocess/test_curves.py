"""Series read back for a chart, from the files that a merge took its rows from."""

import pytest

from reprocessing.changes import Series
from reprocessing.keys import merge_plan_key
from reprocessing.merge_manifests import MergeTask
from reprocessing.report import curves
from reprocessing.report.charts import Band
from reprocessing.report.curves import BUCKETS, Curve, Curves, Reader
from reprocessing.request import Scope
from tests.lake import AT, Lake, reading
from tests.lambdas.report_reprocess.closing import Run, store
from tests.lambdas.reprocessing.harness import Reprocessing

SPIKE = Series("pump-1", "temperature", 1)
HUMID = Series("pump-1", "humidity", 1)


def read(run: Reprocessing, *series: Series, scope: Scope | None = None) -> Curves:
    tasks: list[MergeTask] = run._lines(merge_plan_key(run.run_id, run.merge_id), MergeTask)
    reader = Reader(run.lake.s3, run.lake.processed, run.lake.partition_by)
    return reader.read(tasks, scope or Scope(AT * 1000, (AT + BUCKETS * 10) * 1000), series)


def seen(curve: Curve) -> tuple[dict[int, Band], dict[int, Band]]:
    before, after = (
        {number: band for number, band in enumerate(side) if band is not None} for side in (curve.before, curve.after)
    )
    return before, after


def test_each_bucket_has_its_smallest_and_largest_value_before_and_after(memory_lake: Lake) -> None:
    store(memory_lake, [20.0] * 15 + [95.0] + [20.0] * 4, [2.0] * 15 + [9.5] + [2.0] * 4)
    run = Run(memory_lake).prepare()

    before, after = seen(read(run, SPIKE).curves[0])

    assert before == {0: (20.0, 20.0), 1: (20.0, 95.0)}
    assert after == {0: (2.0, 2.0), 1: (2.0, 9.5)}


def test_a_metric_without_a_column_of_its_own_is_drawn_and_other_devices_are_not(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading(humidity=40.0), reading("pump-2", humidity=90.0)])
    memory_lake.run("compaction")
    run = Run(memory_lake).prepare()

    humid, missing = read(run, HUMID, SPIKE).curves

    assert seen(humid) == ({0: (40.0, 40.0)}, {0: (40.0, 40.0)})
    assert (humid.span, missing.span) == ((40.0, 40.0), None)


def test_duplicates_are_drawn_as_the_merge_leaves_them(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading(temperature=20.0), reading(temperature=90.0, received_at=AT * 1000 - 5)])
    run = Run(memory_lake)
    memory_lake.run("compaction")
    run.prepare()

    assert seen(read(run, SPIKE).curves[0]) == ({0: (20.0, 20.0)}, {0: (20.0, 20.0)})


def test_only_the_bounds_that_were_asked_for_are_drawn(memory_lake: Lake) -> None:
    store(memory_lake, [20.0, 30.0, 40.0])
    run = Run(memory_lake).prepare()

    found = read(run, SPIKE, scope=Scope(AT * 1000 + 1000, AT * 1000 + 2000)).curves[0]

    assert found.span == (30.0, 30.0)


def test_a_chart_that_would_need_too_many_files_ends_early_and_says_so(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(memory_lake, [20.0])
    run = Run(memory_lake).prepare()
    monkeypatch.setattr(curves, "FILES", 1)

    found = read(run, SPIKE)

    assert found.curves[0].span is None
    assert "end early" in found.but
