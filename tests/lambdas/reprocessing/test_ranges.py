"""Which readings a run changes: those of its range, wherever they came from, and no others; row by row.

A sensor was read as ten times as warm; that is mended, and a range reprocessed. So rows are cold where the run came.
"""

import json
from datetime import timedelta
from typing import Any

import pytest

from reprocessing.report import Report
from reprocessing.request import Request, Scope
from sensors.settings import Limits, Metric
from tests.glacier import glacier_lake
from tests.lake import AT, HOUR, Lake, reading
from tests.lambdas.reprocessing.harness import request
from tests.lambdas.reprocessing.system import METRICS, System, ms, quarantined

FAULTY = {"temperature": Metric("°C", scale=10.0)}
MENDED = {"temperature": Metric("°C")}
MIDNIGHT = AT - 9 * 3600
DAY = 86_400

Rows = list[tuple[str, int, float]]
"""Device, seconds since AT, temperature."""


def system(*sent: list[dict[str, Any]], partition_by: str = "day", lake: Lake | None = None) -> System:
    """A system that has stored these objects by the fault, and was mended since."""
    made = System(partition_by, FAULTY, lake)
    for records in sent:
        made.arrive(records)
    made.compact()
    made.deploy(MENDED)
    return made


def sent(device: str, *after_s: int, late_s: int = 0, temperature: float = 2.0) -> list[dict[str, Any]]:
    """A reading of a device at each of these seconds since AT."""
    return [reading(device, AT + at, temperature=temperature, received_at=(AT + at + late_s) * 1000) for at in after_s]


def asked(start_s: float, end_s: float, *devices: str, **changes: Any) -> Request:
    """A request for seconds since AT."""
    scope = Scope(int((AT + start_s) * 1000), int((AT + end_s) * 1000), devices)
    return request(scope, **{"targets": ("table", "hot")} | changes)


def rows(made: System) -> Rows:
    """What the table holds, every row of it."""
    return sorted(
        (row["device_id"], ms(row["measured_at"]) // 1000 - AT, row["temperature"]) for row in made.lake.rows()
    )


def hot(made: System) -> Rows:
    """What the hot table holds."""
    return sorted(
        (device, int(at) - AT, float(item["temperature"]["N"])) for (device, at), item in made.hot_table.items.items()
    )


def counts(report: Report) -> tuple[int, int, int, int, int]:
    """Readings before and after, those that changed, that were added, that vanished."""
    found = report.readings
    return found.before, found.after, found.changed, found.added, found.vanished


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


def test_objects_in_glacier_are_restored_and_those_of_a_dry_run_are_left() -> None:
    made = system(sent("a", 0), sent("b", 0), sent("c", 0), lake=glacier_lake())
    keys = sorted(made.lake.s3.buckets[made.lake.raw])
    made.lake.s3.freeze(keys[0])
    made.lake.s3.freeze(keys[1], "DEEP_ARCHIVE")

    look = made.reprocess(asked(0, 1, mode="dry_run"))

    assert rows(made) == hot(made) == [("a", 0, 20.0), ("b", 0, 20.0), ("c", 0, 20.0)]
    assert (look.found.objects, look.found.frozen, counts(look)) == (3, 2, (3, 3, 1, 0, 0))
    assert made.lake.s3.requests == []

    report = made.reprocess(asked(0, 1))

    assert rows(made) == hot(made) == [("a", 0, 2.0), ("b", 0, 2.0), ("c", 0, 2.0)]
    assert (report.found.frozen, counts(report)) == (2, (3, 3, 3, 0, 0))
    assert [key for key, _ in made.lake.s3.requests] == keys[:2]


def test_readings_that_arrived_outside_the_hours_of_the_range_are_changed_too() -> None:
    late, very_late = HOUR + timedelta(days=3), HOUR + timedelta(days=40)
    made = system(sent("a", 0))
    made.deploy(FAULTY)
    for hour in (late, very_late):
        days = (hour - HOUR).days
        made.arrive([*sent("a", days, late_s=days * DAY), *sent("b", 9000 + days, late_s=days * DAY)], hour)
    made.compact_until(very_late)
    made.deploy(MENDED)

    report = made.reprocess(asked(0, 3600))

    cold = [("a", 0, 2.0), ("a", 3, 2.0), ("a", 40, 2.0)]
    assert rows(made) == [*cold, ("b", 9003, 20.0), ("b", 9040, 20.0)]
    assert (report.found.objects, report.found.outside, counts(report)) == (3, 2, (3, 3, 3, 0, 0))


def test_objects_that_wait_for_compaction_are_stored_by_it_alone_and_by_the_hot_table_at_once() -> None:
    made = system(sent("a", 0))
    made.deploy(FAULTY)
    made.arrive(sent("a", 1))  # its hour is not compacted again yet
    made.deploy(MENDED)

    report = made.reprocess(asked(0, 2))

    assert rows(made) == [("a", 0, 2.0)]
    assert hot(made) == [("a", 0, 2.0), ("a", 1, 2.0)]
    assert (report.found.waiting, counts(report)) == (1, (1, 1, 1, 0, 0))
    made.compact()
    assert rows(made) == [("a", 0, 2.0), ("a", 1, 2.0)]


def test_what_waits_for_compaction_is_no_news_to_a_run_for_the_hot_table_alone() -> None:
    made = System(metrics=METRICS)
    made.arrive(sent("a", 0, temperature=2.0))
    made.compact()
    made.arrive([*sent("a", 1, temperature=3.0), *sent("b", 1, temperature=3.0)])  # alarms, and alerts at that time
    before = hot(made)
    run = made.execution(asked(0, 2, targets=("hot",), alerts="send"))

    report = run.whole()

    assert hot(made) == before == [("a", 0, 2.0), ("a", 1, 3.0), ("b", 1, 3.0)]
    assert (report.found.waiting, counts(report), report.alerts.new) == (1, (1, 1, 0, 0, 0), 0)
    assert run.topic.messages == []


def test_objects_that_are_gone_stop_a_run_that_is_not_told_otherwise() -> None:
    made = system(sent("a", 0), sent("b", 0))
    gone = sorted(made.lake.s3.buckets[made.lake.raw])[0]
    made.lake.s3.delete_object(Bucket=made.lake.raw, Key=gone)

    refused = made.reprocess(asked(0, 1))

    assert rows(made) == hot(made) == [("a", 0, 20.0), ("b", 0, 20.0)]
    assert (refused.outcome, refused.snapshot_id, counts(refused)) == ("refused", None, (2, 1, 1, 0, 1))
    assert refused.readings.vanished_by == {"not found": 1}
    assert refused.found.missing_objects == (gone,)
    assert refused.refused is not None
    assert (refused.refused.error, "1 not found" in refused.refused.cause) == ("FewerReadings", True)

    report = made.reprocess(asked(0, 1, allow_fewer=True))

    assert rows(made) == [("b", 0, 2.0)]
    assert hot(made) == [("a", 0, 20.0), ("b", 0, 2.0)]  # it holds what was written until that expires
    assert (report.outcome, report.readings.vanished_by) == ("applied", {"not found": 1})


def test_readings_that_are_rejected_now_stop_a_run_that_is_not_told_otherwise() -> None:
    made = system(sent("a", 0), [*sent("b", 200, late_s=-200), *sent("b", 1)])
    made.deploy(limits=Limits(future_tolerance_s=60))

    refused = made.reprocess(asked(0, 300))

    assert rows(made) == [("a", 0, 20.0), ("b", 1, 20.0), ("b", 200, 20.0)]
    assert quarantined(made.lake) == set()
    assert (refused.outcome, refused.readings.vanished_by) == ("refused", {"quarantined: timestamp_in_future": 1})

    report = made.reprocess(asked(0, 300, allow_fewer=True))

    assert rows(made) == [("a", 0, 2.0), ("b", 1, 2.0)]
    assert [reason for _, reason in quarantined(made.lake)] == ["timestamp_in_future"]
    assert (report.outcome, counts(report)) == ("applied", (3, 2, 2, 0, 1))
    assert report.records.by_reason == {"timestamp_in_future": 1}


def test_readings_whose_times_are_read_otherwise_now() -> None:
    """As if a decoder had read the time of its devices wrongly: one moves within the range, one out of it."""
    made = system([*sent("a", 0), *sent("a", 10), *sent("a", 20)])
    key = sorted(made.lake.s3.buckets[made.lake.raw])[0]
    made.lake.put(key.rpartition("/")[2].removesuffix(".gz"), [*sent("a", 0), *sent("a", 11), *sent("a", 90)])

    refused = made.reprocess(asked(0, 60))

    assert rows(made) == [("a", 0, 20.0), ("a", 10, 20.0), ("a", 20, 20.0)]
    assert (refused.outcome, counts(refused)) == ("refused", (3, 2, 1, 1, 2))
    assert refused.readings.vanished_by == {"moved": 2}

    within = made.reprocess(asked(0, 91))

    assert rows(made) == [("a", 0, 2.0), ("a", 11, 2.0), ("a", 90, 2.0)]
    assert (within.outcome, counts(within)) == ("applied", (3, 3, 1, 2, 2))


def test_the_failed_tasks_of_a_run() -> None:
    made = system(sent("a", 0), sent("b", 0), sent("c", 9000))
    failed, other, outside = sorted(made.lake.s3.buckets[made.lake.raw])
    made.deploy(FAULTY)
    waiting = made.arrive(sent("d", 0))
    made.deploy(MENDED)
    task = {"task_id": "0", "objects": [{"key": key, "bytes": 1, "etag": ""} for key in (failed, outside, waiting)]}
    child = {"Input": json.dumps({"run_id": "r", "task": task})}
    made.lake.store.write("runs/compact/it/map/1/FAILED_0.json", json.dumps([child]).encode())

    report = made.reprocess(asked(0, 1, failed_tasks_of="it"))

    assert rows(made) == [("a", 0, 2.0), ("b", 0, 20.0), ("c", 9000, 20.0)]
    assert hot(made) == [("a", 0, 2.0), ("b", 0, 20.0), ("c", 9000, 20.0), ("d", 0, 2.0)]
    assert (report.found.objects, report.found.waiting) == (3, 1)
    assert other not in {row["source_object"] for row in made.lake.rows() if row["temperature"] == 2.0}
