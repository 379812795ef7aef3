"""The sweep: what it deletes, and all that it must not."""

import gzip
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from pyiceberg.exceptions import NoSuchTableError

from compaction.errors import RunTooOld
from compaction.store import Listed, Store
from optimization import sweeping
from optimization.errors import FilesNotDeleted, ForeignFiles
from optimization.manifests import ledger_key, orphans_key, report_key
from optimization.reachable import reachable
from tests.lake import AT, ORPHAN_DAYS, Lake, reading
from tests.lambdas.optimization import by_hand
from tests.lambdas.optimization.upkeep import (
    DAY,
    FOLDER,
    close,
    expirer,
    files,
    grow,
    ids,
    keep_time,
    statistics,
    strew,
    sweeper,
)


@pytest.fixture
def lake(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    keep_time(memory_lake, monkeypatch)
    return memory_lake


def deletions(lake: Lake) -> list[str]:
    return [name for name in lake.s3.effects.names if name.startswith("delete")]


def staged(lake: Lake, run_id: str) -> set[str]:
    """Files of a run that is not committed."""
    lake.put(run_id, [reading("pump-9")])
    lake.plan(run_id)
    return {file.key for result in lake.write(run_id) for file in result.files}


def test_files_that_no_snapshot_names_are_deleted_when_they_are_old_enough(lake: Lake) -> None:
    grow(lake, 0, 1)
    named = files(lake)
    old = strew(lake, "data/old.parquet", "metadata/old.avro")
    lake.s3.now += ORPHAN_DAYS * DAY
    young = strew(lake, "data/young.parquet")
    assert close(lake, "too early").report.swept.files == 0
    assert files(lake) == named | set(old) | set(young)
    lake.s3.now += DAY

    swept = close(lake).report.swept

    assert (swept.files, swept.bytes, swept.waiting_files, swept.waiting_bytes) == (2, 10, 1, 5)
    assert files(lake) == named | set(young)
    assert len(lake.rows()) == 2


def test_what_is_not_below_data_and_metadata_of_the_table_is_left_alone(lake: Lake) -> None:
    grow(lake, 0)
    others = {"warehouse/readings2/data/x", "warehouse/readings/notes.txt", "quarantine/x", "runs/compact/x/plan.jsonl"}
    for key in others:
        lake.store.write(key, b"x")
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    assert close(lake).report.swept.files == 0
    assert others <= files(lake, "")


def test_every_snapshot_branch_and_tag_can_still_be_read(lake: Lake) -> None:
    first, second, third, _ = grow(lake, 0, 1, 2, 3)
    lake.table().manage_snapshots().create_tag(first, "audit").create_branch(second, "trial").commit()
    lake.table().delete("device_id = 'pump-1'")
    lake.s3.now += 2 * ORPHAN_DAYS * DAY
    expirer(lake).expire("upkeep")

    close(lake)

    table = lake.table()
    assert third not in ids(lake)
    assert [len(table.scan(snapshot_id=one).to_arrow()) for one in (first, second)] == [1, 2]
    assert table.scan().to_arrow().num_rows == 0


def test_what_only_expired_snapshots_named_goes(lake: Lake) -> None:
    grow(lake, 0, 1)
    data = files(lake, FOLDER + "data/")
    before = files(lake, FOLDER + "metadata/")
    lake.table().delete("device_id = 'pump-1'")  # the snapshot that says so names the files as deleted
    grow(lake, 2)
    lake.s3.now += 2 * ORPHAN_DAYS * DAY
    assert close(lake, "too early").report.swept.files == 0
    expirer(lake).expire("upkeep")

    swept = close(lake).report.swept

    assert not data & files(lake)
    assert swept.files == len(data) + len([key for key in before if key.endswith(".avro")]) + 2
    assert [row["measured_at"].timestamp() for row in lake.rows()] == [AT + 2]


def test_a_snapshot_does_not_name_the_files_that_it_says_to_have_removed(lake: Lake) -> None:
    grow(lake, 0, 1)
    data = [f"s3://{lake.processed}/{key}" for key in files(lake, FOLDER + "data/")]
    lake.table().delete("device_id = 'pump-1'")
    table = lake.table()
    assert all(location in reachable(table) for location in data)

    table.metadata = table.metadata.model_copy(update={"snapshots": table.metadata.snapshots[-1:]})

    assert [location for location in data if location in reachable(table)] == []


def test_statistics_are_files_of_the_table(lake: Lake) -> None:
    (snapshot_id,) = grow(lake, 0)
    with lake.table().update_statistics() as update:
        update.set_statistics(statistics(lake, snapshot_id))

    assert statistics(lake, snapshot_id).statistics_path in reachable(lake.table())


def test_what_a_rewrite_has_replaced_goes_once_the_snapshots_before_it_are_gone(lake: Lake) -> None:
    grow(lake, 0, 1)
    replaced = files(lake, FOLDER + "data/")
    by_hand.optimize(lake, "upkeep")
    rows = lake.rows()
    lake.s3.now += 2 * ORPHAN_DAYS * DAY
    expirer(lake).expire("too early")  # compaction still goes by the snapshot of its newest run
    close(lake, "too early")
    assert replaced <= files(lake)
    grow(lake, 2)
    lake.s3.now += 8 * DAY
    expirer(lake).expire("upkeep")

    close(lake)

    assert not replaced & files(lake)
    assert [row for row in lake.rows() if row in rows] == rows


def test_what_a_rewrite_has_staged_stays_as_long_as_it_can_be_committed(lake: Lake) -> None:
    grow(lake, 0, 1)
    rows = lake.rows()
    by_hand.plan(lake, "slow")
    by_hand.write(lake, "slow")
    lake.s3.now += (ORPHAN_DAYS - 1) * DAY
    close(lake)

    by_hand.commit(lake, "slow")

    lake.s3.now += 3 * DAY
    close(lake, "again")
    assert lake.rows() == rows


def test_old_metadata_files_go_when_the_log_has_forgotten_them(lake: Lake) -> None:
    grow(lake, 0)
    with lake.table().transaction() as transaction:
        transaction.set_properties({"write.metadata.previous-versions-max": "1"})
    for number in range(3):
        with lake.table().transaction() as transaction:
            transaction.set_properties({"touched": str(number)})
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    close(lake)

    assert len([key for key in files(lake) if key.endswith(".metadata.json")]) == 2
    assert len(lake.rows()) == 1


def test_what_a_run_has_staged_stays_as_long_as_it_can_be_committed(lake: Lake) -> None:
    grow(lake, 0)
    own = staged(lake, "slow")
    lake.s3.now += (ORPHAN_DAYS - 1) * DAY

    close(lake)

    assert own <= files(lake)
    assert lake.commit("slow").committed
    lake.s3.now += 2 * DAY
    close(lake, "again")
    assert len(lake.rows()) == 2


def test_a_run_whose_files_were_swept_up_cannot_be_committed_any_more(lake: Lake) -> None:
    grow(lake, 0)
    own = staged(lake, "lost")
    lake.s3.now += ORPHAN_DAYS * DAY + DAY

    assert close(lake).report.swept.files == len(own)

    with pytest.raises(RunTooOld):
        lake.commit("lost")
    assert not own & files(lake)


def test_a_run_that_is_committed_while_the_bucket_is_listed_keeps_its_files(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(lake, 0)
    staged(lake, "slow")
    strays = strew(lake, "data/a", "data/z")
    lake.s3.now += (ORPHAN_DAYS - 1) * DAY
    listing = Store.objects

    def overtaken(store: Store, prefix: str, after: str = "") -> Iterator[Listed]:
        monkeypatch.setattr(Store, "objects", listing)
        lake.commit("slow")
        return listing(store, prefix, after)

    monkeypatch.setattr(Store, "objects", overtaken)

    close(lake)

    assert len(lake.rows()) == 2
    assert set(strays) <= files(lake)


def test_nothing_is_deleted_when_a_manifest_or_the_metadata_cannot_be_read(lake: Lake) -> None:
    grow(lake, 0, 1)
    strew(lake, "data/old")
    lake.s3.now += 2 * ORPHAN_DAYS * DAY
    table = lake.table()
    snapshot = table.current_snapshot()
    assert snapshot is not None
    objects = lake.s3.buckets[lake.processed]
    needed = [
        table.metadata_location,
        snapshot.manifest_list,
        *(one.manifest_path for one in snapshot.manifests(table.io)),
    ]
    for location in needed:
        key = location.removeprefix(f"s3://{lake.processed}/")
        whole = objects.pop(key)
        with pytest.raises(FileNotFoundError):
            close(lake)
        objects[key] = whole._replace(body=whole.body[: len(whole.body) // 2])
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the reader makes of half a file
            close(lake)
        objects[key] = whole
        assert deletions(lake) == []

    assert close(lake).report.swept.files == 1


def test_without_a_table_nothing_is_deleted(lake: Lake) -> None:
    strays = strew(lake, "data/old")
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    assert close(lake).report.swept.files == 0
    assert files(lake) == set(strays)
    with pytest.raises(NoSuchTableError):
        lake.table()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_files_of_a_table_that_was_dropped_are_kept_from_the_one_made_after_it(lake: Lake, pack: Any) -> None:
    grow(lake, 0, 1)
    lost = files(lake)
    del lake.glue.tables["readings"]
    objects = lake.s3.buckets[lake.processed]
    for key in [key for key in lost if key.endswith(".metadata.json")]:
        objects[key] = objects[key]._replace(body=pack(objects[key].body))
    lake.lake_table().load()
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    with pytest.raises(ForeignFiles, match=r"metadata of another table.*Bring that table back"):
        close(lake)
    with pytest.raises(ForeignFiles):
        sweeper(lake).dry_run()

    assert lost <= files(lake)
    for key in [key for key in lost if key.endswith(".metadata.json")]:
        lake.s3.delete_object(Bucket=lake.processed, Key=key)
    close(lake)
    assert not lost & files(lake)


@pytest.mark.parametrize(
    "body",
    [b"stray", b'{"snapshots": 1}', gzip.compress(b"{}")[:-4], b"\x1f\x8bstray"],
    ids=["no JSON", "other JSON", "cut off", "no gzip"],
)
def test_metadata_that_cannot_be_read_may_be_that_of_another_table(lake: Lake, body: bytes) -> None:
    grow(lake, 0)
    (key,) = strew(lake, "metadata/odd.metadata.json")
    lake.store.write(key, body)
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    with pytest.raises(ForeignFiles, match=r"odd\.metadata\.json is no metadata"):
        close(lake)

    assert deletions(lake) == []


def test_the_metadata_of_a_table_that_came_second_when_it_was_made_is_an_orphan_like_others(lake: Lake) -> None:
    lake.lake_table().load()
    del lake.glue.tables["readings"]
    grow(lake, 0)
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    assert close(lake).report.swept.files == 1


def test_a_table_that_is_elsewhere_has_no_orphans_here(lake: Lake) -> None:
    strew(lake, "data/old")
    msgspec.structs.replace(lake.lake_table(), location=f"s3://{lake.processed}/elsewhere").load()
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    with pytest.raises(ForeignFiles, match="elsewhere"):
        close(lake)

    assert deletions(lake) == []


def test_a_thousand_and_one_orphans_are_deleted_in_two_requests(lake: Lake) -> None:
    grow(lake, 0)
    strew(lake, *(f"data/{number:04}" for number in range(1001)))
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    assert close(lake).report.swept.files == 1001

    assert deletions(lake) == [f"delete 1000 from {FOLDER}data/0000", f"delete 1 from {FOLDER}data/1000"]


def test_files_that_s3_does_not_delete_are_named_the_others_go_and_the_next_attempt_says_the_same(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 2)
    grow(lake, 0)
    named = files(lake)
    strays = strew(lake, *(f"data/{number}" for number in range(5)))
    lake.s3.now += 2 * ORPHAN_DAYS * DAY
    lake.s3.locked = {strays[1], strays[2]}

    with pytest.raises(FilesNotDeleted, match=r"2 orphan\(s\), for example .*data/1: InternalError"):
        close(lake)

    assert files(lake) == named | lake.s3.locked
    assert lake.store.read(report_key("upkeep")) is None
    lake.s3.locked = set()
    assert close(lake).report.swept.files == 5
    assert files(lake) == named


def test_a_list_of_orphans_holds_by_the_table_and_the_settings_as_they_are_when_it_is_taken_up_again(
    lake: Lake,
) -> None:
    grow(lake, 0)
    (brought_back,) = staged(lake, "never")
    (old,) = strew(lake, "data/old")
    lake.s3.now += 5 * DAY
    (young,) = strew(lake, "data/young")
    lake.s3.now += (ORPHAN_DAYS - 4) * DAY
    lake.s3.locked = {brought_back, old, young}
    with pytest.raises(FilesNotDeleted, match=r"3 orphan"):
        close(lake, orphan_days=2)
    lake.s3.locked = set()
    lake.table().add_files([f"s3://{lake.processed}/{brought_back}"])

    assert close(lake).report.swept.files == 1

    assert files(lake) >= {brought_back, young}
    assert len(lake.rows()) == 2


def test_the_run_ends_with_its_report_and_the_same_line_in_the_ledger(lake: Lake) -> None:
    grow(lake, 0)
    (stray,) = strew(lake, "data/old")
    lake.s3.now += 2 * ORPHAN_DAYS * DAY

    closed, again = close(lake), close(lake)

    assert (closed.is_new, again.is_new, closed.report) == (True, False, again.report)
    assert lake.store.read(report_key("upkeep")) == lake.store.read(ledger_key("upkeep"))
    assert stray.encode() in (lake.store.read(orphans_key("upkeep")) or b"")


def test_a_dry_run_says_the_same_and_writes_and_deletes_nothing(lake: Lake) -> None:
    grow(lake, 0)
    strays = strew(lake, *(f"data/{number:02}" for number in range(30)))
    lake.s3.now += 2 * ORPHAN_DAYS * DAY
    strew(lake, "data/young")
    effects = list(lake.s3.effects.names)

    would = sweeper(lake).dry_run()

    assert would.pop("keys") == strays[: sweeping.SHOWN]
    assert lake.s3.effects.names == effects
    swept = close(lake).report.swept
    assert would == {name: getattr(swept, name) for name in swept.__struct_fields__}


def test_a_compaction_after_the_upkeep_takes_what_is_new_and_nothing_twice(lake: Lake) -> None:
    grow(lake, 0, 1, 2)
    lake.s3.now += 2 * ORPHAN_DAYS * DAY
    expirer(lake).expire("upkeep")
    close(lake)

    assert lake.run("empty") is None
    lake.put("late", [reading("pump-7")])
    lake.run("next")
    assert len(lake.rows()) == 4
