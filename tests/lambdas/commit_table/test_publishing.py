"""The commit, and whole runs, on the embedded AWS."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.transforms import DayTransform, HourTransform

from commit_table import handler
from compaction import errors
from compaction.lake_table import LakeTable
from compaction.manifests import TaskResult, report_key, result_key
from compaction.store import Store
from tests.lake import AT, Lake, reading

DAY = 86_400


def snapshots(lake: Lake) -> int:
    return len(lake.table().metadata.snapshots)


def prepared(lake: Lake, run_id: str = "run") -> None:
    lake.put("a", [reading(), reading(), reading(at=AT + 1), b"garbage"])
    lake.plan(run_id)
    lake.write(run_id)


def change_result(lake: Lake, change: Callable[[dict[str, Any]], None]) -> None:
    key = result_key("run", "00000")
    result: dict[str, Any] = msgspec.json.decode(lake.store.read(key) or b"")
    change(result)
    lake.store.write(key, msgspec.json.encode(result))


def test_a_run_becomes_one_snapshot_with_its_counts(lake: Lake) -> None:
    lake.put("a", [reading(), reading(), b"garbage", reading("pump-2", at=AT - DAY)])
    report = lake.run("run")

    assert report is not None
    assert (report.records, report.stored, report.duplicate, report.quarantined) == (4, 2, 1, 1)
    assert (report.committed, report.files, report.quarantined_by_reason) == (True, 2, {"not_json": 1})
    snapshot = lake.table().current_snapshot()
    assert snapshot is not None
    assert str(snapshot.snapshot_id) == report.snapshot_id
    assert snapshot.summary is not None
    properties = snapshot.summary.additional_properties
    assert {name: value for name, value in properties.items() if name.startswith("sensorkeep.")} == {
        "sensorkeep.run-id": "run",
        "sensorkeep.settled-until": "2026-11-21T12:00:00+00:00",
        "sensorkeep.tasks": "1",
        "sensorkeep.objects": "1",
        "sensorkeep.archive-bytes": str(report.archive_bytes),
        "sensorkeep.records": "4",
        "sensorkeep.stored": "2",
        "sensorkeep.duplicate": "1",
        "sensorkeep.quarantined": "1",
    }
    assert [row["device_id"] for row in lake.rows()] == ["pump-1", "pump-2"]


def test_the_table_is_partitioned_and_sorted_as_the_settings_say(lake: Lake) -> None:
    prepared(lake)
    lake.commit("run")

    table = lake.table()
    assert [field.transform for field in table.spec().fields] == [DayTransform()]
    names = [table.schema().find_column_name(field.source_id) for field in table.sort_order().fields]
    assert names == ["device_id", "measured_at"]
    assert table.location() == f"s3://{lake.processed}/warehouse/readings"


def test_the_table_knows_the_devices_of_a_file_by_their_whole_names(lake: Lake) -> None:
    lake.put("a", [reading(f"manufacturing-hall-3-press-{number}") for number in (4, 5)])
    lake.run("run")

    (found,) = lake.table().inspect.files().to_pylist()

    bounds = found["readable_metrics"]["device_id"]
    assert bounds["lower_bound"] == "manufacturing-hall-3-press-4"
    assert bounds["upper_bound"] == "manufacturing-hall-3-press-5"


def test_a_reader_that_shares_no_code_with_the_writer_reads_the_same(lake: Lake, tmp_path: Path) -> None:
    prepared(lake)
    lake.commit("run")
    (path,) = [task.file.file_path for task in lake.table().scan().plan_files()]
    local = tmp_path / "file.parquet"
    local.write_bytes(lake.store.read(path.removeprefix(f"s3://{lake.processed}/")) or b"")

    with duckdb.connect() as database:
        rows = database.execute(
            f"SELECT device_id, epoch_ms(measured_at), temperature FROM read_parquet('{local}')"  # noqa: S608 - a path of the test's own
        ).fetchall()

    assert rows == [("pump-1", AT * 1000, 20.5), ("pump-1", AT * 1000 + 1000, 20.5)]


def test_each_step_may_run_twice_and_the_table_is_the_same(lake: Lake) -> None:
    lake.put("a", [reading(), b"x", reading(at=AT + 1)])
    for _ in range(2):
        lake.plan("run")
    for _ in range(2):
        lake.write("run")
    reports = [lake.commit("run") for _ in range(2)]

    assert reports[0] == reports[1]
    assert (len(lake.rows()), snapshots(lake)) == (2, 1)


def test_a_second_run_over_the_same_archive_changes_nothing(lake: Lake) -> None:
    prepared(lake)
    lake.commit("run")

    assert lake.run("again") is None
    assert (len(lake.rows()), snapshots(lake)) == (2, 1)


def test_runs_add_up(lake: Lake) -> None:
    lake.put("a", [reading()])
    lake.run("first")
    lake.put("b", [reading("pump-2")])
    lake.run("second")

    assert [row["device_id"] for row in lake.rows()] == ["pump-1", "pump-2"]


def test_after_a_crash_between_snapshot_and_report_the_commit_only_writes_the_report(lake: Lake) -> None:
    prepared(lake)
    report = lake.commit("run")
    lake.s3.delete_object(Bucket=lake.processed, Key=report_key("run"))

    assert lake.commit("run") == report
    assert snapshots(lake) == 1
    assert lake.store.read(report_key("run")) == msgspec.json.encode(report)


def test_a_run_without_a_row_is_a_snapshot_without_a_file(lake: Lake) -> None:
    lake.put("a", [b"garbage"])

    report = lake.run("run")

    assert report is not None
    assert (report.committed, report.quarantined, report.files) == (True, 1, 0)
    assert [str(snapshot.snapshot_id) for snapshot in lake.table().metadata.snapshots] == [report.snapshot_id]
    assert lake.rows() == []
    assert lake.plan("next")["tasks"] == 0
    lake.put("b", [reading()])
    lake.run("next")
    assert len(lake.rows()) == 1


def test_of_two_runs_over_the_same_garbage_one_is_committed(lake: Lake) -> None:
    lake.put("a", [b"garbage"])
    for run_id in ("first", "second"):
        lake.plan(run_id)
        lake.write(run_id)
    lake.commit("first")

    with pytest.raises(errors.ObjectsAlreadyCommitted, match="by run first"):
        lake.commit("second")


def test_a_run_without_a_plan_is_refused(lake: Lake) -> None:
    with pytest.raises(errors.ResultMissing, match="no plan"):
        lake.commit("run")


def test_a_task_without_a_result_is_refused_by_its_number(lake: Lake) -> None:
    prepared(lake)
    lake.s3.delete_object(Bucket=lake.processed, Key=result_key("run", "00000"))

    with pytest.raises(errors.ResultMissing, match="task 00000"):
        lake.commit("run")


def lose_a_record(result: dict[str, Any]) -> None:
    result["objects"][0]["records"] += 1


def lose_a_record_of_the_task(result: dict[str, Any]) -> None:
    result["counts"]["received"] += 1


def count_a_row_twice(result: dict[str, Any]) -> None:
    result["files"][0]["rows"] += 1


def count_duplicates_as_stored(result: dict[str, Any]) -> None:
    result["objects"][0]["stored"] += 1
    result["objects"][0]["duplicate"] -= 1


def forget_a_reason(result: dict[str, Any]) -> None:
    result["counts"]["by_reason"] = {}


@pytest.mark.parametrize(
    "change",
    [lose_a_record, lose_a_record_of_the_task, count_a_row_twice, count_duplicates_as_stored, forget_a_reason],
)
def test_counts_that_do_not_balance_publish_nothing(lake: Lake, change: Callable[[dict[str, Any]], None]) -> None:
    prepared(lake)
    change_result(lake, change)

    with pytest.raises(errors.CountsDoNotBalance, match="00000"):
        lake.commit("run")

    assert lake.store.read(report_key("run")) is None
    assert lake.plan("next")["objects"] == 1


def other_tag(result: dict[str, Any]) -> None:
    result["objects"][0]["etag"] = "other"


def twice(result: dict[str, Any]) -> None:
    result["objects"] *= 2


def other_run(result: dict[str, Any]) -> None:
    result["run_id"] = "other"


@pytest.mark.parametrize("change", [other_tag, twice, other_run])
def test_a_result_about_other_objects_than_planned_is_refused(
    lake: Lake, change: Callable[[dict[str, Any]], None]
) -> None:
    prepared(lake)
    change_result(lake, change)

    with pytest.raises(errors.ResultMismatch, match="00000"):
        lake.commit("run")


def test_a_file_that_is_missing_or_holds_other_rows_is_refused(lake: Lake) -> None:
    prepared(lake)
    result = msgspec.json.decode(lake.store.read(result_key("run", "00000")) or b"", type=TaskResult)
    key = result.files[0].key
    lake.put("b", [reading("pump-9")])
    lake.plan("other")
    (other,) = lake.write("other")
    good = lake.store.read(key) or b""

    lake.s3.delete_object(Bucket=lake.processed, Key=key)
    with pytest.raises(errors.FileMismatch, match="is missing"):
        lake.commit("run")
    lake.store.write(key, lake.store.read(other.files[0].key) or b"")
    with pytest.raises(errors.FileMismatch, match="has rows 3 in its footer, its result says 2"):
        lake.commit("run")
    lake.store.write(key, good)
    assert lake.commit("run").stored == 2


def test_of_two_runs_that_planned_the_same_object_one_is_committed(lake: Lake) -> None:
    prepared(lake, "first")
    lake.plan("second")
    lake.write("second")
    lake.commit("first")

    with pytest.raises(errors.ObjectsAlreadyCommitted, match="by run first"):
        lake.commit("second")

    assert (len(lake.rows()), snapshots(lake)) == (2, 1)
    assert lake.plan("third")["tasks"] == 0


def test_a_conflict_is_tried_again_after_looking_for_the_other_run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("a", [reading()])
    lake.plan("first")
    lake.write("first")
    lake.put("b", [reading("pump-2")])
    lake.plan("second", start="2026-11-21T09:00:00Z")
    lake.write("second")
    lake.put("c", [reading("pump-3")])
    extend = LakeTable.extend

    def overtaken(self: LakeTable, *arguments: Any) -> int:
        monkeypatch.setattr(LakeTable, "extend", extend)
        lake.commit("first")
        return extend(self, *arguments)

    monkeypatch.setattr(LakeTable, "extend", overtaken)

    with pytest.raises(errors.ObjectsAlreadyCommitted, match="by run first"):
        lake.commit("second")  # both hold object a: rebasing the commit would have stored it twice

    assert [row["device_id"] for row in lake.rows()] == ["pump-1"]


def test_a_conflict_with_a_run_over_other_objects_ends_with_both_in_the_table(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.put("a", [reading()])
    lake.plan("first")
    lake.write("first")
    lake.commit("first")
    lake.put("b", [reading("pump-2")])
    lake.plan("second")
    lake.write("second")
    extend = LakeTable.extend

    def overtaken(self: LakeTable, *arguments: Any) -> int:
        monkeypatch.setattr(LakeTable, "extend", extend)
        lake.table().append(lake.table().scan().to_arrow().slice(0, 0))  # somebody else's snapshot
        return extend(self, *arguments)

    monkeypatch.setattr(LakeTable, "extend", overtaken)
    lake.commit("second")

    assert [row["device_id"] for row in lake.rows()] == ["pump-1", "pump-2"]


def test_a_commit_whose_answer_was_lost_is_found_and_the_table_stays_whole(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(lake)
    update = GlueCatalog._update_glue_table

    def answer_lost(self: GlueCatalog, *arguments: Any, **named: Any) -> None:
        update(self, *arguments, **named)
        monkeypatch.setattr(GlueCatalog, "_update_glue_table", update)
        raise ReadTimeoutError(endpoint_url="glue")

    monkeypatch.setattr(GlueCatalog, "_update_glue_table", answer_lost)
    report = lake.commit("run")

    assert snapshots(lake) == 1
    assert report.snapshot_id == str(lake.table().metadata.snapshots[0].snapshot_id)
    assert len(lake.rows()) == 2


def test_a_catalog_that_never_answers_ends_in_a_named_error_and_a_later_attempt_succeeds(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(lake)

    def unreachable(self: GlueCatalog, *_: Any, **__: Any) -> None:
        raise ReadTimeoutError(endpoint_url="glue")

    with monkeypatch.context() as patch:
        patch.setattr(GlueCatalog, "_update_glue_table", unreachable)
        with pytest.raises(errors.CommitConflict, match="5 attempts"):
            lake.commit("run")

    assert lake.commit("run").stored == 2


@pytest.mark.parametrize("code", ["OperationTimeoutException", "ResourceNotReadyException", "ThrottlingException"])
def test_what_passes_at_the_catalog_is_tried_again(lake: Lake, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    prepared(lake)
    update = GlueCatalog._update_glue_table

    def not_now(self: GlueCatalog, *_: Any, **__: Any) -> None:
        monkeypatch.setattr(GlueCatalog, "_update_glue_table", update)
        raise ClientError({"Error": {"Code": code}}, "UpdateTable")

    monkeypatch.setattr(GlueCatalog, "_update_glue_table", not_now)

    assert lake.commit("run").stored == 2
    assert (len(lake.rows()), snapshots(lake)) == (2, 1)


def test_a_newly_declared_metric_becomes_a_column_and_older_rows_keep_theirs(lake: Lake) -> None:
    lake.put("a", [reading(humidity=40)])
    lake.run("first")
    lake.metrics = ("temperature", "vibration", "humidity")
    lake.put("b", [reading("pump-2", humidity=41)])
    lake.run("second")

    rows = lake.rows()
    assert [(row["humidity"], row["other_metrics"]) for row in rows] == [(None, [("humidity", 40.0)]), (41.0, None)]
    assert snapshots(lake) == 2


def test_a_metric_that_is_no_longer_declared_keeps_its_column(lake: Lake) -> None:
    lake.put("a", [reading(vibration=1)])
    lake.run("first")
    lake.metrics = ("temperature",)
    lake.put("b", [reading("pump-2", temperature=1)])
    lake.run("second")

    assert [row["vibration"] for row in lake.rows()] == [1.0, None]


@pytest.mark.parametrize(("before", "after"), [("day", "hour"), ("hour", "day")])
def test_another_partitioning_holds_from_the_next_run_on(lake: Lake, before: str, after: str) -> None:
    lake.partition_by = before
    lake.put("a", [reading(), reading(at=AT + 3600)])
    lake.run("first")
    lake.partition_by = after
    lake.put("b", [reading("pump-2"), reading("pump-2", at=AT + 3600)])
    lake.run("second")

    transforms = {"day": DayTransform(), "hour": HourTransform()}
    table = lake.table()
    assert [field.transform for field in table.spec().fields] == [transforms[after]]
    assert len(lake.rows()) == 4
    early = table.scan(row_filter="measured_at < '2026-11-21T10:00:00+00:00'")
    assert early.to_arrow().num_rows == 2


@pytest.fixture
def configured(deployed: Lake) -> Lake:
    prepared(deployed)
    return deployed


def emitted(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]


def test_the_rows_of_a_run_are_counted_once_however_often_it_is_committed(
    configured: Lake, context: object, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        handler.handle({"run_id": "run"}, context)

    (counted,) = emitted(capsys)
    assert {name: value for name, value in counted.items() if name != "_aws"} == {
        "service": "lake",
        "RecordsRead": [4.0],
        "RowsCommitted": [2.0],
        "RecordsDuplicate": [1.0],
        "RecordsQuarantined": [1.0],
        "FilesWritten": [1.0],
    }


def test_a_commit_that_came_to_a_snapshot_but_not_to_its_report_is_counted_when_it_is_repeated(
    configured: Lake, context: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the connection was reset")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "write", fail)
        with pytest.raises(OSError, match="reset"):
            handler.handle({"run_id": "run"}, context)
    handler.handle({"run_id": "run"}, context)

    (counted,) = emitted(capsys)
    assert counted["RowsCommitted"] == [2.0]


def test_a_run_whose_counts_cannot_be_emitted_is_committed(
    configured: Lake, context: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE")

    assert handler.handle({"run_id": "run"}, context)["committed"] is True
    assert "metrics not emitted" in caplog.text


def test_the_function_answers_the_report(configured: Lake, context: object) -> None:
    answers = [handler.handle({"run_id": "run"}, context) for _ in range(2)]

    assert answers[0] == answers[1]
    wanted = {"run_id": "run", "committed": True, "records": 4, "stored": 2, "duplicate": 1, "quarantined": 1}
    assert wanted.items() <= answers[0].items()
