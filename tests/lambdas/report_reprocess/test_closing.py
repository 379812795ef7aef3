"""The end of a run: what its report says, and what is done besides, whatever comes in between."""

from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from compaction.errors import ResultMissing
from reprocessing.changes import MetricChange, Series
from reprocessing.errors import FewerReadings
from reprocessing.keys import (
    hot_key,
    ledger_key,
    mark_key,
    merge_plan_key,
    page_key,
    report_key,
)
from reprocessing.ledger import LedgerEntry
from reprocessing.merge_manifests import HotRefusal, HotResult, MergeTask
from reprocessing.report.contents import Alerts, Day, Device, Found, Hot, Readings, Records, Refusal, Report, Written
from sensors.settings import Decoding, Threshold
from tests.lake import AT, HOUR, Lake, reading
from tests.lambdas.report_reprocess.closing import Run, Topic, close, store
from tests.lambdas.reprocessing import decodes
from tests.lambdas.reprocessing.harness import request


def done_with_hot(run: Run, **counts: Any) -> None:
    """Leave a result of the one task for the hot table."""
    (line,) = run.lake.store.lines(merge_plan_key("run", run.merge_id)) or ()
    task = msgspec.json.decode(line, type=MergeTask)
    result = HotResult(task.task_id, None, **({"done": True} | counts))
    run.lake.store.write(hot_key("run", run.merge_id, task.task_id), msgspec.json.encode(result))


def object_keys(lake: Lake) -> set[str]:
    return set(lake.store.keys(""))


def test_a_report_says_what_an_applied_run_has_found_and_changed(memory_lake: Lake) -> None:
    store(memory_lake, [200.0, 210.0, 20.0], [20.0, 21.0, 2.0])
    run = Run(memory_lake)
    committed = run.run()

    report = close(run)

    assert (report.outcome, report.snapshot_id) == ("applied", committed.snapshot_id)
    assert report.executions == ("run",)
    assert report.duration_s == 450
    assert replace(report.found, bytes=0) == Found(1, 0, 0, 0, 0, 0, 0)
    assert report.records == Records(3, 3, 0, 0, 0, {}, 0, 0)
    assert report.records.balances
    assert report.readings == Readings(before=3, after=3, changed=3)
    assert report.days == (Day("2026-11-21", 3, 3, 3),)
    assert report.devices == (Device("pump-1", 3, 3, 3),)
    assert report.metrics == {"temperature": MetricChange(changed=3, largest=189.0)}
    assert report.series == (Series("pump-1", "temperature", 3),)
    assert (report.alarms_before.total, report.alarms_after.total, report.alarms_given) == (1, 0, None)
    assert report.written == Written(3, 3, 1, 1)


def test_the_report_the_page_and_the_line_in_the_ledger_are_written(memory_lake: Lake) -> None:
    store(memory_lake, [200.0], [20.0])
    run = Run(memory_lake, asked=request(by="kim"))
    run.run()

    report = close(run)

    lake_store = memory_lake.store
    assert msgspec.json.decode(lake_store.read(report_key("run")) or b"", type=Report) == report
    assert "Applied: of 1 reading, 1 changed." in (lake_store.read(page_key("run")) or b"").decode()
    entry = msgspec.json.decode(lake_store.read(ledger_key("run")) or b"", type=LedgerEntry)
    assert (entry.by, entry.note, entry.outcome) == ("kim", "a note", "applied")
    assert (entry.finished_at, entry.snapshot_id) == ("2026-11-21T12:07:30.000Z", report.snapshot_id)


def test_a_run_that_only_looks_says_what_would_change(memory_lake: Lake) -> None:
    store(memory_lake, [200.0], [20.0])
    run = Run(memory_lake, asked=request(mode="dry_run"))
    run.run()
    before = object_keys(memory_lake)

    report = close(run)

    assert (report.outcome, report.snapshot_id, report.readings.changed) == ("looked", None, 1)
    assert report.written == Written(1, 1, 1, 0)
    assert object_keys(memory_lake) - before == {report_key("run"), page_key("run"), ledger_key("run")}


def test_all_executions_that_have_carried_a_run_on_are_named_in_the_order_in_which_they_began(
    memory_lake: Lake,
) -> None:
    store(memory_lake, [200.0], [20.0])
    run = Run(memory_lake, "zeta", asked=request(fresh=False))
    run.plan()
    for name in ("beta", "alpha"):
        run.states.set(run.execution, "ABORTED")
        run = Run(memory_lake, name, asked=request(fresh=False, note="go on"), states=run.states)
        run.started_at = "2026-11-21T12:30:00.000Z" if name == "beta" else "2026-11-21T13:00:00.000Z"
        run.plan()
    run.decode()
    run.publish()

    assert run.run_id == "zeta"
    assert close(run).executions == ("zeta", "beta", "alpha")


def test_a_run_that_was_undone_before_its_report_stays_so(memory_lake: Lake) -> None:
    store(memory_lake, [20.0, 30.0], [200.0, 300.0])
    run, topic = Run(memory_lake, asked=request(alerts="send")), Topic()
    run.run()
    run.undo()

    report = close(run, topic)

    assert (report.outcome, topic.messages) == ("undone", [])
    entry = msgspec.json.decode(memory_lake.store.read(ledger_key("run")) or b"", type=LedgerEntry)
    assert (entry.outcome, entry.undone) == ("undone", report.taken_back)
    assert entry.undone is not None
    assert (entry.undone.by, entry.undone.note) == ("me", "a mistake")


def test_a_run_that_a_rollback_took_back_before_its_report_is_not_said_to_be_applied(memory_lake: Lake) -> None:
    store(memory_lake, [20.0, 30.0], [200.0, 300.0])
    before = memory_lake.table().metadata.current_snapshot_id or 0
    run, topic = Run(memory_lake, asked=request(alerts="send")), Topic()
    run.run()
    memory_lake.table().manage_snapshots().rollback_to_snapshot(before).commit()

    report = close(run, topic)

    assert (report.outcome, report.taken_back, topic.messages) == ("undone", None, [])
    entry = msgspec.json.decode(memory_lake.store.read(ledger_key("run")) or b"", type=LedgerEntry)
    assert (entry.outcome, entry.undone) == ("undone", None)
    page = (memory_lake.store.read(page_key("run")) or b"").decode()
    assert "It was taken back by a rollback of the table." in page


def test_a_run_whose_snapshot_has_expired_is_applied(memory_lake: Lake) -> None:
    store(memory_lake, [20.0], [200.0])
    run = Run(memory_lake)
    committed = run.run()
    memory_lake.put("later", [reading("pump-2")])
    memory_lake.run("later")
    memory_lake.table().maintenance.expire_snapshots().by_id(int(committed.snapshot_id or 0)).commit()

    assert close(run).outcome == "applied"


def test_readings_of_objects_beyond_the_hours_of_the_range_are_counted_and_the_objects_named(
    memory_lake: Lake,
) -> None:
    store(memory_lake, [200.0], [20.0])
    key = memory_lake.put("pump-2", [reading("pump-2"), reading("pump-2", AT + 1)], HOUR - timedelta(days=3))
    memory_lake.run("late")
    run = Run(memory_lake)
    run.run()

    found = close(run).found

    assert (found.outside, found.outside_objects, found.outside_readings) == (1, (key,), 2)


def test_what_the_hot_table_has_refused_is_named(memory_lake: Lake) -> None:
    store(memory_lake, [200.0], [20.0])
    run = Run(memory_lake, asked=request(targets=("table", "hot")))
    run.run()
    refusal = HotRefusal(("pump-1", AT * 1000), "Item size has exceeded the maximum allowed size")
    done_with_hot(run, written=4, newer=1, refused=1, refusals=(refusal,))

    report = close(run)

    assert report.hot == Hot(written=4, unchanged=0, newer=1, expired=0, refused=1, refusals=(refusal,))
    assert refusal.detail in (memory_lake.store.read(page_key("run")) or b"").decode()


def test_a_back_test_has_the_alarms_of_given_rules_beside_those_of_now(memory_lake: Lake) -> None:
    store(memory_lake, [150.0, 50.0, 150.0, 50.0])
    given = {"temperature": (Threshold("warning", above=40.0),)}
    run = Run(memory_lake, asked=request(mode="backtest", rules=given))
    run.run()

    report = close(run)

    assert report.alarms_after.total == 2
    assert report.alarms_given is not None
    assert [(alarm.severity, alarm.count) for alarm in report.alarms_given.listed] == [("warning", 4)]


def test_a_back_test_without_readings_has_no_alarm_by_the_given_rules_either(memory_lake: Lake) -> None:
    given = {"temperature": (Threshold("warning", above=40.0),)}
    run = Run(memory_lake, asked=request(mode="backtest", rules=given))
    run.run()

    report = close(run)

    assert report.alarms_given is not None
    assert (report.alarms_after.total, report.alarms_given.total) == (0, 0)
    page = (memory_lake.store.read(page_key("run")) or b"").decode()
    assert "Back-test: 0 alarms by the given rules, 0 by those of now." in page
    assert "No reading breaks a threshold, by the given rules or by those of now." in page


def test_a_refused_run_is_reported_with_the_causes(memory_lake: Lake) -> None:
    store(memory_lake, [20.0, 21.0])
    memory_lake.put("pump-1", [reading(at=AT, temperature=20.0), b"not json"])
    run = Run(memory_lake).prepare()
    with pytest.raises(FewerReadings) as refused:
        run.commit()

    report = close(run, refused=Refusal("FewerReadings", str(refused.value)))

    assert (report.outcome, report.snapshot_id, report.written) == ("refused", None, Written(0, 0, 0, 0))
    assert report.readings.vanished_by == {"quarantined: not_json": 1}
    page = (memory_lake.store.read(page_key("run")) or b"").decode()
    assert "Refused, nothing was published: of 2 readings, 1 would be lost." in page
    assert "quarantined: not_json" in page


def test_each_result_is_read_once_whatever_is_said_of_it(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    store(memory_lake, [20.0, 21.0], [20.0])  # a reading vanishes, and an object is beyond the hours of the range
    memory_lake.put("late", [reading("pump-2")], HOUR - timedelta(days=3))
    memory_lake.run("late")
    run = Run(memory_lake, asked=request(allow_fewer=True))
    run.run()
    read: Counter[str] = Counter()
    get_object = memory_lake.s3.get_object

    def counted(**wanted: Any) -> Any:
        read[wanted["Key"]] += 1
        return get_object(**wanted)

    monkeypatch.setattr(memory_lake.s3, "get_object", counted)
    report = close(run)

    assert (report.readings.vanished_by, report.found.outside) == ({"moved": 1}, 1)
    results = {key for key in memory_lake.store.keys("runs/reprocess/") if "/decoded/" in key or "/results/" in key}
    assert {key: read[key] for key in results} == dict.fromkeys(results, 1)


def test_a_run_that_has_not_been_committed_is_not_closed(memory_lake: Lake) -> None:
    store(memory_lake, [20.0])

    with pytest.raises(ResultMissing, match="has not got as far as the commit"):
        close(Run(memory_lake).prepare())

    assert memory_lake.store.read(report_key("run")) is None


def test_replayed_trouble_wakes_nobody_unless_that_is_asked_for(memory_lake: Lake) -> None:
    store(memory_lake, [20.0, 30.0], [200.0, 300.0])
    run, topic = Run(memory_lake), Topic()
    run.run()

    report = close(run, topic)

    assert (report.alerts, topic.messages) == (Alerts(compared=1, new=1, sent=0), [])


def test_what_was_no_alarm_before_is_sent_when_that_is_asked_for_and_what_was_is_not(memory_lake: Lake) -> None:
    store(memory_lake, [200.0, 20.0, 20.0, 30.0, 20.0], [220.0, 20.0, 120.0, 130.0, 20.0])
    run, topic = Run(memory_lake, asked=request(alerts="send")), Topic()
    run.run()

    report = close(run, topic)

    assert report.alerts == Alerts(compared=2, new=1, sent=1)
    assert topic.messages == [
        {
            "alert_id": topic.messages[0]["alert_id"],
            "system": "factory",
            "device_id": "pump-1",
            "metric": "temperature",
            "unit": "°C",
            "severity": "critical",
            "threshold": {"above": 100.0},
            "count": 2,
            "first_at": "2026-11-21T09:00:02.000Z",
            "last_at": "2026-11-21T09:00:03.000Z",
            "value": 130.0,
        }
    ]


def test_a_dry_run_sends_nothing(memory_lake: Lake) -> None:
    store(memory_lake, [20.0, 30.0], [200.0, 300.0])
    run, topic = Run(memory_lake, asked=request(mode="dry_run", alerts="send")), Topic()
    run.run()

    close(run, topic)

    assert topic.messages == []


def test_a_closed_run_is_left_as_it_is_but_its_range_is_given_back_again(memory_lake: Lake) -> None:
    store(memory_lake, [20.0, 30.0], [200.0, 300.0])
    run, topic, released = Run(memory_lake, asked=request(alerts="send")), Topic(), list[str]()
    run.run()
    report = close(run, topic)
    names = len(memory_lake.s3.effects.names)

    assert close(run, topic, release=lambda: released.append("range")) == report

    assert released == ["range"]
    assert len(topic.messages) == 1
    assert memory_lake.s3.effects.names[names:] == []


def test_whoever_finds_the_report_finds_all_else_done(memory_lake: Lake) -> None:
    store(memory_lake, [200.0], [20.0])
    run = Run(memory_lake)
    run.run()
    seen: list[bool] = []
    close(run, release=lambda: seen.append(memory_lake.store.read(report_key("run")) is not None))

    assert seen == [False]
    assert memory_lake.s3.effects.names[-1] == f"put {report_key('run')}"


def test_files_that_are_gone_cost_the_charts_and_nothing_else(memory_lake: Lake) -> None:
    store(memory_lake, [200.0], [20.0])
    run = Run(memory_lake)
    run.run()
    for key in list(memory_lake.store.keys("staging/")):
        memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=key)

    assert close(run).readings.changed == 1

    assert "There are no charts of series" in (memory_lake.store.read(page_key("run")) or b"").decode()


@pytest.mark.parametrize(("mode", "marked"), [("apply", True), ("dry_run", False)])
def test_lines_of_the_stream_are_marked_when_all_is_done_and_by_a_run_that_applies_its_changes(
    memory_lake: Lake, mode: str, marked: bool
) -> None:
    store(memory_lake, [20.0])
    payload = {"device_id": "pump-1", "timestamp": AT + 3600, "temperature": 1.0}
    line = decodes.line("timestamp_in_future", "stream", "shardId-0:49", payload)
    key = decodes.put_quarantine(memory_lake, "streamed", line)
    asked = request(mode=mode, source="quarantine", targets=("table", "hot"))
    run = Run(memory_lake, asked=asked, decoding=Decoding(future_tolerance_s=7200))
    run.run()
    assert memory_lake.store.read(mark_key(key, "run")) is None
    run.write_hot()

    report = close(run)

    assert (report.records.stored, report.records.for_hot) == (1, 1)
    assert memory_lake.store.read(mark_key(key, "run")) == (b'"shardId-0:49"\n' if marked else None)


def test_lines_of_the_stream_that_the_hot_table_refuses_are_not_marked(memory_lake: Lake) -> None:
    store(memory_lake, [20.0])
    line = decodes.line("timestamp_in_future", "stream", "shardId-0:49", reading(at=AT + 3600))
    key = decodes.put_quarantine(memory_lake, "streamed", line)
    asked = request(source="quarantine", targets=("hot",))
    run = Run(memory_lake, asked=asked, decoding=Decoding(future_tolerance_s=7200))
    run.run()
    done_with_hot(run, refused=1)

    close(run)

    assert memory_lake.store.read(mark_key(key, "run")) is None


@pytest.mark.parametrize("counts", [None, {"done": False, "written": 3}])
def test_a_run_that_is_not_done_with_the_hot_table_is_not_closed(
    memory_lake: Lake, counts: dict[str, Any] | None
) -> None:
    store(memory_lake, [200.0], [20.0])
    run = Run(memory_lake, asked=request(targets=("table", "hot")))
    run.run()
    if counts is not None:
        done_with_hot(run, **counts)

    with pytest.raises(ResultMissing, match=r"The hot table's part of run run .*task"):
        close(run)

    assert memory_lake.store.read(report_key("run")) is None
