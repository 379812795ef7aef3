"""Planning the table's upkeep, in memory."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFileContent
from pyiceberg.typedef import Record

from compaction.errors import FileMismatch
from compaction.manifests import KEYS_METADATA
from optimization import surveying
from optimization.manifests import plan_key
from tests.lake import AT, METRICS, Lake, reading
from tests.lambdas.optimization import others
from tests.upkeep import Upkeep

DAY = 86_400
TODAY, YESTERDAY = "measured_at_day=2026-11-21", "measured_at_day=2026-11-20"


@pytest.fixture
def upkeep(memory_lake: Lake) -> Upkeep:
    return Upkeep(memory_lake)


def arrive(lake: Lake, run_id: str, *devices: str, at: float = AT) -> None:
    """A run of the compaction over a reading of each device: a file a partition."""
    lake.put(run_id, [reading(device, at=at) for device in devices])
    lake.run(run_id)


def planned(upkeep: Upkeep, run_id: str) -> list[list[str]]:
    """The names of the files of each group."""
    return [[file.key.split("/")[-1] for file in group.files] for group in upkeep.groups(run_id)]


def strip(lake: Lake, name: str, partition: str = TODAY, column: str | None = None) -> None:
    """Make a file one that another program wrote: no keys in its footer; with a column more, if one is given."""
    key = f"warehouse/readings/data/{partition}/{name}"
    rows = pq.read_table(pa.BufferReader(lake.store.read(key))).replace_schema_metadata()
    if column:
        rows = rows.append_column(column, pa.array([1] * rows.num_rows))
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    lake.store.write(key, sink.getvalue())


def test_without_a_table_there_is_nothing_to_do_and_none_is_made(upkeep: Upkeep) -> None:
    answer = upkeep.plan("run")

    assert answer == {
        "run_id": "run",
        **dict.fromkeys(("tasks", "groups", "files", "rows", "bytes", "skipped_files"), 0),
        "plan": {"bucket": upkeep.lake.processed, "key": "runs/optimize/run/plan.jsonl"},
    }
    assert upkeep.dry_run()["partitions"] == []
    assert upkeep.lake.glue.tables == {}


def test_overlapping_files_of_a_partition_are_a_group_in_the_order_of_their_commits(upkeep: Upkeep) -> None:
    lake = upkeep.lake
    arrive(lake, "z", "a", "c")
    arrive(lake, "y", "b", "d")
    arrive(lake, "x", "a", at=AT - DAY)

    answer = upkeep.plan("run")

    (group,) = upkeep.groups("run")
    assert (group.partition, group.metrics) == (TODAY, METRICS)
    assert planned(upkeep, "run") == [["z-00000.parquet", "y-00000.parquet"]]
    first = group.files[0]
    body = lake.store.read(first.key) or b""
    footer = pq.read_metadata(io.BytesIO(body)).metadata
    assert (first.rows, first.bytes) == (2, len(body))
    assert first.key_checksum == footer[KEYS_METADATA.encode()].decode()
    assert (first.first, first.last) == (("a", AT * 1000), ("c", AT * 1000))
    (task,) = upkeep.tasks("run")
    assert (task.task_id, task.start, task.end) == ("00000-000", None, None)
    sizes = {"rows": 4, "bytes": sum(file.bytes for file in group.files), "skipped_files": 0}
    assert {"tasks": 1, "groups": 1, "files": 2, **sizes}.items() <= answer.items()


def test_after_a_run_there_is_nothing_to_do(upkeep: Upkeep) -> None:
    for number in range(5):
        arrive(upkeep.lake, f"{number}", "a", f"b{number}", "c")
    before = {(row["device_id"], row["measured_at"]) for row in upkeep.lake.rows()}

    rewritten = upkeep.run("first")

    assert rewritten is not None
    assert (rewritten.files_before, rewritten.files_after, rewritten.duplicates) == (5, 1, 8)
    assert upkeep.run("second") is None
    assert upkeep.lake.store.read(plan_key("second")) is None
    rows = [(row["device_id"], row["measured_at"]) for row in upkeep.lake.rows()]
    assert (set(rows), len(rows)) == (before, len(before))


def test_a_run_keeps_its_first_plan(upkeep: Upkeep) -> None:
    arrive(upkeep.lake, "a", "a")
    arrive(upkeep.lake, "b", "a")
    answer, groups = upkeep.plan("run"), upkeep.groups("run")
    arrive(upkeep.lake, "c", "a")

    assert upkeep.plan("run") == answer
    assert upkeep.groups("run") == groups
    assert upkeep.plan("next")["files"] == 3


def test_of_two_plannings_at_once_the_first_to_write_its_plan_counts(
    upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(upkeep.lake, "a", "a")
    arrive(upkeep.lake, "b", "a")
    answers: list[Any] = []
    write_once = type(upkeep.lake.store).write_once

    def other_first(*arguments: Any) -> bool:
        monkeypatch.undo()
        arrive(upkeep.lake, "c", "a")
        answers.append(upkeep.plan("run"))
        return write_once(*arguments)

    monkeypatch.setattr(type(upkeep.lake.store), "write_once", other_first)

    assert upkeep.plan("run") == answers[0]
    assert answers[0]["files"] == 3
    assert [len(group.files) for group in upkeep.groups("run")] == [3]


def test_planning_twice_on_the_same_table_writes_the_same_bytes(upkeep: Upkeep) -> None:
    arrive(upkeep.lake, "a", "a", "c")
    arrive(upkeep.lake, "b", "b")
    store = upkeep.lake.store
    upkeep.plan("run")
    written = {key: store.read(key) for key in store.keys("runs/optimize/")}
    upkeep.lake.s3.delete_object(Bucket=store.bucket, Key=plan_key("run"))

    upkeep.plan("run")

    assert {key: store.read(key) for key in store.keys("runs/optimize/")} == written


def test_only_partitions_with_a_time_asked_for_are_looked_at(upkeep: Upkeep) -> None:
    for day in range(4):
        arrive(upkeep.lake, f"{day}a", "a", at=AT - day * DAY)
        arrive(upkeep.lake, f"{day}b", "a", at=AT - day * DAY)
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)

    upkeep.plan("some", noon - timedelta(days=1), noon)
    upkeep.plan("whole", noon.replace(hour=0), noon.replace(hour=0) + timedelta(days=1))
    upkeep.plan("from", noon)

    assert [group.partition[-2:] for group in upkeep.groups("some")] == ["19", "20"]
    assert [group.partition[-2:] for group in upkeep.groups("whole")] == ["20"]
    assert [group.partition[-2:] for group in upkeep.groups("from")] == ["20", "21"]


def test_a_file_of_another_program_counts_as_unsorted(upkeep: Upkeep) -> None:
    arrive(upkeep.lake, "a", "a", "c")
    strip(upkeep.lake, "a-00000.parquet")

    upkeep.plan("run")

    ((file,),) = [group.files for group in upkeep.groups("run")]
    assert (file.key_checksum, file.first and file.first[0], file.last and file.last[0]) == (None, "a", "c")
    assert upkeep.dry_run()["partitions"][0]["reason"] == "unsorted"


def test_a_file_with_columns_that_the_table_lacks_is_left_alone_and_the_others_are_not(upkeep: Upkeep) -> None:
    for name in ("a", "b", "c"):
        arrive(upkeep.lake, name, "a", "d")
    strip(upkeep.lake, "b-00000.parquet", column="colour")

    answer = upkeep.plan("run")

    assert planned(upkeep, "run") == [["a-00000.parquet", "c-00000.parquet"]]
    assert answer["skipped_files"] == 1


def test_a_partition_with_rows_that_were_deleted_one_by_one_is_left_alone(upkeep: Upkeep) -> None:
    for at in (AT, AT - DAY):
        arrive(upkeep.lake, f"{at}a", "a", at=at)
        arrive(upkeep.lake, f"{at}b", "a", at=at)
    others.delete_first_row(upkeep.lake, f"warehouse/readings/data/{YESTERDAY}/{AT - DAY}a-00000.parquet")

    answer = upkeep.plan("run")

    assert [group.partition for group in upkeep.groups("run")] == [TODAY]
    assert (answer["files"], answer["skipped_files"]) == (2, 2)
    reasons = {line["partition"]: line["reason"] for line in upkeep.dry_run()["partitions"]}
    assert reasons == {TODAY: "overlapping", YESTERDAY: "left alone: row-level deletes"}


def test_deletes_that_may_mean_any_row_leave_every_file_alone(upkeep: Upkeep) -> None:
    arrive(upkeep.lake, "a", "a")
    arrive(upkeep.lake, "b", "a")
    with upkeep.lake.table().update_spec() as spec:
        spec.remove_field("measured_at_day")
    others.add(upkeep.lake, "deletes.parquet", DataFileContent.EQUALITY_DELETES, Record())

    answer = upkeep.plan("run")

    assert (answer["tasks"], answer["skipped_files"]) == (0, 2)


def test_a_file_outside_the_bucket_is_left_alone(upkeep: Upkeep) -> None:
    for name in ("a", "b"):
        arrive(upkeep.lake, name, "a")
    others.add(upkeep.lake, "c.parquet", DataFileContent.DATA, Record(AT // DAY), bucket="elsewhere")

    answer = upkeep.plan("run")

    assert (answer["files"], answer["skipped_files"]) == (2, 1)


def test_hours_are_rewritten_into_the_days_of_a_table_that_has_days_now(upkeep: Upkeep) -> None:
    lake = upkeep.lake
    lake.partition_by = "hour"
    arrive(lake, "early", "a", at=AT)
    arrive(lake, "late", "b", at=AT + 3600)
    lake.partition_by = "day"
    arrive(lake, "day", "x")
    before = lake.rows()

    upkeep.run("run")

    (group,) = upkeep.groups("run")
    assert (group.partition, len(group.files)) == (TODAY, 3)
    assert upkeep.plan("next")["tasks"] == 0
    assert lake.rows() == before


def test_a_day_is_rewritten_into_the_hours_of_a_table_that_has_hours_now(upkeep: Upkeep) -> None:
    lake = upkeep.lake
    arrive(lake, "early", "a", at=AT)
    arrive(lake, "late", "b", at=AT + 3600)
    lake.partition_by = "hour"
    arrive(lake, "hour", "a", at=AT)
    before = {(row["device_id"], row["measured_at"]) for row in lake.rows()}

    upkeep.run("days")
    assert [group.partition for group in upkeep.groups("days")] == [TODAY]
    upkeep.run("hours")

    assert [group.partition for group in upkeep.groups("hours")] == ["measured_at_hour=2026-11-21-09"]
    assert upkeep.plan("next")["tasks"] == 0
    rows = [(row["device_id"], row["measured_at"]) for row in lake.rows()]
    assert (set(rows), len(rows)) == (before, len(before))


def test_a_large_group_is_cut_into_ranges_of_about_as_many_rows(upkeep: Upkeep) -> None:
    devices = [f"device-{number:03}" for number in range(100)]
    for number in range(4):
        arrive(upkeep.lake, f"{number}", *devices, at=AT + number)
    size = upkeep.dry_run()["bytes"]
    upkeep.file_bytes = size // 4

    assert upkeep.plan("run")["tasks"] == 4

    cuts = [task.start[0] for task in upkeep.tasks("run")[1:] if task.start]
    assert len(cuts) == 3
    for cut, expected in zip(cuts, (25, 50, 75), strict=True):
        assert abs(devices.index(cut) - expected) <= 15
    assert [task.end for task in upkeep.tasks("run")[:-1]] == [task.start for task in upkeep.tasks("run")[1:]]
    assert upkeep.dry_run()["tasks"] == 4


def test_a_task_does_not_look_at_files_whose_keys_are_outside_its_range(upkeep: Upkeep) -> None:
    arrive(upkeep.lake, "one", "a", "b")
    arrive(upkeep.lake, "two", "x", "y")
    upkeep.file_bytes = upkeep.dry_run()["bytes"] // 2 + 100
    upkeep.lake.partition_by = "hour"  # so that both have to be rewritten
    arrive(upkeep.lake, "three", "z", at=AT - DAY)
    upkeep.plan("run")
    ((one, two),) = [group.files for group in upkeep.groups("run")]
    upkeep.lake.s3.delete_object(Bucket=upkeep.lake.processed, Key=two.key)

    first, second = upkeep.tasks("run")

    assert [source.key for source in upkeep.rewriter().rewrite("run", first).sources] == [one.key]
    with pytest.raises(FileMismatch, match=r"two-00000\.parquet"):
        upkeep.rewriter().rewrite("run", second)


@pytest.mark.parametrize(("limit", "enough"), [("MAX_FILES", 2), ("MAX_TASKS", 1)])
def test_a_run_ends_with_the_partition_in_which_it_has_enough(
    upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch, limit: str, enough: int
) -> None:
    monkeypatch.setattr(surveying, limit, enough)
    for day in range(3):
        arrive(upkeep.lake, f"{day}a", "a", at=AT - day * DAY)
        arrive(upkeep.lake, f"{day}b", "a", at=AT - day * DAY)

    partitions = []
    for number in range(3):
        upkeep.run(f"run-{number}")
        partitions.append([group.partition[-2:] for group in upkeep.groups(f"run-{number}")])

    assert partitions == [["19"], ["20"], ["21"]]
    assert upkeep.plan("next")["tasks"] == 0


def test_a_dry_run_says_what_a_plan_would_and_writes_nothing(upkeep: Upkeep) -> None:
    for number in range(3):
        arrive(upkeep.lake, f"{number}", "a", "b")
    effects = list(upkeep.lake.s3.effects.names)

    answer = upkeep.dry_run()

    assert upkeep.lake.s3.effects.names == effects
    (line,) = answer.pop("partitions")
    assert line == {"partition": TODAY, "files": 3, "bytes": answer["bytes"], "reason": "overlapping"}
    assert answer.items() <= upkeep.plan("run").items()


def test_a_task_is_a_short_line_however_many_files_it_is_about(upkeep: Upkeep) -> None:
    for number in range(6):
        arrive(upkeep.lake, f"{number}", "a")

    upkeep.plan("run")

    (line,) = list(upkeep.lake.store.lines(plan_key("run")) or ())
    assert len(line) < 200
    assert msgspec.json.decode(line) == {
        "task_id": "00000-000",
        "group": upkeep.tasks("run")[0].group,
        "start": None,
        "end": None,
    }
