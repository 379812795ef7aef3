"""The commit of a reprocessing: all of it in one snapshot, or nothing and a named failure."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from compaction import errors
from compaction.lake_table import LakeTable
from compaction.runs import committed
from optimization.errors import FilesReplaced, RowsDeleted
from reprocessing.errors import FewerReadings, RangeHeld, RulesChanged
from reprocessing.keys import (
    committed_key,
    decoded_key,
    group_key,
    merge_plan_key,
    merged_key,
    plan_key,
    tasks_key,
)
from reprocessing.snapshots import MERGE_ID_PROPERTY, RUN_ID_PROPERTY
from sensors.settings import Decoding
from tests.faults import copy_of
from tests.lake import AT, ORPHAN_DAYS, Lake, in_memory, reading
from tests.lambdas.optimization import others
from tests.lambdas.optimization.by_hand import live_files
from tests.lambdas.reprocessing.decodes import quarantined
from tests.lambdas.reprocessing.harness import EVERYTHING, Reprocessing, request
from tests.memory_aws import Effects
from tests.upkeep import Upkeep

EARLY = Decoding(future_tolerance_s=7200)
"""Rules by which a reading from an hour ahead is none of the future."""
AHEAD = {"temperature": 9.0, "received_at": (AT - 3600) * 1000}


def filled(lake: Lake) -> Lake:
    """Two runs of the compaction: four readings, one of them twice, and one that today's rules would take."""
    lake.put("a", [reading("pump-1"), reading("pump-2"), reading("pump-9", **AHEAD)])
    lake.run("a")
    lake.put("b", [reading("pump-1"), reading("pump-3"), reading("pump-4", at=AT - 86_400)])
    lake.run("b")
    return lake


@functools.cache
def prepared() -> Reprocessing:
    return Reprocessing(filled(Lake(aws=in_memory(Effects()))), decoding=EARLY).prepare()


@pytest.fixture
def ready() -> Reprocessing:
    """A run that is to be committed."""
    return prepared().on(copy_of(prepared().lake))


def state(lake: Lake) -> tuple[list[dict[str, Any]], list[int], set[str]]:
    """What readers find, the table's snapshots, and the quarantine."""
    snapshots = [snapshot.snapshot_id for snapshot in lake.table().metadata.snapshots]
    return lake.rows(), snapshots, set(lake.store.keys("quarantine/"))


def refused(run: Reprocessing, error: type[Exception], says: str) -> None:
    """The commit fails by that name, and nothing of it is published."""
    before = state(run.lake)
    with pytest.raises(error, match=says):
        run.commit()
    assert state(run.lake) == before
    assert run.lake.store.read(committed_key(run.run_id)) is None


def devices(lake: Lake) -> list[str]:
    return [row["device_id"] for row in lake.rows()]


def properties(lake: Lake) -> dict[str, str]:
    snapshot = lake.table().current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    return {"operation": snapshot.summary.operation.value, **snapshot.summary.additional_properties}


def test_a_run_becomes_one_snapshot_with_its_counts(ready: Reprocessing) -> None:
    lake = ready.lake
    (*_, before) = state(lake)[1]

    answer = ready.commit()

    (*older, after) = state(lake)[1]
    assert older[-1] == before
    assert (answer.snapshot_before, answer.snapshot_id) == (str(before), str(after))
    assert (answer.rows_replaced, answer.rows_written) == (4, 4)
    assert (answer.files_replaced, answer.files_written, answer.fewer_by) == (2, 1, {})
    assert devices(lake) == ["pump-1", "pump-2", "pump-3", "pump-4", "pump-9"]
    assert {name: value for name, value in properties(lake).items() if name.startswith("sensorkeep.")} == {
        RUN_ID_PROPERTY: "run",
        MERGE_ID_PROPERTY: ready.merge_id,
        "sensorkeep.from": "2026-11-21T00:00:00.000Z",
        "sensorkeep.to": "2026-11-22T00:00:00.000Z",
        "sensorkeep.rules": ready.rules,
        "sensorkeep.rows-replaced": "4",
        "sensorkeep.rows-written": "4",
        "sensorkeep.files-replaced": "2",
        "sensorkeep.files-written": "1",
    }
    assert properties(lake)["operation"] == "overwrite"


def test_a_commit_that_is_repeated_answers_the_same_and_changes_nothing(ready: Reprocessing) -> None:
    first = ready.commit()
    before = state(ready.lake)

    assert ready.commit() == first
    ready.lake.store.delete(committed_key("run"))
    assert ready.commit() == first
    assert state(ready.lake) == before


def test_a_run_that_is_in_the_table_is_so_with_the_merge_that_it_was_published_with(ready: Reprocessing) -> None:
    first = ready.commit()
    ready.lake.store.delete(committed_key("run"))

    ready.merge_id = "02-0"

    assert ready.commit() == first


def test_what_it_sets_aside_is_in_the_quarantine_once_it_is_published(memory_lake: Lake) -> None:
    key = memory_lake.put("a", [reading("pump-1"), b"garbage", reading("pump-9", **AHEAD)])
    memory_lake.decoding = EARLY
    memory_lake.run("a")
    run = Reprocessing(memory_lake, asked=request(allow_fewer=True), decoding=Decoding()).prepare()
    before = state(memory_lake)[2]

    run.commit()

    (new,) = state(memory_lake)[2] - before
    assert [line["position"] for line in quarantined(memory_lake, new)] == [f"{key}:3"]


def test_what_waits_for_compaction_is_set_aside_by_that_alone(memory_lake: Lake) -> None:
    filled(memory_lake)
    before = set(memory_lake.store.keys("quarantine/"))
    memory_lake.put("c", [b"garbage", reading("pump-5")])

    answer = Reprocessing(memory_lake, asked=request(targets=("table", "hot")), decoding=EARLY).run()

    assert answer.snapshot_id is not None
    assert set(memory_lake.store.keys("quarantine/")) == before
    assert "pump-5" not in devices(memory_lake)


def test_a_run_that_publishes_nothing_says_what_it_would(memory_lake: Lake) -> None:
    filled(memory_lake)
    for mode in ("dry_run", "backtest"):
        before = state(memory_lake)
        files = set(memory_lake.store.keys("warehouse/"))
        run = Reprocessing(memory_lake, mode, request(EVERYTHING, mode=mode), Decoding(future_tolerance_s=-7200))

        answer = run.run()

        assert (answer.snapshot_id, answer.snapshot_before, answer.files_written) == (None, None, 0)
        assert answer.fewer_by == {"quarantined: timestamp_in_future": 4}
        assert state(memory_lake) == before
        assert set(memory_lake.store.keys("warehouse/")) == files


def test_a_run_for_the_hot_table_alone_leaves_the_table(memory_lake: Lake) -> None:
    filled(memory_lake)
    before = state(memory_lake)

    answer = Reprocessing(memory_lake, asked=request(targets=("hot",))).run()

    assert answer.snapshot_id is None
    assert state(memory_lake) == before


def test_a_run_with_nothing_to_change_makes_no_snapshot(memory_lake: Lake) -> None:
    filled(memory_lake)
    before = state(memory_lake)
    scope = msgspec.structs.replace(EVERYTHING, devices=("nobody",))

    assert Reprocessing(memory_lake, asked=request(scope)).run().snapshot_id is None
    assert state(memory_lake) == before


def test_drained_lines_are_added_and_marked_and_are_not_drained_again(memory_lake: Lake) -> None:
    filled(memory_lake)
    asked = request(EVERYTHING, source="quarantine")

    answer = Reprocessing(memory_lake, "drain", asked, EARLY).run()
    again = Reprocessing(memory_lake, "again", asked, EARLY)

    assert (answer.rows_replaced, answer.snapshot_id is None) == (0, False)
    assert devices(memory_lake) == ["pump-1", "pump-1", "pump-2", "pump-3", "pump-4", "pump-9"]
    assert again.run().snapshot_id is None
    assert [result.files for result in again.decode()] == [()]
    (mark,) = memory_lake.store.keys("ledger/quarantine/")
    assert mark.endswith("/compact-a-00000/drain.jsonl")
    (key,) = {row["source_object"] for row in memory_lake.rows() if row["device_id"] == "pump-9"}
    assert msgspec.json.decode(memory_lake.store.read(mark) or b"") == f"{key}:3"


def test_a_range_that_would_have_fewer_readings_is_left_as_it_is_with_the_causes(memory_lake: Lake) -> None:
    filled(memory_lake)
    key = next(row["source_object"] for row in memory_lake.rows() if row["device_id"] == "pump-3")
    memory_lake.s3.delete_object(Bucket=memory_lake.raw, Key=key)
    strict = Decoding(future_tolerance_s=-7200)

    run = Reprocessing(memory_lake, decoding=strict).prepare()

    refused(
        run,
        FewerReadings,
        "has 3 readings and would have 0; 3 would be lost.*by cause: 2 not found, 1 quarantined: timestamp_in_future",
    )
    refused(run, FewerReadings, '"allow_fewer": true')


def test_a_reading_whose_object_is_gone_is_not_made_up_for_by_one_that_is_new(memory_lake: Lake) -> None:
    filled(memory_lake)
    key = next(row["source_object"] for row in memory_lake.rows() if row["device_id"] == "pump-3")
    memory_lake.s3.delete_object(Bucket=memory_lake.raw, Key=key)

    run = Reprocessing(memory_lake, decoding=EARLY).prepare()  # pump-9 comes in, pump-3 is gone

    refused(run, FewerReadings, "has 3 readings and would have 3; 1 would be lost.*: 1 not found")


def test_fewer_readings_are_published_where_that_is_allowed(memory_lake: Lake) -> None:
    filled(memory_lake)
    strict = Decoding(future_tolerance_s=-7200)

    answer = Reprocessing(memory_lake, asked=request(allow_fewer=True), decoding=strict).run()

    assert answer.fewer_by == {"quarantined: timestamp_in_future": 3}
    assert devices(memory_lake) == ["pump-4"]


def test_compaction_and_optimize_go_on_behind_a_reprocessing(ready: Reprocessing) -> None:
    lake = ready.lake
    ready.commit()

    assert lake.plan("next")["tasks"] == 0
    lake.put("c", [reading("pump-1", at=AT + 1), reading("pump-2")])
    assert lake.run("next") is not None
    assert [run.run_id for run in committed(lake.glue, lake.s3, lake.database)] == ["next", "b", "a"]
    rewritten = Upkeep(lake).run("optimize")
    assert rewritten is not None
    assert rewritten.duplicates == 1
    assert devices(lake) == ["pump-1", "pump-1", "pump-2", "pump-3", "pump-4", "pump-9"]
    assert Reprocessing(lake, "again", request(allow_fewer=True)).run().snapshot_id is not None
    assert devices(lake) == ["pump-1", "pump-1", "pump-2", "pump-3", "pump-4"]


MANIFESTS = [
    (lambda run: plan_key("run"), "no plan"),
    (lambda run: decoded_key("run", "00000"), "no result of 1 of its tasks, the first is task 00000"),
    (lambda run: merge_plan_key("run", run.merge_id), "no plan"),
    (lambda run: merged_key("run", run.merge_id, "00000-000"), "no result of 1 of its tasks, the first is"),
    (lambda run: group_key("run", run.merge_id, 0), "is gone"),
    (lambda run: tasks_key("run"), "its list has 0"),
]


@pytest.mark.parametrize(("key", "says"), MANIFESTS)
def test_a_manifest_that_is_missing_publishes_nothing(
    ready: Reprocessing, key: Callable[[Reprocessing], str], says: str
) -> None:
    ready.lake.store.delete(key(ready))

    refused(ready, errors.ResultMissing, says)


Change = Callable[[dict[str, Any]], object]


def changed(run: Reprocessing, key: str, change: Change) -> None:
    manifest: dict[str, Any] = msgspec.json.decode(run.lake.store.read(key) or b"")
    change(manifest)
    run.lake.store.write(key, msgspec.json.encode(manifest))


@pytest.mark.parametrize("which", ["decoded", "merged"])
def test_results_by_other_rules_than_the_plans_publish_nothing(ready: Reprocessing, which: str) -> None:
    key = decoded_key("run", "00000") if which == "decoded" else merged_key("run", ready.merge_id, "00000-000")
    changed(ready, key, lambda result: result.update(rules="other"))

    refused(ready, RulesChanged, "a deployment came in between")


DECODED = [
    (lambda result: result.update(run_id="other"), errors.ResultMismatch, "another task's"),
    (lambda result: result.update(task_id="00001"), errors.ResultMismatch, "another task's"),
    (lambda result: result["objects"][0].update(etag="other"), errors.ResultMismatch, "not about the planned objects"),
    (lambda result: result["objects"][0].update(records=9), errors.CountsDoNotBalance, "has 9 records"),
    (lambda result: result.update(files=[]), errors.CountsDoNotBalance, "its files have 0 rows"),
    (lambda result: result["objects"][0].update(by_reason={"not_json": 1}), errors.CountsDoNotBalance, "reasons"),
    (lambda result: result["files"][0].update(to_table=False), errors.CountsDoNotBalance, "for the table, merged were"),
    (
        lambda result: result["files"][0]["file"].update(key_checksum="0123456789abcdef"),
        errors.CountsDoNotBalance,
        "or others",
    ),
]


@pytest.mark.parametrize(("change", "error", "says"), DECODED)
def test_a_record_that_is_not_accounted_for_publishes_nothing(
    ready: Reprocessing, change: Change, error: type[Exception], says: str
) -> None:
    changed(ready, decoded_key("run", "00000"), change)

    refused(ready, error, says)


MERGED = [
    (lambda result: result.update(merge_id="other"), errors.ResultMismatch, "another task's"),
    (lambda result: result["sources"].pop(), errors.CountsDoNotBalance, "but 0 were read"),
    (lambda result: result["sources"][0].update(rows=1), errors.CountsDoNotBalance, "but 1 were read"),
    (lambda result: result["replaced"].update(rows=3), errors.CountsDoNotBalance, "3 replaced"),
    (lambda result: result["duplicates"].update(key_checksum="01"), errors.CountsDoNotBalance, "not the keys"),
    (lambda result: result["files"].pop(), errors.CountsDoNotBalance, "its 0 files have 0"),
    (lambda result: result["changes"].update(before=9), errors.CountsDoNotBalance, "of 9 readings before"),
]


@pytest.mark.parametrize(("change", "error", "says"), MERGED)
def test_a_row_that_is_not_accounted_for_publishes_nothing(
    ready: Reprocessing, change: Change, error: type[Exception], says: str
) -> None:
    changed(ready, merged_key("run", ready.merge_id, "00000-000"), change)

    refused(ready, error, says)


def test_a_staged_file_that_no_group_has_publishes_nothing(ready: Reprocessing) -> None:
    def forget(group: dict[str, Any]) -> None:
        lost = group["staged"].pop()
        changed(ready, key, lambda result: result["sources"].remove(_of(result, lost["key"])))

    key = merged_key("run", ready.merge_id, "00000-000")
    changed(ready, group_key("run", ready.merge_id, 0), forget)

    refused(ready, errors.CountsDoNotBalance, "rows were read, but")


def _of(result: dict[str, Any], key: str) -> Any:
    return next(source for source in result["sources"] if source["key"] == key)


def test_a_new_file_that_is_missing_publishes_nothing(ready: Reprocessing) -> None:
    (result,) = ready.merge()
    ready.lake.store.delete(result.files[0].key)

    refused(ready, errors.FileMismatch, "is missing")


def test_a_run_that_has_written_for_another_partitioning_is_refused(ready: Reprocessing) -> None:
    ready.lake.partition_by = "hour"

    refused(ready, errors.FileMismatch, "another partitioning than the settings ask for, which is by hour")


def test_a_column_that_the_table_has_lost_meanwhile_ends_the_run(ready: Reprocessing) -> None:
    with ready.lake.table().update_schema(allow_incompatible_changes=True) as schema:
        schema.delete_column("location")

    refused(ready, errors.FileMismatch, r"\.parquet does not fit the table .* location.* start a new run")


def test_a_run_as_old_as_orphans_may_be_is_refused(ready: Reprocessing) -> None:
    ready.lake.s3.now += timedelta(days=ORPHAN_DAYS)

    refused(ready, errors.RunTooOld, plan_key("run"))


def test_a_run_that_does_not_hold_its_range_any_more_publishes_nothing(ready: Reprocessing) -> None:
    ready.states.set("run", "FAILED")
    other = Reprocessing(ready.lake, "other", states=ready.states).prepare()
    other.commit()
    ready.states.set("run", "RUNNING")

    refused(ready, RangeHeld, "Run other has had")
    ready.states.set("other", "SUCCEEDED")
    ready.merge_and_commit(2)
    assert properties(ready.lake)[RUN_ID_PROPERTY] == "run"


def test_a_file_that_was_rewritten_meanwhile_is_merged_anew_and_decoded_no_more(ready: Reprocessing) -> None:
    Upkeep(ready.lake).run("optimize")

    refused(ready, FilesReplaced, "2 file.s. that the run has rewritten are no files of the table any more")
    assert ready.merge_and_commit(2).rows_replaced == 3
    assert devices(ready.lake) == ["pump-1", "pump-2", "pump-3", "pump-4", "pump-9"]


def test_rows_that_were_deleted_meanwhile_do_not_come_back(ready: Reprocessing) -> None:
    key = next(key for key in live_files(ready.lake) if "11-21" in key)

    others.delete_first_row(ready.lake, key)

    refused(ready, RowsDeleted, "deletes rows where the run has rewritten")


def test_a_run_whose_table_is_gone_is_refused_and_makes_none(ready: Reprocessing) -> None:
    ready.lake.glue.tables.clear()

    with pytest.raises(FilesReplaced, match="no table"):
        ready.commit()
    assert ready.lake.glue.tables == {}


def test_lines_are_drained_into_a_table_that_was_not_there(memory_lake: Lake) -> None:
    filled(memory_lake)
    memory_lake.glue.tables.clear()

    Reprocessing(memory_lake, "drain", request(EVERYTHING, source="quarantine"), EARLY).run()

    assert devices(memory_lake) == ["pump-9"]


def test_files_that_are_in_the_table_by_a_snapshot_that_expired_are_not_there_twice(memory_lake: Lake) -> None:
    filled(memory_lake)
    run = Reprocessing(memory_lake, "drain", request(EVERYTHING, source="quarantine"), EARLY)
    snapshot_id = int(run.run().snapshot_id or 0)
    memory_lake.put("c", [reading("pump-5")])
    memory_lake.run("c")
    memory_lake.table().maintenance.expire_snapshots().by_id(snapshot_id).commit()
    memory_lake.store.delete(committed_key("drain"))
    rows = memory_lake.rows()

    refused(run, FilesReplaced, "is in the table already")
    run.merge_and_commit(2)
    assert memory_lake.rows() == rows


def answering(lake: Lake, monkeypatch: pytest.MonkeyPatch, faults: list[Exception], *, lost: bool) -> None:
    """The catalog's next answers are these failures; with `lost`, the update is made all the same."""
    update = lake.glue.update_table

    def fails(**request: Any) -> None:
        if not faults or lost:
            update(**request)
        if faults:
            raise faults.pop()

    monkeypatch.setattr(lake.glue, "update_table", fails)


def test_a_commit_whose_answer_was_lost_is_found(ready: Reprocessing, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = state(ready.lake)[1]
    answering(ready.lake, monkeypatch, [ReadTimeoutError(endpoint_url="glue")], lost=True)

    answer = ready.commit()

    assert state(ready.lake)[1] == [*snapshots, int(answer.snapshot_id or 0)]
    assert answer.snapshot_before == str(snapshots[-1])


def test_what_passes_at_the_catalog_is_tried_again(ready: Reprocessing, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(ready.lake, monkeypatch, [ClientError({"Error": {"Code": "ThrottlingException"}}, "x")], lost=False)

    assert ready.commit().rows_written == 4


def test_a_catalog_that_never_answers_is_a_named_failure_and_a_later_call_succeeds(
    ready: Reprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(ready.lake, monkeypatch, [ReadTimeoutError(endpoint_url="glue")] * 5, lost=False)

    refused(ready, errors.CommitConflict, "Run run could not be committed in 5 attempts")
    assert ready.commit().rows_written == 4


def test_rows_that_are_compacted_just_before_the_swap_stay(
    ready: Reprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = ready.lake
    lake.put("c", [reading("pump-5")])
    replace = LakeTable.replace

    def overtaken(self: LakeTable, *arguments: Any) -> int:
        monkeypatch.setattr(LakeTable, "replace", replace)
        lake.run("c")
        return replace(self, *arguments)

    monkeypatch.setattr(LakeTable, "replace", overtaken)

    ready.commit()

    assert devices(lake) == ["pump-1", "pump-2", "pump-3", "pump-4", "pump-5", "pump-9"]
