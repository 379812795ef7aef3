"""Files of the table stay where what comes out of their merge is what they have, in every column of every row."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from compaction import spill
from optimization import reading as reading_module
from optimization.errors import FilesReplaced
from optimization.manifests import Key
from reprocessing.errors import CannotUndo, RangeHeld
from reprocessing.keys import committed_key, merged_key
from reprocessing.report.page import headline
from reprocessing.request import Scope
from sensors.settings import Decoding
from tests.lake import AT, Lake, reading
from tests.lambdas.optimization import by_hand
from tests.lambdas.reprocessing import harness, merges
from tests.lambdas.reprocessing.harness import EVERYTHING, Reprocessing
from tests.lambdas.reprocessing.merges import AT_MS, HOUR_MS, Merge, Row, Run, request

NOON_MS = AT_MS + 3 * HOUR_MS
SCOPE = Scope(AT_MS, NOON_MS)
OLD = [Row("a"), Row("a", AT_MS + 1), Row("b", other_metrics=(("x", 1.0),)), Row("b", NOON_MS)]
"""Three rows of the scope, and one after it."""

EARLY = Decoding(future_tolerance_s=7200)
"""Rules by which a reading from an hour ahead, which was rejected, is one."""


def planned(lake: Lake, folder: Path, staged: Sequence[Row], **asked: Any) -> Merge:
    """The merge of a run that has decoded these rows, those of each object in a task of its own."""
    run = Run(lake, request(SCOPE, **asked), folder)
    for source in ("one", "two"):
        run.decode([row for row in staged if row.source_object == source], [source])
    return run.plan()


def test_a_task_of_which_the_same_comes_out_writes_no_file(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", OLD, tmp_path)
    merge = planned(memory_lake, tmp_path, OLD[:3])
    effects = len(memory_lake.s3.effects.names)

    (result,) = merge.merge()

    assert (result.keeps_files, result.files, result.written.rows) == (True, (), 4)
    assert memory_lake.s3.effects.names[effects:] == [f"put {merged_key('run', merge.merge_id, result.task_id)}"]


def test_rows_of_which_there_are_more_than_fit_into_memory_are_the_same_too(
    memory_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Row(f"pump-{number % 7}", AT_MS + number, other_metrics=(("x", 1.0),)) for number in range(200)]
    for name, part in (("1", rows[:90]), ("2", rows[90:])):
        merges.add(memory_lake, name, part, tmp_path)
    monkeypatch.setattr(spill, "RUN_BYTES", 3000)
    monkeypatch.setattr(spill, "_BATCH_BYTES", 1000)
    monkeypatch.setattr(reading_module, "_BATCH_ROWS", 7)

    assert [result.keeps_files for result in planned(memory_lake, tmp_path, rows).merge()] == [True]


DIFFERENT = {
    "value": [OLD[0]._replace(temperature=7.0), *OLD[1:3]],
    "time of arrival": [OLD[0]._replace(received_at=AT_MS + 51), *OLD[1:3]],
    "source": [OLD[0]._replace(source_object="two"), *OLD[1:3]],
    "place of a value": [
        *OLD[:2],
        OLD[2]._replace(temperature=None, other_metrics=(("temperature", 20.5), ("x", 1.0))),
    ],
    "one less": OLD[:2],
    "one more": [*OLD[:3], Row("c")],
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_whatever_differs_the_files_give_way(memory_lake: Lake, tmp_path: Path, what: str) -> None:
    merges.add(memory_lake, "old", OLD, tmp_path)

    merge = planned(memory_lake, tmp_path, DIFFERENT[what])

    assert merge.published() == sorted([*DIFFERENT[what], OLD[3]])
    (result,) = merge.merge()
    assert not result.keeps_files
    assert sum(file.rows for file in result.files) == result.written.rows


@pytest.mark.parametrize("twice", [OLD[0], OLD[3]], ids=["of the scope", "beside it"])
def test_files_with_a_row_that_is_there_twice_give_way(memory_lake: Lake, tmp_path: Path, twice: Row) -> None:
    merges.add(memory_lake, "old", OLD, tmp_path)
    merges.add(memory_lake, "more", [twice, Row("c")], tmp_path)

    (result,) = planned(memory_lake, tmp_path, [*OLD[:3], Row("c")]).merge()

    assert (result.keeps_files, result.written.rows, len(result.files)) == (False, 5, 1)


def test_a_record_that_is_in_the_archive_twice_is_no_difference(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", OLD, tmp_path)
    again = OLD[0]._replace(source_object="two", received_at=AT_MS)

    (result,) = planned(memory_lake, tmp_path, [*OLD[:3], again]).merge()

    assert (result.keeps_files, result.duplicates.rows) == (True, 1)


def test_files_that_drained_lines_join_give_way_though_all_is_there(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", OLD, tmp_path)

    (result,) = planned(memory_lake, tmp_path, OLD[:3], source="quarantine").merge()

    assert (result.keeps_files, result.changes.same, len(result.files)) == (False, 3, 1)


@pytest.mark.parametrize(("temperature", "keeps"), [(20.5, [True, True]), (7.0, [False, True])])
def test_a_task_that_shares_its_group_writes_its_files_for_another_may_need_them(
    memory_lake: Lake, tmp_path: Path, temperature: float, keeps: list[bool]
) -> None:
    merges.add(memory_lake, "old", OLD, tmp_path)
    staged = [OLD[0]._replace(temperature=temperature), *OLD[1:3]]
    merge = planned(memory_lake, tmp_path, staged)
    cut: Key = ("b", 0)
    merge.cut(cut)

    results = merge.merge()

    assert [result.keeps_files for result in results] == keeps
    assert [len(result.files) for result in results] == [1, 1]
    assert merge.published() == sorted([*staged, OLD[3]])


def filled(lake: Lake) -> Lake:
    """Four readings of two days, one that was rejected yesterday, and one file a day and object."""
    lake.put("a", [reading("pump-1"), reading("pump-2"), _ahead("pump-9", AT - 86_400), b"garbage"])
    lake.put("b", [reading("pump-3", at=AT - 86_400), reading("pump-4", at=AT - 86_400)])
    lake.run("a")
    return lake


def _ahead(device: str, at: float) -> dict[str, Any]:
    """A reading that has arrived an hour before it was measured."""
    return reading(device, at=at, temperature=9.0, received_at=int((at - 3600) * 1000))


def held(lake: Lake) -> tuple[Any, list[str], list[str]]:
    """The table's snapshot, its files, whoever names them, and the quarantine."""
    files = list(lake.store.keys("warehouse/readings/data/"))
    return lake.table().metadata.current_snapshot_id, files, list(lake.store.keys("quarantine/"))


def run_of(lake: Lake, run_id: str = "run", decoding: Decoding | None = None, **asked: Any) -> Reprocessing:
    return Reprocessing(lake, run_id, harness.request(EVERYTHING, **asked), decoding)


def test_a_run_that_changes_nothing_publishes_nothing_and_says_so(memory_lake: Lake) -> None:
    before = held(filled(memory_lake))

    report = run_of(memory_lake).whole()

    assert held(memory_lake) == before
    assert (report.outcome, report.snapshot_id, report.readings.same) == ("applied", None, 4)
    assert set(msgspec.structs.asdict(report.written).values()) == {0}
    assert headline(report) == "Applied: of 4 readings, none differs, there was nothing to change."


def test_only_the_files_of_groups_with_a_change_are_replaced(memory_lake: Lake) -> None:
    filled(memory_lake)
    (today,) = [key for key in by_hand.live_files(memory_lake) if "day=2026-11-21" in key]

    answer = run_of(memory_lake, decoding=EARLY).run()

    assert (answer.files_replaced, answer.files_written, answer.rows_replaced, answer.rows_written) == (1, 1, 2, 3)
    assert today in by_hand.live_files(memory_lake)
    assert [row["device_id"] for row in memory_lake.rows()] == ["pump-1", "pump-2", "pump-3", "pump-4", "pump-9"]


@pytest.mark.parametrize("decoding", [None, EARLY])
def test_a_group_of_several_tasks_is_replaced_as_a_whole_or_not_at_all(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch, decoding: Decoding | None
) -> None:
    for number in range(3):
        memory_lake.put(f"{number}", [reading(f"pump-{number}{one}", at=AT + number) for one in range(3)])
    memory_lake.put("ahead", [_ahead("pump-00", AT + 5)])
    memory_lake.run("a", task_bytes=1)
    before, snapshot_id = memory_lake.rows(), held(memory_lake)[0]
    monkeypatch.setattr(harness, "FILE_BYTES", 3000)

    run = run_of(memory_lake, decoding=decoding)
    answer = run.run()

    assert len(keeps := [result.keeps_files for result in run.merge()]) > 1
    if decoding is None:
        assert (set(keeps), answer.snapshot_id, held(memory_lake)[0]) == ({True}, None, snapshot_id)
        assert memory_lake.rows() == before
    else:
        assert (set(keeps), answer.rows_written) == ({True, False}, 10)
        assert [row for row in memory_lake.rows() if row["temperature"] != 9.0] == before


def test_the_hot_table_is_mended_though_the_table_is_as_it_should_be(memory_lake: Lake) -> None:
    before = held(filled(memory_lake))

    report = run_of(memory_lake, targets=("table", "hot")).whole()

    assert report.hot is not None
    assert (report.hot.written, report.snapshot_id, held(memory_lake)) == (4, None, before)


def test_what_the_upkeep_replaces_meanwhile_is_nothing_to_a_run_without_a_change(memory_lake: Lake) -> None:
    run = run_of(filled(memory_lake)).prepare()
    by_hand.optimize(memory_lake, "rewrite")
    before = held(memory_lake)

    assert run.commit().snapshot_id is None
    assert held(memory_lake) == before


@pytest.mark.parametrize("how", ["published", "undone"])
def test_a_run_over_the_range_while_one_without_a_change_stood_still_has_it_merged_anew(
    memory_lake: Lake, how: str
) -> None:
    """Its execution had stopped: as long as that runs, nobody else has the range."""
    other = run_of(filled(memory_lake), "other", decoding=EARLY)
    if how == "undone":
        other.whole()
    run = run_of(memory_lake, decoding=EARLY if how == "undone" else None, allow_fewer=True).prepare()
    other.undo() if how == "undone" else other.whole()

    with pytest.raises(FilesReplaced, match="Run other has changed the range"):
        run.commit()

    assert run.merge_and_commit(2).files_replaced == 1
    assert ("pump-9" in [row["device_id"] for row in memory_lake.rows()]) == (how == "undone")


def test_a_run_over_another_range_is_nothing_to_one_without_a_change(memory_lake: Lake) -> None:
    run = Reprocessing(filled(memory_lake)).prepare()
    yesterday = Scope(0, run.request.scope.start_ms)
    other = Reprocessing(memory_lake, "other", harness.request(yesterday), EARLY)

    assert other.whole().snapshot_id is not None

    assert run.commit().snapshot_id is None


def test_a_run_without_a_change_has_to_have_its_range(memory_lake: Lake) -> None:
    run = run_of(filled(memory_lake)).prepare()
    run.states.set(run.execution, "FAILED")
    other = run_of(memory_lake, "other", decoding=EARLY)
    other.states = run.states
    other.plan()
    run.states.set(run.execution, "RUNNING")

    with pytest.raises(RangeHeld):
        run.commit()


def test_the_commit_of_a_run_without_a_change_answers_the_same_however_often_it_is_asked(memory_lake: Lake) -> None:
    run = run_of(filled(memory_lake))
    first = run.run()
    memory_lake.store.delete(committed_key("run"))

    assert run.commit() == first == run.commit()


def test_a_run_without_a_change_is_carried_on_until_it_is_reported(memory_lake: Lake) -> None:
    run_of(filled(memory_lake), "first", fresh=False).run()

    carried_on, anew = (run_of(memory_lake, name, fresh=False) for name in ("second", "third"))

    assert carried_on.whole().run_id == "first"
    assert anew.whole().run_id == "third"


def test_there_is_nothing_to_take_back_of_a_run_without_a_change(memory_lake: Lake) -> None:
    run = run_of(filled(memory_lake))
    run.whole()
    before = held(memory_lake)

    with pytest.raises(CannotUndo, match="Run run found nothing to change in the table"):
        run.undo()
    assert held(memory_lake) == before


def test_a_run_is_taken_back_behind_one_that_had_nothing_to_change(memory_lake: Lake) -> None:
    before = filled(memory_lake).rows()
    run = run_of(memory_lake, decoding=EARLY)
    run.whole()

    assert run_of(memory_lake, "again", decoding=EARLY).whole().snapshot_id is None
    run.undo()

    assert memory_lake.rows() == before


def test_an_undo_does_not_take_away_what_a_later_run_has_drained_though_it_was_there(memory_lake: Lake) -> None:
    first = run_of(filled(memory_lake), decoding=EARLY)
    first.whole()
    drain = run_of(memory_lake, "drain", decoding=EARLY, source="quarantine")

    assert drain.whole().readings.added == 0
    with pytest.raises(CannotUndo, match="Undo run drain first, then this one"):
        first.undo()
    drain.undo()
    first.undo()

    assert [row["device_id"] for row in memory_lake.rows()] == ["pump-1", "pump-2", "pump-3", "pump-4"]
    assert not list(memory_lake.store.keys("ledger/quarantine/"))
