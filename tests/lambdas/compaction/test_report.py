"""The sums of a plan and of a run."""

import msgspec

from tests.lake import AT, Lake, reading


def test_a_report_has_the_sums_of_all_tasks(memory_lake: Lake) -> None:
    late = reading(at=AT - 90_000, received_at=AT * 1000, temperature=1, note="x")
    keys = [
        memory_lake.put("a", [reading(), reading(), b"garbage", late]),
        memory_lake.put("b", [reading("pump-2"), b"[]"]),
    ]
    report = memory_lake.run("one", task_bytes=1)

    assert report is not None
    assert msgspec.structs.asdict(report) | {"snapshot_id": None, "bytes": None} == {
        "run_id": "one",
        "committed": True,
        "tasks": 2,
        "objects": 2,
        "archive_bytes": sum(len(memory_lake.s3.buckets[memory_lake.raw][key].body) for key in keys),
        "records": 6,
        "stored": 3,
        "duplicate": 1,
        "quarantined": 2,
        "quarantined_by_reason": {"not_an_object": 1, "not_json": 1},
        "late": 1,
        "ignored_fields": 1,
        "files": 3,
        "bytes": None,
        "snapshot_id": None,
    }
    parquet = list(memory_lake.store.keys("warehouse/readings/data/"))
    assert report.bytes == sum(len(memory_lake.store.read(key) or b"") for key in parquet)


def test_a_plan_has_the_bytes_of_every_object_of_a_task(memory_lake: Lake) -> None:
    keys = [memory_lake.put(name, [reading(at=AT + number)]) for number, name in enumerate("ab")]

    answer = memory_lake.plan("one")

    size = sum(len(memory_lake.s3.buckets[memory_lake.raw][key].body) for key in keys)
    assert (answer["tasks"], answer["bytes"]) == (1, size)
