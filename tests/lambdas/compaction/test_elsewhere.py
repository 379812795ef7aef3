"""What others do to the table, and a deployment to the settings, between the steps of a run."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from compaction import archive, errors, runs
from compaction.errors import FileMismatch
from compaction.lake_table import LakeTable
from compaction.ledger import Ledger
from compaction.manifests import report_key
from tests.lake import AT, HOUR, Lake, reading


def devices(lake: Lake) -> list[str]:
    return [row["device_id"] for row in lake.rows()]


def forget(lake: Lake, run_id: str) -> None:
    """What whoever takes a run out of the table does to the ledger."""
    for key in list(lake.store.keys("ledger/")):
        if run_id in key:
            lake.s3.delete_object(Bucket=lake.processed, Key=key)


def two_runs(lake: Lake) -> list[int]:
    """The snapshots of two runs."""
    lake.put("a", [reading("pump-1")])
    lake.run("one")
    lake.put("b", [reading("pump-2")])
    lake.run("two")
    return [snapshot.snapshot_id for snapshot in lake.table().metadata.snapshots]


def test_what_a_rolled_back_run_held_is_taken_up_again(memory_lake: Lake) -> None:
    first, _ = two_runs(memory_lake)
    memory_lake.table().manage_snapshots().rollback_to_snapshot(first).commit()
    forget(memory_lake, "two")

    report = memory_lake.run("three")

    assert report is not None
    assert devices(memory_lake) == ["pump-1", "pump-2"]
    assert Ledger(memory_lake.store).entry("two") is None
    assert memory_lake.plan("four")["tasks"] == 0


def test_a_run_that_was_rolled_back_can_be_committed_itself(memory_lake: Lake) -> None:
    first, _ = two_runs(memory_lake)
    memory_lake.table().manage_snapshots().rollback_to_snapshot(first).commit()
    forget(memory_lake, "two")
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=report_key("two"))

    memory_lake.commit("two")

    assert devices(memory_lake) == ["pump-1", "pump-2"]


def test_a_run_is_committed_though_the_snapshot_after_it_has_expired(memory_lake: Lake) -> None:
    """Expiry may take snapshots from the middle of the history: the chain of parents ends there."""
    _, second = two_runs(memory_lake)
    memory_lake.put("c", [reading("pump-3")])
    memory_lake.run("three")
    memory_lake.table().maintenance.expire_snapshots().by_id(second).commit()

    committed = runs.committed(memory_lake.glue, memory_lake.s3, memory_lake.database)

    assert [run.run_id for run in committed] == ["three", "one"]


def test_a_table_that_would_rebase_commits_does_so_no_more(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has removed the property; rebased, the second of two runs would store the same objects again."""
    two_runs(memory_lake)
    with memory_lake.table().transaction() as transaction:
        transaction.remove_properties("commit.retry.num-retries")
    memory_lake.put("c", [reading("pump-3")])
    for run_id in ("three", "four"):
        memory_lake.plan(run_id)
        memory_lake.write(run_id)
    overtake(memory_lake, monkeypatch, lambda: memory_lake.commit("three"))

    with pytest.raises(errors.ObjectsAlreadyCommitted):
        memory_lake.commit("four")

    assert devices(memory_lake) == ["pump-1", "pump-2", "pump-3"]


def overtake(lake: Lake, monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]) -> None:
    """Let something else happen to the table after the next commit has loaded it."""
    extend = LakeTable.extend

    def overtaken(self: LakeTable, *arguments: Any) -> int:
        monkeypatch.setattr(LakeTable, "extend", extend)
        other()
        return extend(self, *arguments)

    monkeypatch.setattr(LakeTable, "extend", overtaken)


def test_a_commit_that_runs_twice_at_once_is_one_snapshot(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step Functions has given up on an invocation that still works, and has begun another."""
    memory_lake.put("a", [reading("pump-1")])
    memory_lake.plan("one")
    memory_lake.write("one")
    reports = []
    overtake(memory_lake, monkeypatch, lambda: reports.append(memory_lake.commit("one")))

    reports.append(memory_lake.commit("one"))

    assert (len(memory_lake.table().metadata.snapshots), devices(memory_lake)) == (1, ["pump-1"])
    assert reports[0] == reports[1]


def test_archive_and_files_are_looked_at_once_however_many_attempts_the_commit_takes(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_lake.put("a", [reading("pump-1")])
    memory_lake.plan("one")
    memory_lake.write("one")
    memory_lake.put("b", [reading("pump-2")], HOUR)
    memory_lake.plan("two", start="2026-11-21T09:00Z")
    listed = []
    objects = archive.objects

    def listing(*arguments: Any) -> Any:
        listed.append(arguments)
        return objects(*arguments)

    monkeypatch.setattr(archive, "objects", listing)
    overtake(memory_lake, monkeypatch, lambda: memory_lake.table().append(memory_lake.table().scan().to_arrow()))

    memory_lake.commit("one")

    assert (len(listed), devices(memory_lake)) == (1, ["pump-1"])


@pytest.mark.parametrize("change", [{"partition_by": "hour"}, {"metrics": ("vibration",)}])
def test_files_that_no_longer_fit_the_settings_are_refused_by_name(memory_lake: Lake, change: dict[str, Any]) -> None:
    """A deployment between worker and commit; for the table's first run even a metric that is gone is one too many."""
    memory_lake.put("a", [reading(), reading(at=AT + 3600)])
    memory_lake.plan("one")
    memory_lake.write("one")
    for name, value in change.items():
        setattr(memory_lake, name, value)

    with pytest.raises(FileMismatch, match=r"The files of .* do not fit the table .* start a new run"):
        memory_lake.commit("one")

    assert memory_lake.run("two") is not None
    assert devices(memory_lake) == ["pump-1", "pump-1"]


def test_a_catalog_that_cannot_be_reached_for_a_moment_is_asked_again(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_lake.put("a", [reading()])
    memory_lake.plan("one")
    memory_lake.write("one")
    update = memory_lake.glue.update_table

    def unreachable(**_: Any) -> None:
        monkeypatch.setattr(memory_lake.glue, "update_table", update)
        raise EndpointConnectionError(endpoint_url="glue")

    monkeypatch.setattr(memory_lake.glue, "update_table", unreachable)

    assert memory_lake.commit("one").stored == 1
