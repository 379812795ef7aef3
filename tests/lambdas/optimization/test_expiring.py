"""Expiry: which snapshots go, and what goes on working without them."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from pyiceberg.table import Table

from compaction import runs
from compaction.errors import CommitConflict, LedgerIncomplete
from compaction.hours import window_of
from compaction.ledger import Ledger
from compaction.manifests import plan_key
from optimization.manifests import Expired
from tests.lake import AT, HOUR, Lake, reading
from tests.lambdas.optimization.upkeep import DAY, expirer, files, grow, ids, keep_time, statistics
from tests.memory_aws import Effect


@pytest.fixture
def lake(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    keep_time(memory_lake, monkeypatch)
    return memory_lake


def during(lake: Lake, what: str, happening: Any) -> None:
    """Let something happen, once, just before the side effect of this name."""

    def fault(number: int, effect: Effect) -> Any:
        if what in lake.s3.effects.names[number]:
            lake.s3.effects.fault = None
            happening()
        return effect()

    lake.s3.effects.fault = fault


def test_snapshots_that_are_old_and_not_among_the_newest_are_expired(lake: Lake) -> None:
    one, two, three, four, five = grow(lake, 0, 1, 2, 8, 9)
    lake.s3.now += timedelta(hours=1)  # the second is 8 days old, the third 7
    rows = lake.rows()

    assert expirer(lake, keep_snapshots=3).expire("upkeep") == Expired(2, 3)
    assert ids(lake) == [three, four, five]
    assert expirer(lake, keep_snapshots=4).expire("next") == Expired(0, 3)
    assert expirer(lake, keep_snapshots=1, keep_days=30).expire("next") == Expired(0, 3)
    assert expirer(lake, keep_snapshots=1).expire("last") == Expired(1, 2)
    assert lake.rows() == rows
    assert {one, two}.isdisjoint(ids(lake))


def test_what_a_branch_or_a_tag_points_to_stays(lake: Lake) -> None:
    one, two, _, four = grow(lake, 0, 1, 2, 3)
    lake.table().manage_snapshots().create_tag(one, "audit").create_branch(two, "trial").commit()
    lake.s3.now += 30 * DAY

    assert expirer(lake).expire("upkeep") == Expired(1, 3)

    assert ids(lake) == [one, two, four]
    assert set(lake.table().metadata.refs) == {"main", "audit", "trial"}


def test_compaction_still_knows_its_newest_run_and_how_far_the_archive_is_settled(lake: Lake) -> None:
    *_, settled = grow(lake, 0, 1, 2)
    lake.put("chosen", [reading("pump-2")], HOUR - 3 * DAY)
    lake.plan("chosen", start="2026-11-18T00:00:00Z", end="2026-11-19T00:00:00Z")  # settles nothing
    lake.write("chosen")
    newest = int(lake.commit("chosen").snapshot_id or 0)
    for _ in range(3):
        lake.table().append(lake.table().scan().to_arrow().slice(0, 0))  # by somebody else
    lake.s3.now += 30 * DAY
    before = runs.settled_until(runs.committed(lake.glue, lake.s3, lake.database))

    expirer(lake).expire("upkeep")

    committed = runs.committed(lake.glue, lake.s3, lake.database)
    assert [run.snapshot_id for run in committed] == [newest, settled]
    assert runs.settled_until(committed) == before is not None
    lake.put("before the lookback", [reading("pump-3")], HOUR - DAY)
    late = lake.put("late", [reading("pump-3")], HOUR + DAY)
    window = window_of({}, lake.s3.now, 16)
    lake.planner(lookback=2 * DAY).plan("next", window)
    assert [planned.key for task in lake.tasks("next") for planned in task.objects] == [late]


def test_what_compaction_goes_by_is_the_newest_run_of_the_history_and_not_one_that_was_rolled_back(lake: Lake) -> None:
    first, second, rolled_back = grow(lake, 0, 1, 2)
    before = runs.settled_until(runs.committed(lake.glue, lake.s3, lake.database)[1:])
    lake.table().manage_snapshots().rollback_to_snapshot(second).commit()
    for _ in range(2):
        lake.table().append(lake.table().scan().to_arrow().slice(0, 0))  # by somebody else
    lake.s3.now += 30 * DAY

    expirer(lake).expire("upkeep")

    committed = runs.committed(lake.glue, lake.s3, lake.database)
    assert [run.snapshot_id for run in committed] == [second]
    assert runs.settled_until(committed) == before is not None
    assert {first, rolled_back}.isdisjoint(ids(lake))


def test_the_ledger_is_complete_before_a_run_is_known_by_it_alone(lake: Lake) -> None:
    grow(lake, 0, 1, 2)
    for key in files(lake, "ledger/"):
        lake.s3.delete_object(Bucket=lake.processed, Key=key)
    lake.s3.now += 30 * DAY

    expirer(lake).expire("upkeep")

    assert [Ledger(lake.store).entry(f"run-{day}") is not None for day in (0, 1, 2)] == [True] * 3
    assert lake.planner().plan("next", window_of({}, lake.s3.now, 16))["tasks"] == 0


def test_no_snapshot_goes_when_the_ledger_cannot_be_completed(lake: Lake) -> None:
    before = grow(lake, 0, 1, 2)
    for key in [*files(lake, "ledger/"), plan_key("run-0")]:
        lake.s3.delete_object(Bucket=lake.processed, Key=key)
    lake.s3.now += 30 * DAY

    with pytest.raises(LedgerIncomplete, match="run-0"):
        expirer(lake).expire("upkeep")

    assert ids(lake) == before


def test_a_tag_that_is_put_on_a_snapshot_at_that_moment_keeps_it(lake: Lake) -> None:
    one, _, three = grow(lake, 0, 1, 2)
    lake.s3.now += 30 * DAY
    during(lake, "expired.json", lambda: lake.table().manage_snapshots().create_tag(one, "audit").commit())

    assert expirer(lake).expire("upkeep") == Expired(1, 2)

    assert ids(lake) == [one, three]
    assert lake.table().metadata.refs["audit"].snapshot_id == one


@pytest.mark.parametrize("moment", ["expired.json", ".metadata.json", "update table"])
def test_a_commit_that_comes_in_between_is_kept_and_the_expiry_is_tried_again(lake: Lake, moment: str) -> None:
    *_, last = grow(lake, 0, 1, 2)
    lake.s3.now += 30 * DAY
    lake.put("new", [reading(at=AT + 9)])
    lake.plan("new")
    lake.write("new")
    during(lake, moment, lambda: lake.commit("new"))

    assert expirer(lake).expire("upkeep") == Expired(2, 2)

    assert len(lake.rows()) == 4
    assert ids(lake)[0] == last  # the new run was planned over hours long past: it tells less of the archive
    assert Ledger(lake.store).entry("new") is not None


def test_an_expiry_that_others_overtake_at_every_attempt_ends_by_name(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = grow(lake, 0, 1, 2)
    lake.s3.now += 30 * DAY

    def overtaken(number: int, effect: Effect) -> Any:
        if lake.s3.effects.names[number] == "update table":
            table = lake.glue.tables["readings"]
            table["VersionId"] = str(int(table["VersionId"]) + 1)
        return effect()

    lake.s3.effects.fault = overtaken

    with pytest.raises(CommitConflict, match="The expiry of run upkeep could not be committed in 5 attempts"):
        expirer(lake).expire("upkeep")

    assert ids(lake) == before


def test_without_a_table_or_anything_old_there_is_nothing_to_do(lake: Lake) -> None:
    assert expirer(lake).expire("none") == Expired(0, 0)
    assert expirer(lake).dry_run() == {"expired": 0, "kept": 0, "snapshots": []}
    grow(lake, 0, 1)
    effects = list(lake.s3.effects.names)

    assert expirer(lake).expire("upkeep") == Expired(0, 2)
    assert lake.s3.effects.names == effects


def test_a_dry_run_says_the_same_and_writes_nothing(lake: Lake) -> None:
    one, two, _ = grow(lake, 0, 1, 2)
    at = [snapshot.timestamp_ms for snapshot in lake.table().metadata.snapshots]
    lake.s3.now += 30 * DAY
    effects = list(lake.s3.effects.names)

    would = expirer(lake).dry_run()

    assert would.pop("snapshots") == [{"id": str(one), "time": at[0]}, {"id": str(two), "time": at[1]}]
    assert lake.s3.effects.names == effects
    assert would == msgspec.to_builtins(expirer(lake).expire("upkeep"))


def test_statistics_of_an_expired_snapshot_go_with_it(lake: Lake) -> None:
    one, two = grow(lake, 0, 1)
    table: Table = lake.table()
    with table.update_statistics() as update:
        for snapshot_id in (one, two):
            update.set_statistics(statistics(lake, snapshot_id))
    lake.s3.now += 30 * DAY

    expirer(lake).expire("upkeep")

    assert [entry.snapshot_id for entry in lake.table().metadata.statistics] == [two]
