"""Which readings a run changes: those of its range and no others; row by row."""

import pytest

from reprocessing.parsing import parse
from sensors.settings import Decoding
from tests.lake import AT, reading
from tests.lambdas.reprocessing.mended import DAY, MENDED, MIDNIGHT, asked, counts, hot, rows, sent, system
from tests.lambdas.reprocessing.system import METRICS, System

by_day_and_hour = pytest.mark.parametrize("partition_by", ["day", "hour"])


@by_day_and_hour
def test_a_range_that_ends_on_the_edges_of_partitions(partition_by: str) -> None:
    midnight = MIDNIGHT - AT
    made = system(sent("a", midnight - 1, midnight, midnight + DAY - 1, midnight + DAY), partition_by=partition_by)

    report = made.reprocess(asked(midnight, midnight + DAY))

    expected = [
        ("a", midnight - 1, 20.0),
        ("a", midnight, 2.0),
        ("a", midnight + DAY - 1, 2.0),
        ("a", midnight + DAY, 20.0),
    ]
    assert rows(made) == hot(made) == expected
    assert counts(report) == (2, 2, 2, 0, 0)


@by_day_and_hour
def test_a_range_that_ends_within_partitions(partition_by: str) -> None:
    made = system(sent("a", -1, 0, 4000, 4001), sent("b", 0, 4001), partition_by=partition_by)

    report = made.reprocess(asked(-0.5, 4001))

    expected = [("a", -1, 20.0), ("a", 0, 2.0), ("a", 4000, 2.0), ("a", 4001, 20.0), ("b", 0, 2.0), ("b", 4001, 20.0)]
    assert rows(made) == hot(made) == expected
    assert counts(report) == (3, 3, 3, 0, 0)


@pytest.mark.parametrize(
    ("devices", "cold"),
    [
        (("pump-1",), {"pump-1"}),
        (("pump-*",), {"pump-1", "pump-12"}),
        (("pump-?",), {"pump-1"}),
        (("[fn]an", "pump-12"), {"fan", "pump-12"}),
        (("nobody", "p"), set()),
    ],
)
def test_devices_by_name_or_glob(devices: tuple[str, ...], cold: set[str]) -> None:
    names = ("Pump-1", "fan", "pump-1", "pump-12")
    made = system(*[sent(name, 0) for name in names])

    report = made.reprocess(asked(0, 1, *devices))

    assert rows(made) == hot(made) == [(name, 0, 2.0 if name in cold else 20.0) for name in names]
    assert counts(report) == (len(cold), len(cold), len(cold), 0, 0)


def test_a_range_without_readings() -> None:
    made = system(sent("a", 0, 10))
    before = rows(made)

    between, beyond = made.reprocess(asked(1, 10)), made.reprocess(asked(11, 20))

    assert rows(made) == hot(made) == before == [("a", 0, 20.0), ("a", 10, 20.0)]
    assert [counts(report) for report in (between, beyond)] == [(0, 0, 0, 0, 0)] * 2
    assert beyond.snapshot_id is None


@pytest.mark.parametrize("source", ["archive", "quarantine"])
def test_the_widest_range_that_may_be_asked_for_by_the_widest_settings(source: str) -> None:
    ends = {"from": "1970-01-01T00:00:00+14:00", "to": "9997-12-31T23:59:59.999999-14:00"}
    words = {"source": source, "targets": ["table", "hot"], "mode": "apply", "note": "all there is"}
    made = system(sent("a", 0, 10))
    made.deploy(decoding=Decoding(late_after_h=8760, future_tolerance_s=86_400))

    report = made.reprocess(parse(ends | words, made.settings.reprocessing))

    cold = source == "archive"
    assert rows(made) == hot(made) == [("a", at, 2.0 if cold else 20.0) for at in (0, 10)]
    assert report.readings.changed == 2 * cold


STEPS = ("plan", "decode", "plan_merge", "merge")


@pytest.mark.parametrize("last", STEPS)
def test_a_compaction_that_commits_behind_a_step_keeps_its_rows(last: str) -> None:
    made = system(sent("a", 0, 1), sent("b", 0))
    run = made.execution(asked(0, 2))
    for step in STEPS:
        run.plan_merge(1) if step == "plan_merge" else getattr(run, step)()
        if step == last:
            newer, older = sent("a", 1, late_s=5, temperature=3.0), sent("b", 0, late_s=-5, temperature=7.0)
            made.arrive([*newer, *older, *sent("c", 1)])
            made.compact()

    run.commit()
    run.write_hot()
    report = run.report()

    once = [("a", 0, 2.0), ("a", 1, 3.0), ("b", 0, 2.0), ("c", 1, 2.0)]
    twice = [("a", 1, 2.0), ("b", 0, 7.0)] if STEPS.index(last) >= STEPS.index("plan_merge") else []
    assert rows(made) == sorted([*once, *twice])
    made.optimize()
    assert rows(made) == hot(made) == once
    assert report.readings.vanished == 0


def test_a_metric_that_was_declared_since_gets_its_column_in_the_range_alone() -> None:
    made = System(metrics=MENDED)
    made.arrive([reading("a", AT, vibration=1.5, flow=2.5), reading("a", AT + 1, vibration=1.75)])
    made.compact()
    made.deploy(METRICS)

    first, second = made.reprocess(asked(0, 1)), made.reprocess(asked(0, 1))

    assert [(row["vibration"], dict(row["other_metrics"] or ())) for row in made.lake.rows()] == [
        (1.5, {"flow": 2.5}),
        (None, {"vibration": 1.75}),
    ]
    assert [counts(report) for report in (first, second)] == [(1, 1, 0, 0, 0)] * 2  # what readings say is the same
