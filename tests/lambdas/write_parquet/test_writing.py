"""Writing one task's files, on the embedded AWS."""

import base64
import gzip
import json
import zlib
from datetime import timedelta

import msgspec
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from pyarrow import BufferReader

from compaction.errors import ObjectArchived, ObjectChanged, ObjectMissing
from compaction.manifests import TaskResult, result_key
from sensors.counts import Counts
from tests.lake import AT, HOUR, Lake, reading
from write_parquet import handler

COUNTS = ["records", "stored", "duplicate", "quarantined"]


def write(lake: Lake, run_id: str = "run") -> TaskResult:
    lake.plan(run_id)
    (result,) = lake.write(run_id)
    return result


def everything(lake: Lake, prefix: str = "") -> dict[str, bytes]:
    return {key: lake.store.read(key) or b"" for key in lake.store.keys(prefix)}


def quarantine_lines(lake: Lake) -> list[dict[str, str]]:
    (body,) = everything(lake, "quarantine/").values()
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def test_readings_become_rows_sorted_by_device_and_time(lake: Lake) -> None:
    lake.put("a", [reading("pump-2"), reading("pump-1", at=AT + 1), reading("pump-1", temperature=1, humidity=40)])

    result = write(lake)

    (file,) = result.files
    rows = pq.read_table(BufferReader(lake.store.read(file.key))).to_pylist()
    assert [(row["device_id"], row["measured_at"].timestamp()) for row in rows] == [
        ("pump-1", AT),
        ("pump-1", AT + 1),
        ("pump-2", AT),
    ]
    assert rows[0]["temperature"] == 1.0
    assert rows[0]["other_metrics"] == [("humidity", 40.0)]
    assert rows[0]["received_at"].timestamp() == AT + 0.05
    assert rows[0]["source_object"] == "raw-data/year=2026/month=11/day=21/hour=09/a.gz"
    assert (file.rows, file.bytes) == (3, len(lake.store.read(file.key) or b""))
    assert (file.first_device_id, file.last_device_id) == ("pump-1", "pump-2")
    assert (file.first_measured_at_ms, file.last_measured_at_ms) == (AT * 1000, AT * 1000 + 1000)


@pytest.mark.parametrize(
    ("partition_by", "names"),
    [
        ("day", ["measured_at_day=2026-11-21"]),
        ("hour", ["measured_at_hour=2026-11-21-09", "measured_at_hour=2026-11-21-10"]),
    ],
)
def test_a_file_holds_one_partition_of_the_settings(lake: Lake, partition_by: str, names: list[str]) -> None:
    lake.partition_by = partition_by
    lake.put("a", [reading(at=AT), reading(at=AT + 3600)])

    assert [file.partition for file in write(lake).files] == names


def test_the_last_received_of_two_readings_stays_wherever_it_is(lake: Lake) -> None:
    lake.put("a", [reading(temperature=1, received_at=AT * 1000 + 9), reading(temperature=2, received_at=AT * 1000)])
    lake.put("b", [reading("pump-2", temperature=3), reading("pump-2", temperature=4), reading(temperature=5)])

    result = write(lake)

    rows = pq.read_table(BufferReader(lake.store.read(result.files[0].key))).to_pylist()
    assert [(row["device_id"], row["temperature"]) for row in rows] == [("pump-1", 5.0), ("pump-2", 4.0)]
    assert [[getattr(item, name) for name in COUNTS] for item in result.objects] == [[2, 0, 2, 0], [3, 2, 1, 0]]


def test_a_reject_is_set_aside_with_its_bytes_reason_and_line(lake: Lake) -> None:
    key = lake.put("a", [reading(), b"not json \xff", b"", reading("bad id!"), reading(at=AT + 1)])

    result = write(lake)

    lines = quarantine_lines(lake)
    assert [(line["reason"], line["position"], line["source"]) for line in lines] == [
        ("not_json", f"{key}:2", "archive"),
        ("bad_device_id", f"{key}:4", "archive"),
    ]
    assert base64.b64decode(lines[0]["payload_b64"]) == b"not json \xff"
    day = lake.s3.head_object(Bucket=lake.raw, Key=key)["LastModified"]
    assert result.quarantine_key == f"quarantine/reason=mixed/{day:year=%Y/month=%m/day=%d}/compact-run-00000.jsonl.gz"
    assert result.counts == Counts(4, 2, 0, 2, {"bad_device_id": 1, "not_json": 1})


def test_a_task_of_nothing_but_garbage_writes_no_file(lake: Lake) -> None:
    lake.put("a", [b"garbage", b"{}", b"[1]"])

    result = write(lake)

    assert result.files == ()
    assert (result.counts.received, result.counts.quarantined) == (3, 3)
    assert len(quarantine_lines(lake)) == 3


def test_empty_objects_are_accounted_for(lake: Lake) -> None:
    lake.put("a", [])
    lake.put_bytes("b", b"")

    result = write(lake)

    assert [[getattr(item, name) for name in COUNTS] for item in result.objects] == [[0, 0, 0, 0], [0, 0, 0, 0]]
    assert (result.files, result.quarantine_key) == ((), None)


def test_several_gzip_members_plain_text_and_line_ends_of_windows_are_read(lake: Lake) -> None:
    lines = [json.dumps(reading(f"pump-{number}")).encode() for number in range(4)]
    lake.put_bytes("members", gzip.compress(lines[0] + b"\r\n") + gzip.compress(lines[1]))
    lake.put_bytes("plain", lines[2] + b"\n\n" + lines[3])

    assert write(lake).counts == Counts(received=4, stored=4)


def test_of_a_truncated_object_what_decodes_is_kept_and_the_loss_is_set_aside(lake: Lake) -> None:
    lines = b"".join(json.dumps(reading(at=AT + number)).encode() + b"\n" for number in range(500))
    packed = zlib.compress(lines, 0, 31)
    key = lake.put_bytes("a", packed[: len(packed) // 2])

    result = write(lake)

    assert 0 < result.counts.stored < 500
    assert (result.counts.quarantined, result.counts.received) == (1, result.counts.stored + 1)
    (line,) = quarantine_lines(lake)
    assert line["position"] == f"{key}:{result.counts.stored + 1}"
    assert f"ends early, at byte {len(packed) // 2}" in line["detail"]


def test_without_a_time_of_arrival_a_record_arrived_when_the_object_was_written(lake: Lake) -> None:
    key = lake.put("a", [{"device_id": "pump-1", "timestamp": 5, "temperature": 1}])
    modified = lake.s3.head_object(Bucket=lake.raw, Key=key)["LastModified"]

    result = write(lake)

    (row,) = pq.read_table(BufferReader(lake.store.read(result.files[0].key))).to_pylist()
    assert row["received_at"] == modified
    assert result.counts.late == 1


def test_a_task_that_runs_again_writes_the_same_bytes(lake: Lake) -> None:
    lake.put("a", [reading(), b"garbage", reading("pump-2", at=AT - 86400, a=1, b=2)])
    write(lake)
    before = everything(lake)

    lake.write("run")

    assert everything(lake) == before


def test_a_task_that_crashed_before_its_result_leaves_what_the_next_attempt_overwrites(lake: Lake) -> None:
    lake.put("a", [reading(), b"garbage"])
    write(lake)
    undisturbed = everything(lake)
    lake.s3.delete_object(Bucket=lake.processed, Key=result_key("run", "00000"))

    lake.write("run")

    assert everything(lake) == undisturbed


def test_an_object_that_changed_since_it_was_planned_fails_by_name(lake: Lake) -> None:
    key = lake.put("a", [reading()])
    lake.plan("run")
    lake.put("a", [reading(), reading(at=AT + 1)])

    with pytest.raises(ObjectChanged, match=key):
        lake.write("run")

    assert list(lake.store.keys("warehouse/")) == []


def test_an_object_that_vanished_since_it_was_planned_fails_by_name(lake: Lake) -> None:
    key = lake.put("a", [reading()])
    lake.plan("run")
    lake.s3.delete_object(Bucket=lake.raw, Key=key)

    with pytest.raises(ObjectMissing, match=key):
        lake.write("run")


def test_an_object_in_glacier_fails_by_name(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    key = lake.put("a", [reading()])
    lake.plan("run")
    get_object = lake.s3.get_object

    def refuse_the_archive(**request: str) -> object:
        if request["Bucket"] == lake.raw:
            raise ClientError({"Error": {"Code": "InvalidObjectState"}}, "GetObject")
        return get_object(**request)

    monkeypatch.setattr(lake.s3, "get_object", refuse_the_archive)

    with pytest.raises(ObjectArchived, match=f"{key} is in Glacier"):
        lake.write("run")


def test_the_function_takes_a_line_of_the_plan_and_answers_counts(deployed: Lake, context: object) -> None:
    deployed.put("a", [reading(), reading(), b"x"], HOUR - timedelta(hours=1))
    deployed.plan("run")
    handler._writer.cache_clear()

    answer = handler.handle({"run_id": "run", "task": msgspec.to_builtins(deployed.tasks("run")[0])}, context)

    assert answer == {
        "task_id": "00000",
        "records": 3,
        "stored": 1,
        "duplicate": 1,
        "quarantined": 1,
        "files": 1,
    }
