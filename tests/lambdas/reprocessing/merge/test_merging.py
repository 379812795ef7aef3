"""Merging what was decoded with the table: what is replaced, what is kept, and that nothing else becomes of any row."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from compaction import spill
from compaction.errors import FileMismatch, ResultMissing
from optimization import reading as reading_module
from optimization.accounting import Account
from optimization.manifests import Key
from reprocessing.changes import MetricChange
from reprocessing.errors import RulesChanged
from reprocessing.keys import merged_key
from reprocessing.merge_manifests import MergeResult
from reprocessing.request import Scope
from sensors.settings import Metric, Threshold
from tests.lake import Lake
from tests.lambdas.reprocessing import merges
from tests.lambdas.reprocessing.merges import AT_MS, DAY_MS, HOUR_MS, Merge, Row, Run, request

NOON_MS = AT_MS + 3 * HOUR_MS


def check_account(merge: Merge, results: Sequence[MergeResult]) -> None:
    """Every row of every file of every group was read once, and is replaced, a duplicate or written."""
    accounts: dict[str, Account] = {}
    for task, result in zip(merge.tasks, results, strict=True):
        account = accounts.setdefault(task.group, Account())
        account.read(result.sources)
        for name in ("replaced", "duplicates", "written"):
            tally = getattr(result, name)
            account.went(name, tally.rows, tally.key_checksum)
    for group, (key, account) in zip(merge.groups, accounts.items(), strict=True):
        account.check(key, (*group.old, *group.staged))


def test_rows_of_the_scope_give_way_to_what_was_decoded_and_all_others_stay(memory_lake: Lake, tmp_path: Path) -> None:
    outside = [Row("a", AT_MS - 1), Row("a", NOON_MS), Row("b", AT_MS, other_metrics=(("x", 1.0),))]
    merges.add(memory_lake, "old", [Row("a"), Row("a", NOON_MS - 1), *outside], tmp_path)
    run = Run(memory_lake, request(Scope(AT_MS, NOON_MS, ("a",))), tmp_path)
    run.decode([Row("a", temperature=7.0), Row("a", AT_MS + 5)])

    merge = run.plan()

    assert merge.published() == sorted([Row("a", temperature=7.0), Row("a", AT_MS + 5), *outside])
    (result,) = merge.merge()
    assert (result.replaced.rows, result.duplicates.rows, result.written.rows) == (2, 0, 5)
    changes = result.changes
    assert (changes.before, changes.after, changes.changed, changes.added, changes.vanished) == (2, 2, 1, 1, 1)
    check_account(merge, [result])
    (file,) = result.files
    assert file.key == (
        f"warehouse/readings/data/measured_at_day=2026-11-21/run-{merge.merge_id}-00000-000-reprocessed.parquet"
    )


def test_rows_of_objects_that_the_run_has_not_decoded_stay_though_they_are_of_the_scope(
    memory_lake: Lake, tmp_path: Path
) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("c")], tmp_path)
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a", temperature=7.0)], ["one"])
    late = [Row("a", AT_MS + 1, source_object="two"), Row("b", source_object="two")]
    merges.add(memory_lake, "compacted meanwhile", late, tmp_path)

    merge = run.plan()

    assert merge.published() == sorted([Row("a", temperature=7.0), *late])
    assert [group.kept_sources for group in merge.groups] == [("two",)]
    (result,) = merge.merge()
    assert result.changes.vanished_by_source == {"one": 1}
    assert (result.changes.before, result.changes.after) == (4, 3)


@pytest.mark.parametrize(
    ("kept", "staged", "stays"),
    [
        (Row("a", temperature=1.0, received_at=2), Row("a", temperature=2.0, received_at=1), 1.0),
        (Row("a", temperature=1.0, received_at=1), Row("a", temperature=2.0, received_at=2), 2.0),
        (Row("a", temperature=1.0, source_object="zzz"), Row("a", temperature=2.0), 1.0),
        (Row("a", temperature=1.0, source_object="aaa"), Row("a", temperature=2.0), 2.0),
    ],
)
def test_of_a_kept_row_and_a_decoded_one_of_the_same_key_the_last_received_stays(
    memory_lake: Lake, tmp_path: Path, kept: Row, staged: Row, stays: float
) -> None:
    run = Run(memory_lake, request(), tmp_path)
    run.decode([staged], ["one"])
    kept = kept._replace(source_object=kept.source_object.replace("one", "two"))
    merges.add(memory_lake, "meanwhile", [kept], tmp_path)

    merge = run.plan()

    assert [row.temperature for row in merge.published()] == [stays]
    (result,) = merge.merge()
    assert (result.duplicates.rows, result.replaced.rows) == (1, 0)
    assert (result.changes.before, result.changes.after) == (1, 1)


def test_of_a_row_of_the_table_and_one_of_the_same_record_decoded_again_the_new_one_stays(
    memory_lake: Lake, tmp_path: Path
) -> None:
    merges.add(memory_lake, "old", [Row("a", temperature=1.0)], tmp_path)
    run = Run(memory_lake, request(failed_tasks_of="an earlier run"), tmp_path)
    run.decode([Row("a", temperature=2.0)])

    merge = run.plan()

    assert merge.published() == [Row("a", temperature=2.0)]


def test_a_record_of_a_failed_task_that_is_measured_at_another_time_by_now_is_there_once(
    memory_lake: Lake, tmp_path: Path
) -> None:
    mine, other = Row("a"), Row("b", source_object="of another task")
    merges.add(memory_lake, "old", [mine, other], tmp_path)
    untouched = merges.add(memory_lake, "aside", [Row("x", source_object="of another task")], tmp_path)
    run = Run(memory_lake, request(failed_tasks_of="an earlier run"), tmp_path)
    run.decode([mine._replace(measured_at=AT_MS + 1)])

    merge = run.plan()

    assert merge.published() == [Row("a", AT_MS + 1), other, Row("x", source_object="of another task")]
    assert not {file.key for group in merge.groups for file in group.old} & {file.key for file in untouched}


def test_rows_that_stood_in_the_table_twice_are_there_once(memory_lake: Lake, tmp_path: Path) -> None:
    before = NOON_MS + 1
    merges.add(memory_lake, "1", [Row("a"), Row("a", before)], tmp_path)
    merges.add(memory_lake, "2", [Row("a", temperature=3.0, received_at=AT_MS + 60), Row("a", before)], tmp_path)
    run = Run(memory_lake, request(Scope(0, NOON_MS)), tmp_path)
    run.decode([Row("a", temperature=3.0, received_at=AT_MS + 60)])

    merge = run.plan()

    assert [row.measured_at for row in merge.published()] == [AT_MS, before]
    (result,) = merge.merge()
    assert (result.replaced.rows, result.duplicates.rows, result.written.rows) == (2, 1, 2)
    changes = result.changes
    assert (changes.before, changes.before_duplicates, changes.same) == (1, 1, 1)
    check_account(merge, [result])


def test_where_nothing_was_decoded_the_rows_vanish(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("b", NOON_MS), Row("z", AT_MS - DAY_MS)], tmp_path)
    run = Run(memory_lake, request(Scope(AT_MS - DAY_MS, NOON_MS)), tmp_path)
    run.miss("one")

    merge = run.plan()

    assert merge.published() == [Row("b", NOON_MS)]
    assert [result.changes.vanished_by_source for result in merge.merge()] == [{"one": 1}, {"one": 1}]
    assert [len(result.files) for result in merge.merge()] == [0, 1]


def test_rejected_records_that_decode_join_the_rows_of_the_table(memory_lake: Lake, tmp_path: Path) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("c", temperature=5.0), Row("e")], tmp_path)
    merges.add(memory_lake, "elsewhere", [Row("x"), Row("y")], tmp_path)
    run = Run(memory_lake, request(source="quarantine", reasons=("bad_metric",)), tmp_path)
    run.decode([Row("b", source_object="two"), Row("c", received_at=AT_MS - 1)], ["quarantine/one"], to_hot=False)

    merge = run.plan()

    rows = [Row("a"), Row("b", source_object="two"), Row("c", temperature=5.0), Row("e"), Row("x"), Row("y")]
    assert merge.published() == rows
    ((group,), (result,)) = merge.groups, merge.merge()
    assert ["old" in file.key for file in group.old] == [True]
    assert (result.replaced.rows, result.duplicates.rows) == (0, 1)
    assert (result.changes.added, result.changes.same, result.changes.vanished) == (1, 3, 0)


def test_rejected_records_join_the_rows_of_a_day_whose_partitions_are_hours_now(
    memory_lake: Lake, tmp_path: Path
) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("a", AT_MS + HOUR_MS)], tmp_path)
    memory_lake.partition_by = "hour"
    run = Run(memory_lake, request(source="quarantine"), tmp_path)
    run.decode([Row("a", received_at=AT_MS - 1)], ["quarantine/one"], to_hot=False)

    merge = run.plan()

    assert merge.published() == [Row("a"), Row("a", AT_MS + HOUR_MS)]


def test_columns_that_a_file_lacks_are_null_and_other_metrics_stay_where_they_are(
    memory_lake: Lake, tmp_path: Path
) -> None:
    memory_lake.metrics = ("vibration",)
    old = Row("a", temperature=None, other_metrics=(("temperature", 1.0), ("x", 2.0)))
    merges.add(memory_lake, "old", [old, old._replace(device_id="b")], tmp_path)
    memory_lake.metrics = ("temperature", "pressure")
    run = Run(memory_lake, request(Scope(0, NOON_MS, ("a",))), tmp_path)
    new = Row("a", temperature=7.0, other_metrics=(("x", 2.0),))
    run.decode([new])

    merge = run.plan()

    (group,) = merge.groups
    assert group.metrics == ("vibration", "temperature", "pressure")
    assert merge.published() == [new, old._replace(device_id="b")]
    assert [result.changes.metrics for result in merge.merge()] == [{"temperature": MetricChange(1, 0, 0, 6.0)}]


@pytest.mark.parametrize(("earlier", "now"), [("day", "hour"), ("hour", "day")])
def test_files_of_another_partitioning_become_files_of_that_of_the_settings(
    memory_lake: Lake, tmp_path: Path, earlier: str, now: str
) -> None:
    memory_lake.partition_by = earlier
    hours = [AT_MS + hour * HOUR_MS for hour in range(3)]
    merges.add(memory_lake, "old", [Row(name, at) for name in "abc" for at in hours], tmp_path)
    memory_lake.partition_by = now
    run = Run(memory_lake, request(Scope(hours[1], hours[2])), tmp_path)
    run.decode([Row(name, hours[1], 7.0) for name in "abd"])
    run.decode([Row("a", hours[1] + 1, 8.0)])

    merge = run.plan()
    merge.cut(("b", 0))
    results = merge.merge()

    kept = [Row(name, at) for name in "abc" for at in (hours[0], hours[2])]
    new = [Row(name, hours[1], 7.0) for name in "abd"] + [Row("a", hours[1] + 1, 8.0)]
    folders = {file.partition for result in results for file in result.files}
    if now == "hour":
        assert folders == {f"measured_at_hour=2026-11-21-{hour:02}" for hour in (9, 10, 11)}
    else:
        assert folders == {"measured_at_day=2026-11-21"}
    assert merge.published() == sorted(kept + new)
    check_account(merge, results)
    assert sum(result.changes.changed for result in results) == 2
    assert sum(result.changes.vanished for result in results) == 1


def test_readings_of_a_day_are_compared_with_their_own_though_partitions_are_hours_now(
    memory_lake: Lake, tmp_path: Path
) -> None:
    keys = [(name, AT_MS + hour * HOUR_MS) for name in "abc" for hour in range(3)]
    old = [Row(*key, temperature=float(number)) for number, key in enumerate(keys)]
    merges.add(memory_lake, "old", old, tmp_path)
    memory_lake.partition_by = "hour"
    run = Run(memory_lake, request(), tmp_path)
    run.decode([old[0]._replace(temperature=7.0), *old[1:]])

    (result,) = run.plan().merge()

    changes = result.changes
    assert (changes.same, changes.changed, changes.added, changes.vanished) == (8, 1, 0, 0)
    assert changes.metrics == {"temperature": MetricChange(1, 0, 0, 7.0)}


CUTS: list[list[Key]] = [
    [("b", 0)],
    [("a", AT_MS + 2), ("b", AT_MS + 1), ("b", AT_MS + 3)],
    [("", 0), ("a", AT_MS), ("zzz", 0)],
]


@pytest.mark.parametrize("cuts", CUTS)
def test_tasks_that_share_a_group_take_each_row_once(memory_lake: Lake, tmp_path: Path, cuts: list[Key]) -> None:
    keys = list(itertools.product("abc", range(AT_MS, AT_MS + 5)))
    merges.add(memory_lake, "1", [Row(*key) for key in keys], tmp_path)
    merges.add(memory_lake, "2", [Row(*key) for key in keys[3:9]], tmp_path)
    run = Run(memory_lake, request(Scope(AT_MS + 1, AT_MS + 4)), tmp_path)
    run.decode([Row(*key, temperature=1.0) for key in keys[:8] if key[1] % 5 in (1, 2, 3)])

    merge = run.plan()
    whole = merge.published()
    merge.cut(*cuts)

    results = merge.merge()
    assert merge.published() == whole
    check_account(merge, results)


def test_a_task_that_runs_again_writes_the_same_bytes_however_rows_are_cut_on_the_way(
    memory_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Row(f"pump-{number % 40:02}", AT_MS + number) for number in range(400)]
    merges.add(memory_lake, "1", rows[::2], tmp_path)
    merges.add(memory_lake, "2", rows[100:], tmp_path)
    run = Run(memory_lake, request(Scope(AT_MS + 50, AT_MS + 350)), tmp_path)
    run.decode([row._replace(temperature=float(row.measured_at % 7)) for row in rows[50:350]])
    merge = run.plan()
    merge.cut(("pump-20", AT_MS + 60))
    results = merge.merge()
    keys = [file.key for result in results for file in result.files]
    keys += [merged_key("run", merge.merge_id, result.task_id) for result in results]
    before = {key: memory_lake.store.read(key) for key in keys}
    for key in keys:
        memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=key)

    monkeypatch.setattr(spill, "RUN_BYTES", 3000)
    monkeypatch.setattr(spill, "_MOST_RUNS", 3)
    monkeypatch.setattr(spill, "_BATCH_BYTES", 1000)
    monkeypatch.setattr(reading_module, "_BATCH_ROWS", 7)

    assert merge.merge() == results
    assert {key: memory_lake.store.read(key) for key in keys} == before


def test_a_task_that_has_a_result_by_the_same_rules_is_not_done_again(memory_lake: Lake, tmp_path: Path) -> None:
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a")])
    merge = run.plan()
    results = merge.merge()
    effects = list(memory_lake.s3.effects.names)

    assert merge.merge() == results
    assert memory_lake.s3.effects.names == effects


@pytest.mark.parametrize(
    "changes",
    [{"mode": "dry_run"}, {"mode": "backtest"}, {"targets": ("hot",)}, {"targets": ("hot",), "mode": "dry_run"}],
)
def test_a_run_that_does_not_write_to_the_table_counts_the_same_and_writes_no_file(
    memory_lake: Lake, tmp_path: Path, changes: dict[str, Any]
) -> None:
    merges.add(memory_lake, "old", [Row("a"), Row("b")], tmp_path)
    runs = [Run(memory_lake, request(), tmp_path, "apply"), Run(memory_lake, request(**changes), tmp_path, "look")]
    for run in runs:
        run.decode([Row("a", temperature=1.0), Row("c")])
    applied, looked = (run.plan() for run in runs)
    expected = applied.merge()
    effects = len(memory_lake.s3.effects.names)

    results = looked.merge()

    assert memory_lake.s3.effects.names[effects:] == [
        f"put {merged_key('look', looked.merge_id, result.task_id)}" for result in results
    ]
    for one, other in zip(expected, results, strict=True):
        for name in ("replaced", "duplicates", "written", "changes"):
            assert getattr(one, name) == getattr(other, name)
        assert [source.rows for source in one.sources] == [source.rows for source in other.sources]
    assert all(result.files for result in expected)
    assert not any(result.files for result in results)


def test_a_back_test_raises_the_alarms_of_the_given_rules_beside_those_of_the_settings(
    memory_lake: Lake, tmp_path: Path
) -> None:
    rules = {"temperature": (Threshold("high", above=30.0),), "unheard-of": (Threshold("high", above=1.0),)}
    run = Run(memory_lake, request(mode="backtest", rules=rules), tmp_path)
    run.metrics = {
        "temperature": Metric("°C", (Threshold("high", above=10.0),)),
        "vibration": Metric("mm/s", (Threshold("high", above=1.0),)),
    }
    run.decode([Row("a", AT_MS + number, float(value)) for number, value in enumerate((20, 5, 20, 40))])

    (result,) = run.plan().merge()

    assert (result.changes.alarms_before.total, result.changes.alarms_after.total) == (0, 2)
    assert result.changes.alarms_given is not None
    assert result.changes.alarms_given.total == 1


def test_a_run_of_other_rules_is_not_merged(memory_lake: Lake, tmp_path: Path) -> None:
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a")])
    merge = run.plan()
    (task,) = merge.tasks

    with pytest.raises(RulesChanged, match="Run run was planned"):
        replace(merge.merger(), rules="others").merge("run", merge.merge_id, task)


def test_what_is_gone_fails_by_name(memory_lake: Lake, tmp_path: Path) -> None:
    run = Run(memory_lake, request(), tmp_path)
    run.decode([Row("a")])
    merge = run.plan()
    (task,) = merge.tasks
    (staged,) = run.staged
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=staged.file.key)

    with pytest.raises(FileMismatch, match=staged.file.key):
        merge.merge()
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=task.group)
    with pytest.raises(ResultMissing, match=task.group):
        merge.merger().merge("run", merge.merge_id, task)
