"""Planning a merge: which files, in which groups, and which rows of theirs stay."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyiceberg.manifest import DataFileContent
from pyiceberg.typedef import Record

from compaction.errors import InvalidInput, ResultMissing
from optimization.errors import FileNotRewritable, RowsDeleted
from optimization.manifests import SourceFile
from reprocessing.errors import RulesChanged
from reprocessing.keys import (
    committed_key,
    decoded_key,
    merge_plan_key,
    merge_prefix,
)
from reprocessing.manifests import Committed
from reprocessing.merge import planning
from reprocessing.request import Scope
from reprocessing.snapshots import MERGE_ID_PROPERTY, RUN_ID_PROPERTY
from reprocessing.touching import sources_of
from tests.lake import Lake
from tests.lambdas.optimization import others
from tests.lambdas.optimization.by_hand import optimize
from tests.lambdas.reprocessing import merges
from tests.lambdas.reprocessing.merges import AT_MS, DAY_MS, HOUR_MS, Merge, Row, Run, request

TODAY = Scope(AT_MS, AT_MS + HOUR_MS)


def names(files: Iterable[SourceFile]) -> list[str]:
    """What the keys of files end with, without the ending."""
    return [file.key.rsplit("/", 1)[-1].removesuffix(".parquet") for file in files]


def old_names(merge: Merge) -> list[list[str]]:
    return [names(group.old) for group in merge.groups]


def publish(lake: Lake, merge: Merge, properties: dict[str, str]) -> None:
    """Put what was merged in the place of what it was merged from."""
    table = lake.table()
    location = f"s3://{lake.processed}/"
    gone = {location + file.key for group in merge.groups for file in group.old}
    files = [task.file for task in table.scan().plan_files() if task.file.file_path in gone]
    written = [location + file.key for result in merge.merge() for file in result.files]
    lake.lake_table().replace(table, files, written, properties)


def test_files_with_rows_of_the_scope_or_keys_of_the_staged_ones_are_merged_and_no_others(
    memory_lake: Lake, tmp_path: Path
) -> None:
    lake = memory_lake
    merges.add(lake, "of-the-scope", [Row("a"), Row("k", AT_MS - 1)], tmp_path)
    merges.add(lake, "too-early", [Row("a", AT_MS - 1)], tmp_path)
    merges.add(lake, "too-late", [Row("a", AT_MS + HOUR_MS)], tmp_path)
    merges.add(lake, "yesterday", [Row("a", AT_MS - DAY_MS)], tmp_path)
    merges.add(lake, "another-device", [Row("b"), Row("c")], tmp_path)
    merges.add(lake, "elsewhere", [Row("pump-7"), Row("pump-9")], tmp_path)
    run = Run(lake, request(msgspec.structs.replace(TODAY, devices=("a", "pump-*"))), tmp_path)
    run.decode([Row("a"), Row("m")])

    merge = run.plan()

    assert old_names(merge) == [["of-the-scope"], ["elsewhere"]]
    assert [names(group.staged) for group in merge.groups] == [["00000"], []]
    assert {group.partition for group in merge.groups} == {"measured_at_day=2026-11-21"}
    assert all(group.replaces for group in merge.groups)


def test_the_first_and_last_millisecond_of_the_scope_decide(memory_lake: Lake, tmp_path: Path) -> None:
    moments = {"before": -1, "first": 0, "last": HOUR_MS - 1, "after": HOUR_MS}
    for name, moment in moments.items():
        merges.add(memory_lake, name, [Row("a", AT_MS + moment)], tmp_path)
    run = Run(memory_lake, request(TODAY), tmp_path)

    assert sorted(name for group in old_names(run.plan()) for name in group) == ["first", "last"]


def test_before_there_is_a_table_what_was_decoded_is_merged_alone(memory_lake: Lake, tmp_path: Path) -> None:
    run = Run(memory_lake, request(), tmp_path)
    devices = [f"pump-{number:02}" for number in range(40)]
    first = [Row(device) for device in devices[:30]]
    last = [Row(device, temperature=1.0, received_at=AT_MS + 60) for device in devices[20:]]
    run.decode([*first, Row("a", AT_MS + DAY_MS)], ["one"])
    run.decode(last, ["two"])

    answer = run.planner(file_bytes=3000).plan("run", 0)

    assert answer == {
        "run_id": "run",
        "merge_id": "00-0",
        "attempt": 0,
        "tasks": 3,
        "plan": {"bucket": memory_lake.processed, "key": merge_plan_key("run", "00-0")},
    }
    merge = Merge(run, "00-0")
    assert merge.published() == [Row("a", AT_MS + DAY_MS), *first[:20], *last]
    assert memory_lake.lake_table().find() is None


def test_a_run_with_nothing_to_merge_has_an_empty_plan(memory_lake: Lake, tmp_path: Path) -> None:
    answer = Run(memory_lake, request(), tmp_path).planner().plan("run", 0)

    assert answer["tasks"] == 0
    assert memory_lake.store.read(answer["plan"]["key"]) == b""


def test_files_of_the_hot_table_alone_are_in_groups_of_their_own_keys(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("z")], tmp_path)
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a")])
    run.decode([Row("b", AT_MS + DAY_MS), Row("c")], ["waiting"], to_table=False)

    merge = run.plan()

    assert old_names(merge) == [["old"], []]
    assert [names(group.staged) for group in merge.groups] == [["00000"], []]
    assert [names(group.hot) for group in merge.groups] == [["00000", "00001"], ["00001"]]
    assert [len(result.files) for result in merge.merge()] == [1, 0]


@pytest.mark.parametrize("mode", ["dry_run", "backtest"])
def test_nothing_is_for_the_hot_table_in_a_run_that_only_looks(memory_lake: Lake, tmp_path: Path, mode: str) -> None:
    run = Run(memory_lake, request(mode=mode), tmp_path)
    run.decode([Row("a")])
    run.decode([Row("c")], ["waiting"], to_table=False)

    merge = run.plan()

    assert [group.hot for group in merge.groups] == [()] * len(merge.groups)
    staged = [name for group in merge.groups for name in names(group.staged)]
    assert staged == (["00000", "00001"] if mode == "backtest" else ["00000"])


def test_the_same_answer_comes_again_and_another_one_for_another_table_or_attempt(
    memory_lake: Lake, tmp_path: Path
) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("b")], tmp_path)
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a")])
    answer = run.planner().plan("run", 0)
    prefix = merge_prefix("run", answer["merge_id"])
    written = {key: memory_lake.store.read(key) for key in memory_lake.store.keys(prefix)}
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=answer["plan"]["key"])

    assert run.planner().plan("run", 0) == answer
    assert {key: memory_lake.store.read(key) for key in memory_lake.store.keys(prefix)} == written
    effects = list(memory_lake.s3.effects.names)
    assert run.planner().plan("run", 0) == answer
    assert memory_lake.s3.effects.names == effects
    merge_ids = {answer["merge_id"], run.plan(attempt=1).merge_id}
    merges.add(memory_lake, "more", [Row("c")], tmp_path)
    merge_ids |= {run.plan().merge_id, run.plan(attempt=1).merge_id}
    assert len(merge_ids) == 4


@pytest.mark.parametrize("says", ["table", "run"])
def test_a_run_that_is_published_keeps_the_merge_that_it_has_published(
    memory_lake: Lake, tmp_path: Path, says: str
) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("b")], tmp_path)
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a", temperature=1.0)])
    merge = run.plan(attempt=2)
    if says == "table":
        publish(memory_lake, merge, {RUN_ID_PROPERTY: "run", MERGE_ID_PROPERTY: merge.merge_id})
    else:
        publish(memory_lake, merge, {})
        committed = Committed("run", merge.merge_id, None, "1", 0, 0, 0, 0, {})
        memory_lake.store.write(committed_key("run"), msgspec.json.encode(committed))
    merges.add(memory_lake, "more", [Row("c")], tmp_path)

    assert run.plan().merge_id == merge.merge_id


def test_files_that_an_optimization_has_written_meanwhile_are_looked_into(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("b")], tmp_path)
    run = Run(memory_lake, request(TODAY), tmp_path)
    run.decode([Row("a", temperature=1.0)], ["one"])
    others_rows = [Row("a", AT_MS + 1, source_object="two"), Row("b", AT_MS - 1, source_object="three")]
    merges.add(memory_lake, "meanwhile", others_rows, tmp_path)
    optimize(memory_lake, "optimize")

    merge = run.plan()

    assert [group.kept_sources for group in merge.groups] == [("two",)]
    assert merge.published() == sorted([Row("a", temperature=1.0), *others_rows])


def test_where_the_planned_snapshot_has_expired_every_file_is_looked_into(
    memory_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("b", source_object="gone")], tmp_path)
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a")], ["one"])
    run.miss("gone")
    merges.add(memory_lake, "meanwhile", [Row("c", source_object="two")], tmp_path)
    looked_into: list[str] = []

    def look(io: Any, path: str, scope: Scope) -> set[str]:
        looked_into.append(path.rsplit("/", 1)[-1])
        return sources_of(io, path, scope)

    monkeypatch.setattr(planning, "sources_of", look)
    kept = [group.kept_sources for group in run.plan().groups]
    assert looked_into == ["meanwhile.parquet"]
    table = memory_lake.table()
    table.maintenance.expire_snapshots().by_id(table.metadata.snapshots[0].snapshot_id).commit()

    assert [group.kept_sources for group in run.plan(attempt=1).groups] == kept == [(), ("two",)]
    assert looked_into == ["meanwhile.parquet", "old.parquet", "meanwhile.parquet"]


def test_rows_of_waiting_objects_that_were_compacted_meanwhile_stay(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", [Row("a")], tmp_path)
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a")])
    run.decode([Row("b", source_object="waiting")], ["waiting"], to_table=False)
    merges.add(memory_lake, "meanwhile", [Row("b", source_object="waiting")], tmp_path)

    assert run.plan().published() == [Row("a"), Row("b", source_object="waiting")]


def test_in_a_dry_run_rows_of_frozen_objects_stay(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("b", source_object="frozen")], tmp_path)
    run = Run(memory_lake, request(mode="dry_run"), tmp_path, frozen=1)
    run.decode([Row("a", temperature=1.0)])

    merge = run.plan()

    assert [group.kept_sources for group in merge.groups] == [("frozen",)]
    (result,) = merge.merge()
    assert (result.changes.changed, result.changes.same, result.changes.vanished) == (1, 1, 0)


def test_a_large_group_is_cut_into_ranges_of_about_as_many_rows(memory_lake: Lake, tmp_path: Path) -> None:
    devices = [f"device-{number:03}" for number in range(100)]
    for number in range(3):
        merges.add(memory_lake, f"{number}", [Row(device, AT_MS + number) for device in devices], tmp_path)
    run = Run(memory_lake, request(), tmp_path)
    rows = [Row(device, AT_MS + number) for device in devices for number in range(4)]
    run.decode(rows)
    (group,) = run.plan().groups
    size = sum(file.bytes for file in (*group.old, *group.staged))

    merge = run.plan(attempt=1, file_bytes=size // 4)

    starts = [task.start[0] for task in merge.tasks if task.start]
    assert len(starts) == 3
    for start, expected in zip(starts, (25, 50, 75), strict=True):
        assert abs(devices.index(start) - expected) <= 15
    assert merge.published() == sorted(rows)


def test_a_merge_that_is_too_large_is_refused_with_what_to_write(
    memory_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MAX_TASKS", 1)
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a"), Row("a", AT_MS + DAY_MS)])

    with pytest.raises(InvalidInput, match=r"from, to, devices: .* 2 tasks.* at most 1\. Write a shorter range"):
        run.plan()


def test_decoding_that_is_not_done_or_was_done_by_other_rules_is_not_merged(memory_lake: Lake, tmp_path: Path) -> None:
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a")])
    run.decode([Row("b")], rules="others")

    with pytest.raises(RulesChanged, match="result of task 00001 of run run"):
        run.plan()
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=decoded_key("run", "00001"))
    with pytest.raises(ResultMissing, match="1 of its tasks, the first is task 00001"):
        run.plan()


def deleted(lake: Lake) -> None:
    (key,) = [key for key in merges.live(lake) if key.endswith("old.parquet")]
    others.delete_first_row(lake, key)


def elsewhere(lake: Lake) -> None:
    others.add(lake, "x.parquet", DataFileContent.DATA, Record(AT_MS // DAY_MS), bucket="elsewhere")


@pytest.mark.parametrize(
    ("harm", "error", "says"),
    [
        (deleted, RowsDeleted, r"measured_at_day=2026-11-21 has row-level deletes.*'from' and 'to'"),
        (elsewhere, FileNotRewritable, r"s3://elsewhere/x\.parquet.*Write its rows anew"),
    ],
)
def test_what_a_rewrite_would_not_keep_ends_the_run_only_where_it_is_in_the_way(
    memory_lake: Lake, tmp_path: Path, harm: Any, error: type[Exception], says: str
) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("b")], tmp_path)
    yesterday = Row("a", AT_MS - DAY_MS)
    merges.add(memory_lake, "yesterday", [yesterday], tmp_path)
    harm(memory_lake)

    for mode in ("apply", "dry_run"):
        with pytest.raises(error, match=says):
            Run(memory_lake, request(TODAY, mode=mode), tmp_path, mode).plan()
    for run_id, asked in (
        ("backtest", request(TODAY, mode="backtest")),
        ("hot", request(TODAY, targets=("hot",))),
    ):
        Run(memory_lake, asked, tmp_path, run_id).plan()
    early = Run(memory_lake, request(Scope(AT_MS - DAY_MS, AT_MS - DAY_MS + 1)), tmp_path, "early")
    assert old_names(early.plan()) == [["yesterday"]]


def test_a_file_with_a_column_that_the_table_lacks_ends_the_run(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", [Row("a")], tmp_path)
    run = Run(memory_lake, request(), tmp_path)
    with memory_lake.table().update_schema() as schema:
        schema.rename_column("vibration", "shaking")

    with pytest.raises(FileNotRewritable, match=r"old\.parquet has columns that the table does not name.*vibration"):
        run.plan()
