"""The commit of a rewriting: all of it in one snapshot, or nothing and a named failure."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from pyiceberg.manifest import DataFile

from compaction import errors
from compaction.lake_table import LakeTable
from optimization.errors import FilesReplaced, RowsDeleted
from optimization.manifests import RUN_ID_PROPERTY, Group, Rewritten, group_key, plan_key, result_key
from tests.lake import AT, ORPHAN_DAYS, Lake, reading
from tests.lambdas.optimization import by_hand, others

CUT = [("pump-1", AT * 1000 + 1)]


def prepared(lake: Lake) -> Lake:
    """Two files with a duplicate among them, and a run over both in two tasks that is written, not committed."""
    for name, records in {"a": [reading(), reading("pump-2")], "b": [reading(), reading(at=AT + 1)]}.items():
        lake.put(name, records)
        lake.run(name)
    by_hand.plan(lake, "run", CUT)
    by_hand.write(lake, "run")
    return lake


@pytest.fixture
def ready(memory_lake: Lake) -> Lake:
    return prepared(memory_lake)


def state(lake: Lake) -> tuple[list[dict[str, Any]], list[int]]:
    """What readers find, and the table's snapshots."""
    return lake.rows(), [snapshot.snapshot_id for snapshot in lake.table().metadata.snapshots]


def refused(lake: Lake, error: type[Exception], says: str) -> None:
    """The commit fails by that name, and nothing of it is published."""
    before = state(lake)
    with pytest.raises(error, match=says):
        by_hand.commit(lake, "run")
    assert state(lake) == before


def properties(lake: Lake) -> dict[str, str]:
    snapshot = lake.table().current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    return {"operation": snapshot.summary.operation.value, **snapshot.summary.additional_properties}


def test_a_run_becomes_one_snapshot_with_its_counts(ready: Lake) -> None:
    files = [ready.store.read(key) or b"" for key in by_hand.live_files(ready)]

    rewritten = by_hand.commit(ready, "run")

    new = [ready.store.read(key) or b"" for key in by_hand.live_files(ready)]
    snapshot = ready.table().current_snapshot()
    assert snapshot is not None
    assert rewritten == Rewritten(
        files_before=2,
        files_after=2,
        bytes_before=sum(map(len, files)),
        bytes_after=sum(map(len, new)),
        rows_before=4,
        rows_after=3,
        duplicates=1,
        snapshot_id=str(snapshot.snapshot_id),
    )
    found = properties(ready)
    assert {name: found[name] for name in found if name.startswith("sensorkeep.")} == {
        RUN_ID_PROPERTY: "run",
        "sensorkeep.files-before": "2",
        "sensorkeep.files-after": "2",
        "sensorkeep.bytes-before": str(rewritten.bytes_before),
        "sensorkeep.bytes-after": str(rewritten.bytes_after),
        "sensorkeep.rows-before": "4",
        "sensorkeep.rows-after": "3",
        "sensorkeep.duplicates": "1",
    }
    counts = ("total-records", "total-data-files", "added-records", "deleted-records", "added-data-files")
    assert [found[name] for name in ("operation", *counts)] == ["overwrite", "3", "2", "3", "4", "2"]
    assert found["total-files-size"] == str(rewritten.bytes_after)


def test_the_table_as_it_was_before_can_still_be_read(ready: Lake) -> None:
    before = ready.table().current_snapshot()
    assert before is not None

    by_hand.commit(ready, "run")

    assert ready.table().scan(snapshot_id=before.snapshot_id).to_arrow().num_rows == 4
    assert len(ready.rows()) == 3


def test_files_that_were_not_rewritten_stay_as_they_are(memory_lake: Lake) -> None:
    lake = memory_lake
    for name, at in {"a": AT, "b": AT + 1, "c": AT - 86_400}.items():
        lake.put(name, [reading(at=at)])
        lake.run(name)
    *_, kept = sorted(by_hand.live_files(lake), reverse=True)
    before = lake.rows()

    by_hand.plan(lake, "run", files=[key for key in by_hand.live_files(lake) if key != kept])
    by_hand.write(lake, "run")
    by_hand.commit(lake, "run")

    assert lake.rows() == before
    assert kept in by_hand.live_files(lake)
    assert len(by_hand.live_files(lake)) == 2


def test_a_commit_that_is_repeated_answers_the_same_and_changes_nothing(ready: Lake) -> None:
    first = by_hand.commit(ready, "run")
    before = state(ready)
    ready.put("c", [reading("pump-3")])
    ready.run("c")

    assert by_hand.commit(ready, "run") == first
    assert state(ready)[1][:-1] == before[1]


def test_a_commit_that_a_rollback_took_back_is_made_again(ready: Lake) -> None:
    before = ready.table().current_snapshot()
    first = by_hand.commit(ready, "run")
    ready.table().manage_snapshots().rollback_to_snapshot(before.snapshot_id if before else 0).commit()

    again = by_hand.commit(ready, "run")

    assert again.snapshot_id != first.snapshot_id
    assert len(ready.rows()) == again.rows_after


def test_compaction_finds_its_own_runs_behind_a_rewriting(ready: Lake) -> None:
    by_hand.commit(ready, "run")

    assert ready.plan("next")["tasks"] == 0
    ready.put("c", [reading("pump-3")])
    report = ready.run("next")
    assert report is not None
    assert (report.objects, report.stored, len(ready.rows())) == (1, 1, 4)


def test_a_run_without_a_plan_is_refused(memory_lake: Lake) -> None:
    prepared(memory_lake)
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=plan_key("run"))

    refused(memory_lake, errors.ResultMissing, "no plan")


def test_a_task_without_a_result_is_refused_by_its_number(ready: Lake) -> None:
    ready.s3.delete_object(Bucket=ready.processed, Key=result_key("run", "00000-001"))

    refused(ready, errors.ResultMissing, "no result of 1 of its tasks, the first is task 00000-001")


def test_a_group_that_is_gone_is_refused_by_its_key(ready: Lake) -> None:
    ready.s3.delete_object(Bucket=ready.processed, Key=group_key("run", 1, 0))

    refused(ready, errors.ResultMissing, group_key("run", 1, 0))


Change = Callable[[dict[str, Any]], None]


def changed(lake: Lake, key: str, change: Change) -> None:
    manifest: dict[str, Any] = msgspec.json.decode(lake.store.read(key) or b"")
    change(manifest)
    lake.store.write(key, msgspec.json.encode(manifest))


def other_run(result: dict[str, Any]) -> None:
    result["run_id"] = "other"


def other_task(result: dict[str, Any]) -> None:
    result["task_id"] = "00000-001"


def strange_file(result: dict[str, Any]) -> None:
    result["sources"].append({"key": "warehouse/readings/data/strange.parquet", "rows": 1, "key_checksum": "00"})


@pytest.mark.parametrize("change", [other_run, other_task, strange_file])
def test_a_result_that_is_not_about_the_plan_is_refused(ready: Lake, change: Change) -> None:
    changed(ready, result_key("run", "00000-000"), change)

    refused(ready, errors.ResultMismatch, "00000")


def read_a_row_less(result: dict[str, Any]) -> None:
    result["sources"][0]["rows"] -= 1


def read_another_key(result: dict[str, Any]) -> None:
    result["sources"][0]["key_checksum"] = "0123456789abcdef"


def forget_a_file_read(result: dict[str, Any]) -> None:
    result["sources"].pop()


def forget_a_file_written(result: dict[str, Any]) -> None:
    result["files"].pop()


def forget_a_duplicate(result: dict[str, Any]) -> None:
    result["duplicates"] -= 1


def take_another_for_the_duplicate(result: dict[str, Any]) -> None:
    result["duplicates_checksum"] = "0123456789abcdef"


LOSSES = [
    (read_a_row_less, r"a-00000\.parquet has 2 rows, but 1 were read"),
    (read_another_key, r"a-00000\.parquet has the key checksum"),
    (forget_a_file_read, r"b-00000\.parquet has 2 rows, but 1 were read"),
    (forget_a_file_written, "4 rows were read, but 2 written and 1 left out"),
    (forget_a_duplicate, "4 rows were read, but 3 written and 0 left out"),
    (take_another_for_the_duplicate, "the keys written and left out are not the keys that were read"),
]


@pytest.mark.parametrize(("change", "says"), LOSSES)
def test_a_row_that_is_not_accounted_for_publishes_nothing(ready: Lake, change: Change, says: str) -> None:
    changed(ready, result_key("run", "00000-000"), change)

    refused(ready, errors.CountsDoNotBalance, says)


def test_a_file_without_a_checksum_is_counted_by_its_rows_alone(ready: Lake) -> None:
    def forget(group: dict[str, Any]) -> None:
        for file in group["files"]:
            file["key_checksum"] = None

    changed(ready, group_key("run", 1, 0), forget)

    assert by_hand.commit(ready, "run").rows_after == 3


def test_a_file_that_is_planned_twice_is_refused(ready: Lake) -> None:
    (first, *_) = by_hand.tasks(ready, "run")
    group = msgspec.json.decode(ready.store.read(first.group) or b"", type=Group)
    again = msgspec.structs.replace(first, task_id="00001-000", group=group_key("run", 1, 1), start=None, end=None)
    ready.store.write(again.group, msgspec.json.encode(msgspec.structs.replace(group, files=group.files[:1])))
    by_hand.rewriter(ready).rewrite("run", again)
    ready.store.write(plan_key("run"), (ready.store.read(plan_key("run")) or b"") + msgspec.json.encode(again))

    refused(ready, errors.ResultMismatch, r"a-00000\.parquet is planned twice")


def test_a_plan_that_counts_other_rows_than_the_table_is_refused(ready: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DataFile, "record_count", property(lambda _: 5))

    refused(ready, errors.CountsDoNotBalance, r"-00000\.parquet has 5 rows in the table, planned were 2")


def test_a_new_file_that_is_missing_or_holds_other_rows_is_refused(ready: Lake) -> None:
    key = "warehouse/readings/data/measured_at_day=2026-11-21/run-00000-000-rewritten.parquet"
    (other, *_) = by_hand.live_files(ready)

    good = ready.store.read(key) or b""
    ready.store.write(key, ready.store.read(other) or b"")
    refused(ready, errors.FileMismatch, f"{key} has rows 2 in its footer, its result says 1")
    ready.s3.delete_object(Bucket=ready.processed, Key=key)
    refused(ready, errors.FileMismatch, f"{key} is missing")
    ready.store.write(key, good)
    assert by_hand.commit(ready, "run").duplicates == 1


def test_a_run_that_has_written_for_another_partitioning_is_refused(ready: Lake) -> None:
    ready.partition_by = "hour"

    refused(ready, errors.FileMismatch, "another partitioning than the settings ask for, which is by hour")


def test_of_two_runs_that_have_rewritten_the_same_file_one_is_committed(ready: Lake) -> None:
    by_hand.optimize(ready, "other")

    refused(ready, FilesReplaced, "2 file.s. that the run has rewritten are no files of the table any more")


def test_a_run_whose_table_is_gone_is_refused_and_makes_none(ready: Lake) -> None:
    ready.glue.tables.clear()

    with pytest.raises(FilesReplaced, match="no table"):
        by_hand.commit(ready, "run")
    assert ready.glue.tables == {}


def test_a_run_that_is_as_old_as_orphans_may_be_is_refused(ready: Lake) -> None:
    ready.s3.now += timedelta(days=ORPHAN_DAYS)

    refused(ready, errors.RunTooOld, plan_key("run"))


def test_rows_that_were_deleted_meanwhile_do_not_come_back(ready: Lake) -> None:
    (first, *_) = by_hand.live_files(ready)

    others.delete_first_row(ready, first)

    assert len(ready.rows()) == 3
    refused(ready, RowsDeleted, r"deletes\.parquet deletes rows where the run has rewritten .*a-00000\.parquet")


def overtake(monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]) -> None:
    """Somebody else commits after the run has looked at the table, and before it swaps the pointer."""
    replace = LakeTable.replace

    def overtaken(self: LakeTable, *arguments: Any) -> int:
        monkeypatch.setattr(LakeTable, "replace", replace)
        other()
        return replace(self, *arguments)

    monkeypatch.setattr(LakeTable, "replace", overtaken)


def test_rows_that_are_compacted_meanwhile_stay(ready: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.put("c", [reading("pump-3"), reading("pump-2", temperature=7, received_at=AT * 1000 + 900)])
    overtake(monkeypatch, lambda: ready.run("c"))

    rewritten = by_hand.commit(ready, "run")

    assert (rewritten.rows_before, rewritten.rows_after) == (4, 3)
    assert [row["device_id"] for row in ready.rows()] == ["pump-1", "pump-1", "pump-2", "pump-2", "pump-3"]
    assert properties(ready)["total-records"] == "5"


def test_of_two_runs_that_commit_at_once_one_is_refused(ready: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    overtake(monkeypatch, lambda: by_hand.optimize(ready, "other"))

    with pytest.raises(FilesReplaced, match="no files of the table any more"):
        by_hand.commit(ready, "run")

    assert len(ready.rows()) == 3
    assert properties(ready)[RUN_ID_PROPERTY] == "other"


def answering(lake: Lake, monkeypatch: pytest.MonkeyPatch, faults: list[Exception], *, lost: bool) -> None:
    """The catalog's next answers are these failures; with `lost`, the update is made all the same."""
    update = lake.glue.update_table

    def fails(**request: Any) -> None:
        if not faults:
            update(**request)
            return
        if lost:
            update(**request)
        raise faults.pop()

    monkeypatch.setattr(lake.glue, "update_table", fails)


def test_a_commit_whose_answer_was_lost_is_found(ready: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = len(state(ready)[1])
    answering(ready, monkeypatch, [ReadTimeoutError(endpoint_url="glue")], lost=True)

    rewritten = by_hand.commit(ready, "run")

    rows, after = state(ready)
    assert (len(rows), after[snapshots:]) == (3, [int(rewritten.snapshot_id or 0)])


@pytest.mark.parametrize("code", ["OperationTimeoutException", "ResourceNotReadyException", "ThrottlingException"])
def test_what_passes_at_the_catalog_is_tried_again(ready: Lake, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    answering(ready, monkeypatch, [ClientError({"Error": {"Code": code}}, "UpdateTable")], lost=False)

    assert by_hand.commit(ready, "run").rows_after == len(ready.rows()) == 3


def test_what_does_not_pass_fails_at_once(ready: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(ready, monkeypatch, [ClientError({"Error": {"Code": "AccessDenied"}}, "UpdateTable")], lost=False)

    refused(ready, ClientError, "AccessDenied")


def test_a_catalog_that_never_answers_is_a_named_failure_and_a_later_call_succeeds(
    ready: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(ready, monkeypatch, [ReadTimeoutError(endpoint_url="glue")] * 5, lost=False)

    refused(ready, errors.CommitConflict, "Run run could not be committed in 5 attempts")
    assert by_hand.commit(ready, "run").rows_after == 3
