"""Whatever has become of the objects that the readings of a range came from: what a run makes of these, row by row."""

import json
from datetime import timedelta

from sensors.settings import Decoding
from tests.glacier import glacier_lake
from tests.lake import HOUR
from tests.lambdas.reprocessing.mended import DAY, FAULTY, MENDED, asked, counts, hot, rows, sent, system
from tests.lambdas.reprocessing.system import METRICS, System, quarantined


def test_objects_in_glacier_are_restored_and_those_of_a_dry_run_are_left() -> None:
    made = system(sent("a", 0), sent("b", 0), sent("c", 0), lake=glacier_lake())
    keys = sorted(made.lake.s3.buckets[made.lake.raw])
    made.lake.s3.freeze(made.lake.raw, keys[0])
    made.lake.s3.freeze(made.lake.raw, keys[1], "DEEP_ARCHIVE")

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
    made.deploy(decoding=Decoding(future_tolerance_s=60))

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
