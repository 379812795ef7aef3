"""The undo of a reprocessing: the run's files for those from before it, and nothing else; or a named failure."""

import functools
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ReadTimeoutError
from pyiceberg.manifest import DataFile

from compaction.errors import InvalidInput, ResultMismatch
from compaction.lake_table import LakeTable
from optimization.reachable import reachable
from reprocessing.errors import CannotUndo, RangeHeld
from reprocessing.keys import (
    claim_key,
    committed_key,
    ledger_key,
    mark_key,
    undone_key,
)
from reprocessing.ledger import LedgerEntry, Taken
from reprocessing.request import Scope
from reprocessing.snapshots import UNDO_PROPERTY
from reprocessing.undo.undoing import Wish, wish
from sensors.settings import Decoding
from tests.faults import copy_of
from tests.lake import AT, HOUR, Lake, in_memory, reading
from tests.lambdas.optimization import others
from tests.lambdas.optimization.by_hand import live_files
from tests.lambdas.optimization.upkeep import expirer, sweeper
from tests.lambdas.reprocessing import decodes
from tests.lambdas.reprocessing.harness import EVERYTHING, STARTED_AT, TODAY, Reprocessing, request
from tests.memory_aws import Effects
from tests.upkeep import Upkeep

YESTERDAY = AT - 86_400
AHEAD = {"temperature": 9.0, "received_at": (AT - 3600) * 1000}
EARLY = Decoding(future_tolerance_s=7200)


def filled() -> Lake:
    """Two runs of the compaction: a reading of yesterday, three of today, one of them twice; one that was set aside."""
    lake = Lake(aws=in_memory(Effects()))
    lake.put("a", [reading("pump-1"), reading("pump-2"), reading("pump-9", **AHEAD)])
    lake.run("a")
    lake.put("b", [reading("pump-1"), reading("pump-3"), reading("pump-4", at=YESTERDAY), b"garbage"])
    lake.run("b")
    return lake


@functools.cache
def published() -> Reprocessing:
    run = Reprocessing(filled(), decoding=EARLY)
    run.run()
    return run


@pytest.fixture
def done() -> Reprocessing:
    """A run that is committed."""
    return published().on(copy_of(published().lake))


def before() -> list[dict[str, Any]]:
    """The table's rows as they were before the run."""
    table = published().lake.table()
    snapshot = table.snapshot_by_id(int(published().commit().snapshot_before or 0))
    assert snapshot is not None
    rows = table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().to_pylist()
    return ordered(rows)


def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["device_id"], row["measured_at"], row["source_object"]))


def refused(run: Reprocessing, says: str, error: type[Exception] = CannotUndo) -> None:
    """The undo fails with these words, and leaves table, quarantine and ledger as they are; its claim is given back."""
    lake = run.lake
    kept = [lake.rows(), len(lake.table().metadata.snapshots), *books(lake)]
    with pytest.raises(error, match=says):
        run.undo()
    assert [lake.rows(), len(lake.table().metadata.snapshots), *books(lake)] == kept
    assert lake.store.read(claim_key("undo")) is None


def books(lake: Lake) -> list[str]:
    return [*lake.store.keys("quarantine/"), *lake.store.keys("ledger/quarantine/"), *lake.store.keys("ledger/year")]


def test_the_table_is_what_it_was_before_the_run(done: Reprocessing) -> None:
    assert len(done.lake.rows()) == 5

    answer = done.undo()

    assert ordered(done.lake.rows()) == before()
    assert (answer.rows_removed, answer.rows_restored) == (4, 4)
    assert (answer.files_removed, answer.files_restored, answer.hot_table) == (1, 2, "left as it is")
    snapshot = done.lake.table().current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert (str(snapshot.snapshot_id), snapshot.summary[UNDO_PROPERTY]) == (answer.snapshot_id, "run")
    assert snapshot.summary["total-records"] == "5"


def test_files_come_back_under_new_names_with_all_that_is_known_of_them(done: Reprocessing) -> None:
    """Whoever expires the run's snapshot may delete the files that it has removed."""
    lake = done.lake
    older = {task.file.file_path: task.file for task in published_before(lake)}

    done.undo()

    newer = [task.file for task in lake.table().scan().plan_files()]
    named = {file.file_path for file in newer}
    assert len(named & older.keys()) == 1  # yesterday's, which was not touched
    assert sorted(map(described, newer), key=repr) == sorted(map(described, older.values()), key=repr)
    for path in older.keys() - named:
        lake.store.delete(path.removeprefix(f"s3://{lake.processed}/"))
    assert ordered(lake.rows()) == before()


def described(file: DataFile) -> list[Any]:
    """What the table knows of a file, but for its name."""
    counted = (file.column_sizes, file.value_counts, file.null_value_counts, file.lower_bounds, file.upper_bounds)
    return [
        file.record_count,
        file.file_size_in_bytes,
        file.partition[0],
        file.split_offsets,
        *(dict(one) for one in counted),
    ]


def published_before(lake: Lake) -> Any:
    snapshot_id = int(published().commit().snapshot_before or 0)
    return lake.table().scan(snapshot_id=snapshot_id).plan_files()


def test_an_undo_that_is_repeated_answers_the_same_and_changes_nothing(done: Reprocessing) -> None:
    first = done.undo()
    names = set(done.lake.store.keys("warehouse/"))

    assert done.undo("another") == first
    done.lake.store.delete(undone_key("run"))
    assert done.undo("a third") == first
    assert set(done.lake.store.keys("warehouse/")) == names
    assert ordered(done.lake.rows()) == before()


def test_a_run_that_a_rollback_has_brought_back_is_undone_again(done: Reprocessing) -> None:
    snapshot_id = int(done.commit().snapshot_id or 0)
    first = done.undo()
    done.lake.table().manage_snapshots().rollback_to_snapshot(snapshot_id).commit()

    again = done.undo()

    assert again.snapshot_id != first.snapshot_id
    assert ordered(done.lake.rows()) == before()


def test_a_run_that_was_undone_is_not_published_again_by_a_redrive(done: Reprocessing) -> None:
    first = done.commit()
    done.undo()

    assert done.commit() == first
    done.lake.store.delete(committed_key("run"))
    with pytest.raises(ResultMismatch, match="Run run was undone, so it is not published again"):
        done.commit()
    assert ordered(done.lake.rows()) == before()


def test_the_ledger_says_who_has_undone_it_and_why(done: Reprocessing) -> None:
    answer = done.undo()

    entry = msgspec.json.decode(done.lake.store.read(ledger_key("run")) or b"", type=LedgerEntry)
    assert (entry.run_id, entry.outcome, entry.note) == ("run", "undone", "a note")
    assert entry.undone == Taken("me", "a mistake", STARTED_AT, "undo", answer.snapshot_id)


def test_the_line_of_a_run_that_was_reported_is_kept_with_it(done: Reprocessing) -> None:
    line = LedgerEntry("run", "her", "why", done.request, "then", "later", "applied", "1", ("run", "more"))
    done.lake.store.write(ledger_key("run"), msgspec.json.encode(line))

    answer = done.undo()

    entry = msgspec.json.decode(done.lake.store.read(ledger_key("run")) or b"", type=LedgerEntry)
    taken = Taken("me", "a mistake", STARTED_AT, "undo", answer.snapshot_id)
    assert entry == msgspec.structs.replace(line, outcome="undone", undone=taken)


def test_what_the_run_has_set_aside_is_so_no_longer_and_what_the_compaction_has_still_is() -> None:
    lake = filled()
    before = books(lake)
    run = Reprocessing(lake, asked=request(allow_fewer=True), decoding=Decoding(future_tolerance_s=-7200))
    run.run()
    assert any("/reprocess-run-" in key for key in books(lake))

    run.undo()

    assert books(lake) == before


def test_lines_that_a_run_has_drained_can_be_drained_again() -> None:
    lake = filled()
    asked = request(EVERYTHING, source="quarantine")
    run = Reprocessing(lake, "drain", asked, EARLY)
    run.run()
    drained = lake.rows()

    run.undo()

    assert len(lake.rows()) == len(drained) - 1
    assert Reprocessing(lake, "again", asked, EARLY).run().snapshot_id is not None
    assert lake.rows() == drained


def test_lines_of_the_stream_are_marked_after_the_hot_table_has_them_and_stay_so() -> None:
    lake = filled()
    streamed = decodes.line("bad_metric", "stream", "shardId-0:49", reading("pump-8"))
    mark = mark_key(decodes.put_quarantine(lake, "streamed", streamed), "drain")
    run = Reprocessing(lake, "drain", request(EVERYTHING, source="quarantine", targets=("table", "hot")), EARLY)
    run.run()
    (of_archive,) = lake.store.keys("ledger/quarantine/")
    assert of_archive != mark

    run.write_hot()
    run.report()
    assert set(lake.store.keys("ledger/quarantine/")) == {of_archive, mark}

    run.undo()
    assert list(lake.store.keys("ledger/quarantine/")) == [mark]


def test_what_was_compacted_since_in_another_range_stays(done: Reprocessing) -> None:
    lake = done.lake
    lake.put("c", [reading("pump-5", at=YESTERDAY), reading("pump-6", at=AT + 86_400)], HOUR)
    lake.run("c")
    optimized = Upkeep(lake).run("optimize")  # of yesterday
    assert optimized is not None

    done.undo()

    rows = [row for row in ordered(lake.rows()) if row["device_id"] not in ("pump-5", "pump-6")]
    assert rows == before()
    assert len(lake.rows()) == len(rows) + 2


def test_compaction_and_optimize_go_on_behind_an_undo(done: Reprocessing) -> None:
    lake = done.lake
    done.undo()

    assert lake.plan("next")["tasks"] == 0
    lake.put("c", [reading("pump-5")])
    assert lake.run("next") is not None
    rewritten = Upkeep(lake).run("optimize")
    assert rewritten is not None
    assert [row["device_id"] for row in lake.rows()] == ["pump-1", "pump-2", "pump-3", "pump-4", "pump-5"]


def test_a_range_that_was_compacted_to_since_is_left_as_it_is(done: Reprocessing) -> None:
    done.lake.put("c", [reading("pump-5")])
    done.lake.run("next")

    refused(done, r"Run next of compact \(snapshot \d+, 20.*\) has since added rows to the range of run run")
    refused(done, "reprocess from 2026-11-21T00:00:00.000Z to 2026-11-22T00:00:00.000Z")


def test_a_range_that_was_reprocessed_since_is_left_as_it_is(done: Reprocessing) -> None:
    done.states.set("run", "SUCCEEDED")
    done.lake.put("a", [reading("pump-1", temperature=1.0), reading("pump-2")])
    Reprocessing(done.lake, "other", request(allow_fewer=True), EARLY, done.states).run()
    done.states.set("other", "SUCCEEDED")

    refused(done, "Run other of reprocess")


def test_files_that_were_rewritten_since_are_left_as_they_are() -> None:
    lake = filled()
    run = Reprocessing(lake, asked=request(Scope(TODAY.start_ms, AT * 1000 + 500)), decoding=EARLY)
    run.run()
    lake.put("c", [reading("pump-2", at=AT + 3600)])  # of the same day, after the range
    lake.run("next")
    assert Upkeep(lake).run("upkeep") is not None

    refused(run, "Run upkeep of optimize")


def test_a_run_that_has_published_nothing_cannot_be_undone(done: Reprocessing) -> None:
    done.states.set("run", "SUCCEEDED")
    trial = Reprocessing(done.lake, "trial", request(mode="dry_run"), states=done.states)
    trial.run()
    refused(trial, "has published nothing: it was no run that applies")

    stopped = Reprocessing(done.lake, "stopped", states=done.states).prepare()
    refused(stopped, "has no snapshot in the history")


def test_a_run_that_there_never_was_is_no_input(done: Reprocessing) -> None:
    done.run_id = "typo"

    refused(done, "undo: 'typo' is no run of reprocess", InvalidInput)


def test_a_range_that_another_execution_holds_is_left_as_it_is(done: Reprocessing) -> None:
    other = Reprocessing(done.lake, "other", states=done.states)
    other.plan()
    done.states.set("run", "SUCCEEDED")
    claims = other._claims("other")
    claims.hold("other", other.request.scope, STARTED_AT)

    refused(done, "Run other has had", RangeHeld)


@pytest.mark.parametrize("which", ["snapshot_id", "snapshot_before"])
def test_a_run_whose_snapshots_have_expired_cannot_be_undone(done: Reprocessing, which: str) -> None:
    lake = done.lake
    snapshot_id = int(getattr(done.commit(), which))
    lake.put("c", [reading("pump-5", at=YESTERDAY)])
    lake.run("next")
    lake.table().maintenance.expire_snapshots().by_id(snapshot_id).commit()

    refused(done, "has expired")


def test_a_table_that_was_partitioned_otherwise_before_is_left_as_it_is() -> None:
    lake = filled()
    lake.partition_by = "hour"
    run = Reprocessing(lake, decoding=EARLY)
    run.run()

    refused(run, "partitioned otherwise before run run")


def test_rows_that_were_deleted_since_do_not_come_back(done: Reprocessing) -> None:
    (key,) = [key for key in live_files(done.lake) if "reprocessed" in key]
    others.delete_first_row(done.lake, key)

    refused(done, "Rows were deleted since run run, and would come back")


def test_what_was_deleted_since_with_its_files_does_not_come_back(done: Reprocessing) -> None:
    done.lake.table().delete()

    refused(done, "are no files of the table any more, .* A commit of none of our machines")


def test_a_file_that_is_gone_is_named(done: Reprocessing) -> None:
    removed = {task.file.file_path for task in published_before(done.lake)}
    live = {task.file.file_path for task in done.lake.table().scan().plan_files()}
    gone = min(removed - live)
    done.lake.store.delete(gone.removeprefix(f"s3://{done.lake.processed}/"))

    refused(done, f"{gone}, which run run has replaced, is gone")


def test_no_table_is_nothing_to_undo(done: Reprocessing) -> None:
    done.lake.glue.tables.clear()

    with pytest.raises(CannotUndo, match="no snapshot in the history"):
        done.undo()


def test_copies_of_an_attempt_that_failed_are_used_again_while_they_are_young(
    done: Reprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_back = LakeTable.put_back
    copied: list[str] = []
    copy = done.lake.s3.copy_object

    def counted(**wanted: Any) -> None:
        copied.append(wanted["Key"])
        copy(**wanted)

    def fails(*_: Any) -> int:
        raise ReadTimeoutError(endpoint_url="glue")

    monkeypatch.setattr(done.lake.s3, "copy_object", counted)
    monkeypatch.setattr(LakeTable, "put_back", fails)
    with pytest.raises(Exception, match="could not be committed in 5 attempts"):
        done.undo()
    assert len(copied) == 2

    done.lake.s3.now += timedelta(days=2)
    monkeypatch.setattr(LakeTable, "put_back", put_back)
    done.undo()
    assert len(copied) == 4
    assert ordered(done.lake.rows()) == before()


def test_an_undo_whose_answer_was_lost_is_found(done: Reprocessing, monkeypatch: pytest.MonkeyPatch) -> None:
    update = done.lake.glue.update_table
    faults: list[Exception] = [ReadTimeoutError(endpoint_url="glue")]

    def loses(**wanted: Any) -> None:
        update(**wanted)
        if faults:
            raise faults.pop()

    monkeypatch.setattr(done.lake.glue, "update_table", loses)
    snapshots = len(done.lake.table().metadata.snapshots)

    done.undo()

    assert len(done.lake.table().metadata.snapshots) == snapshots + 1
    assert ordered(done.lake.rows()) == before()


def test_a_compaction_just_before_the_swap_is_looked_at(done: Reprocessing, monkeypatch: pytest.MonkeyPatch) -> None:
    put_back = LakeTable.put_back
    done.lake.put("c", [reading("pump-5")])

    def overtaken(self: LakeTable, *arguments: Any) -> int:
        monkeypatch.setattr(LakeTable, "put_back", put_back)
        done.lake.run("next")
        return put_back(self, *arguments)

    monkeypatch.setattr(LakeTable, "put_back", overtaken)

    with pytest.raises(CannotUndo, match="Run next of compact"):
        done.undo()

    assert [row["device_id"] for row in done.lake.rows()][-2:] == ["pump-5", "pump-9"]


def test_the_upkeep_leaves_what_an_undo_has_put_back(done: Reprocessing) -> None:
    done.undo()
    rows = done.lake.rows()

    done.lake.s3.now += timedelta(days=60)
    expired = expirer(done.lake, keep_days=0).expire("upkeep")
    sweeper(done.lake).close("upkeep", None, expired)

    assert done.lake.rows() == rows
    named = reachable(done.lake.table())
    assert all(f"s3://{done.lake.processed}/{key}" in named for key in live_files(done.lake))


ASKED: list[tuple[Any, str]] = [
    ({}, "undo: missing"),
    ({"undo": 7}, "undo: 7 is no run"),
    ({"undo": "run", "from": "2026"}, "from: unknown field"),
    ({"undo": "run", "note": 7}, "note: 7"),
    ([], "input: not an object"),
]


@pytest.mark.parametrize(("asked", "says"), ASKED)
def test_an_input_that_cannot_be_used_is_refused_by_its_field(asked: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        wish(asked, "undo", STARTED_AT)


def test_note_and_name_may_be_left_out() -> None:
    assert wish({"undo": "run"}, "undo", STARTED_AT) == Wish("run", "undo", STARTED_AT, "", None)
