"""What is told of a reprocessing while somebody watches it."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from ops import reprocess_progress
from ops.executions import Progress, Tasks
from ops.reprocess_progress import Decoded, Done, Watching
from ops.stack import Stack
from reprocessing.keys import decoded_key, plan_key
from reprocessing.manifests import DecodedObject, DecodeResult, Plan
from reprocessing.request import Request, Scope
from tests.lake import Lake

REQUEST = Request(
    scope=Scope(0, 1),
    source="archive",
    targets=("table",),
    mode="dry_run",
    max_rate=1,
    restore_tier="Bulk",
    restore_days=1,
    note="dry run",
)
PLAN = Plan(
    run_id="first",
    request=REQUEST,
    rules="r",
    started_at="2026-11-21T09:00:00+00:00",
    snapshot_id=None,
    tasks=3,
    objects=6,
    bytes=900,
    waiting=0,
    outside=0,
    missing=0,
    frozen=2000,
    frozen_bytes=0,
)
ARN = "arn:aws:states:eu-central-1:1:execution:reprocess:second"
DECODE = "arn:aws:states:eu-central-1:1:mapRun:reprocess/DecodeObjects:1"
MERGE = "arn:aws:states:eu-central-1:1:mapRun:reprocess/MergeReadings:2"


def put_result(lake: Lake, task_id: str) -> None:
    objects = tuple(DecodedObject(f"{task_id}-{n}", "etag", 11, 10, 1, 0, 0) for n in range(2))
    result = DecodeResult("first", task_id, "r", objects, (), 0, 0)
    lake.store.write(decoded_key("first", task_id), msgspec.json.encode(result))


def watching(lake: Lake, data: dict[str, Any]) -> Watching:
    """Somebody who watches an execution whose states are given `data`."""
    lake.store.write(plan_key("first"), msgspec.json.encode(PLAN))
    event = {"stateEnteredEventDetails": {"name": "any", "input": msgspec.json.encode(data).decode()}}
    states = SimpleNamespace(get_execution_history=lambda **_: {"events": [event]})
    clients = {"stepfunctions": states, "s3": lake.s3}
    stack = Stack("name", "", "", {"ProcessedBucketName": lake.processed}, SimpleNamespace(client=clients.get))  # type: ignore[arg-type]
    return Watching(stack, lambda: datetime(2026, 11, 21, 11, tzinfo=UTC))


def test_results_are_read_once_and_some_at_a_look(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprocess_progress, "_READ", 2)
    decoded = Decoded(memory_lake.store, "first")
    for task_id in ("00000", "00001", "00002"):
        put_result(memory_lake, task_id)

    assert decoded.look(3) == Done(objects=4, rows=40, is_behind=True)
    assert decoded.look(3) == Done(objects=6, rows=60)
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=decoded_key("first", "00000"))
    assert decoded.look(3) == Done(objects=6, rows=60), "nothing is left to be read"


def test_objects_and_rows_of_the_run_that_an_execution_carries_on_are_told(memory_lake: Lake) -> None:
    watch = watching(memory_lake, {"run_id": "first"})
    put_result(memory_lake, "00000")

    assert watch(ARN, Progress("RUNNING", "Plan Reprocessing")) == []
    assert watch(ARN, Progress("RUNNING", "Decode All Objects", Tasks(3, 1, 2, 0, DECODE))) == [
        "decoded: 2 of 6 objects, 20 rows"
    ]


def test_after_the_decoding_everything_that_was_decoded_is_told(memory_lake: Lake) -> None:
    watch = watching(memory_lake, {"run_id": "first"})
    for task_id in ("00000", "00001", "00002"):
        put_result(memory_lake, task_id)

    (told,) = watch(ARN, Progress("RUNNING", "Merge All Readings", Tasks(2, 0, 1, 0, MERGE)))

    assert told == "decoded: 6 of 6 objects, 60 rows"


def test_while_glacier_is_waited_for_its_objects_are_told(memory_lake: Lake) -> None:
    watch = watching(memory_lake, {"run_id": "first", "restore": {"waiting": 1200, "wait_s": 900}})

    waiting = watch(ARN, Progress("RUNNING", "Wait For Restored Copies"))
    later = watch(ARN, Progress("RUNNING", "Decode All Objects"))

    missing = "S3 has still to restore 1,200 of 2,000 frozen objects after 2 h 0 min"
    assert waiting == [f"{missing}; Bulk takes up to 12 h 0 min; a look every 15 min"]
    assert later == []


def test_before_the_first_state_there_is_nothing_to_tell(memory_lake: Lake) -> None:
    assert watching(memory_lake, {})(ARN, Progress("RUNNING")) == []
