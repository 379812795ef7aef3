"""A run over 100,000 archived objects: the real definition and the real functions, on an AWS in memory.

Played are most of the map's tasks: of twenty that decode, nineteen find records that are not of the scope; and a merge
that others overtake, as four of five are, is not done. All copies of the frozen objects are late.
"""

import datetime as dates
import itertools
import json
import types
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import boto3
import msgspec
import pytest
from isal import igzip

import environment
from commit_reprocess import handler as commit_reprocess
from compaction import catalog
from compaction.hours import hour_of, hour_prefix
from compaction.ledger import Ledger
from compaction.manifests import PlannedObject, Task
from compaction.store import Store
from config.settings import load
from decode_objects import handler as decode_objects
from merge_readings import handler as merge_readings
from plan_merge import handler as plan_merge
from plan_reprocess import handler as plan_reprocess
from report_reprocess import handler as report_reprocess
from reprocessing.fingerprint import fingerprint
from reprocessing.keys import (
    committed_key,
    decoded_key,
    report_key,
    tasks_key,
)
from reprocessing.manifests import Committed, DecodedObject, DecodeResult, DecodeTask
from reprocessing.plan.frozen import MOST_LOOKS, WAIT_S
from reprocessing.report.contents import Report
from restore_objects import handler as restore_objects
from tests.glacier import glacier_lake
from tests.lake import HOUR, Lake
from tests.memory_aws import MemoryStates, Stored
from tests.stepfunctions.interpreter import Answer, FunctionError, Run, run
from write_hot_table import handler as write_hot_table

OBJECTS: Final = 100_000
HOURS: Final = 40
FROZEN: Final = 1_000
MERGES: Final = 5
DECODED: Final = 20
"""One task of so many is decoded."""
LARGEST_PAYLOAD: Final = 32 * 1024
LONGEST_HISTORY: Final = 5_000

DELIVERY_STREAM: Final = "a-delivery-stream-with-a-name-as-long-as-firehose-lets-it-be-yes"
EXECUTION: Final = "run"  # what the interpreter calls it
LATER_S: Final = 10 * 366 * 86_400.0
"""Until the hot table is written, long enough for every item to be past its time there."""

FUNCTIONS: Final = {
    "PlanReprocess": plan_reprocess,
    "RestoreObjects": restore_objects,
    "DecodeObjects": decode_objects,
    "PlanMerge": plan_merge,
    "MergeReadings": merge_readings,
    "CommitReprocess": commit_reprocess,
    "WriteHotTable": write_hot_table,
    "ReportReprocess": report_reprocess,
}

ASKED: Final = {
    "from": f"{HOUR:%Y-%m-%dT%H:%M:%SZ}",
    "to": f"{HOUR + HOURS * dates.timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
    "source": "archive",
    "targets": ["table", "hot"],
    "mode": "apply",
    "note": "a table that was lost",
}


class Done(NamedTuple):
    """An execution, and the lake that it has left."""

    execution: Run
    lake: Lake

    def read(self, key: str, kind: Any) -> Any:
        return msgspec.json.decode(self.lake.store.read(key) or b"", type=kind)

    def tasks(self) -> Iterator[DecodeTask]:
        return map(msgspec.json.Decoder(DecodeTask).decode, self.lake.store.lines(tasks_key(EXECUTION)) or ())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """The run, over objects that compaction has committed to a table that is gone."""
    lake = glacier_lake()
    _fill(lake)
    with pytest.MonkeyPatch.context() as monkeypatch:
        settings_file = tmp_path_factory.mktemp("settings") / "settings.json"
        settings_file.write_text(json.dumps(load("local", {}).model_dump(mode="json")), encoding="utf-8")
        _deploy(monkeypatch, lake, str(settings_file))
        functions: dict[str, Answer] = {name: _function(module) for name, module in FUNCTIONS.items()}
        functions["DecodeObjects"] = _mostly_outside(functions["DecodeObjects"], lake.store)
        for name, answer in {"MergeReadings": {}, "CommitReprocess": "FilesReplaced"}.items():
            functions[name] = _overtaken(functions[name], answer)
        execution = run(
            monkeypatch,
            "reprocess",
            functions,
            lambda key: (lake.store.read(key) or b"").decode(),
            ASKED,
            lambda seconds: _pass(lake, seconds),
        )
        yield Done(execution, lake)
    _forget()


def _fill(lake: Lake) -> None:
    """Archive and ledger: an object has a reading of its own."""
    archive = lake.s3.buckets[lake.raw]
    for hour in (HOUR + number * dates.timedelta(hours=1) for number in range(HOURS)):
        folder, first_ms = hour_prefix(hour), int(hour.timestamp() * 1000)
        name = f"{DELIVERY_STREAM}-1-{hour:%Y-%m-%d-%H}-00-00"
        for number in range(OBJECTS // HOURS):
            at = f'"timestamp":{first_ms + number},"received_at":{first_ms + number}'
            record = f'{{"device_id":"press-{number}","temperature":20.5,{at}}}'.encode()
            key = f"{folder}{name}-{number:08x}-0000-0000-0000-000000000000.gz"
            archive[key] = Stored(igzip.compress(record, 0), {}, lake.s3.now)
    for key in itertools.islice(archive, FROZEN):
        lake.s3.freeze(lake.raw, key)
    lake.s3.takes = dates.timedelta(seconds=WAIT_S["Standard"] * (MOST_LOOKS - 1))
    lake.s3.page = 1_000
    Ledger(lake.store).record("earlier", 1, [Task("00000", tuple(PlannedObject(key, 1, "") for key in archive))])


def _deploy(monkeypatch: pytest.MonkeyPatch, lake: Lake, settings_file: str) -> None:
    """Have the functions find this lake in place of AWS, and its clock in place of the system's."""
    states = MemoryStates()
    states.start(EXECUTION)
    clients = {"s3": lake.s3, "glue": lake.glue, "stepfunctions": states, "dynamodb": None, "sns": None}
    names = {"SETTINGS_FILE": settings_file, "RAW_BUCKET": lake.raw, "PROCESSED_BUCKET": lake.processed}
    for name, value in {
        **names,
        "LAKE_DATABASE": lake.database,
        "READINGS_TABLE": "r",
        "ALERTS_TOPIC_ARN": "a",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "client", lambda service, **_: clients[service])
    monkeypatch.setattr(boto3, "Session", lambda: types.SimpleNamespace(client=boto3.client))
    monkeypatch.setattr(catalog, "open_catalog", lambda *_: lake.catalog)
    clock = types.SimpleNamespace(now=lambda _: lake.s3.now)
    for module in (plan_reprocess, restore_objects, commit_reprocess, report_reprocess):
        monkeypatch.setattr(module, "datetime", clock)
    later = types.SimpleNamespace(time=lambda: lake.s3.now.timestamp() + LATER_S)
    monkeypatch.setattr(write_hot_table, "time", later)
    _forget()


def _forget() -> None:
    """What a function keeps from call to call is of one deployment."""
    kept = (decode_objects._decoder, merge_readings._merger, restore_objects._restorer, write_hot_table._writer)
    for answer in (environment.settings, *kept):
        answer.cache_clear()


def _function(module: Any) -> Answer:
    names = {"function_name": "f", "memory_limit_in_mb": 128, "invoked_function_arn": "f", "aws_request_id": "1"}
    context = types.SimpleNamespace(**names, get_remaining_time_in_millis=lambda: 900_000)
    return lambda event: module.handle(event, context)


def _mostly_outside(decode: Answer, store: Store) -> Answer:
    """Decode one task of many; the results of the others say that their records are outside the scope."""

    def answer(event: dict[str, Any]) -> Any:
        task = msgspec.convert(event["task"], DecodeTask)
        if int(task.task_id) % DECODED == 0:
            return decode(event)
        objects = tuple(DecodedObject(planned.key, planned.etag, 1, 0, 0, 0, 1) for planned in task.objects)
        result = DecodeResult(EXECUTION, task.task_id, fingerprint(environment.settings()), objects, (), 0, 0)
        store.write(decoded_key(EXECUTION, task.task_id), msgspec.json.encode(result))
        return {}

    return answer


def _overtaken(function: Answer, otherwise: object) -> Answer:
    """Do what is asked for the last merge alone."""

    def answer(event: dict[str, Any]) -> Any:
        if event["merge_id"].startswith(f"{MERGES:02}-"):
            return function(event)
        if isinstance(otherwise, str):
            raise FunctionError(otherwise)
        return otherwise

    return answer


def _pass(lake: Lake, seconds: float) -> None:
    lake.s3.now += dates.timedelta(seconds=seconds)


def test_the_run_ends_well_after_every_look_and_every_merge_that_it_may_take(done: Done) -> None:
    execution = done.execution

    assert (execution.status, execution.error) == ("SUCCEEDED", "")
    assert len(execution.calls["RestoreObjects"]) == MOST_LOOKS
    assert len(execution.calls["PlanMerge"]) == MERGES
    assert Counter(execution.visited)["Merge All Readings"] == MERGES


def test_every_payload_stays_small_and_the_history_short(done: Done) -> None:
    assert done.execution.largest < LARGEST_PAYLOAD
    assert done.execution.events < LONGEST_HISTORY


def test_every_object_of_the_listing_is_accounted_for_by_plan_results_commit_and_report(done: Done) -> None:
    archive = done.lake.s3.buckets[done.lake.raw]
    tasks = list(done.tasks())
    results = [done.read(decoded_key(EXECUTION, task.task_id), DecodeResult) for task in tasks]
    decoded = sum(len(task.objects) for task in tasks if int(task.task_id) % DECODED == 0)
    report = done.read(report_key(EXECUTION), Report)
    committed = done.read(committed_key(EXECUTION), Committed)
    snapshot = done.lake.table().current_snapshot()

    assert sorted(planned.key for task in tasks for planned in task.objects) == list(archive)
    assert sorted(item.key for result in results for item in result.objects) == list(archive)
    assert len(done.execution.calls["DecodeObjects"]) == len(tasks)
    assert decoded > OBJECTS / (2 * DECODED)
    assert committed.rows_written == decoded
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary["total-records"] == f"{decoded}"
    assert (report.found.objects, report.found.frozen, report.found.missing) == (OBJECTS, FROZEN, 0)
    assert report.records.records == OBJECTS
    assert (report.records.stored, report.records.outside) == (decoded, OBJECTS - decoded)
    assert report.readings.after == decoded
    assert report.hot is not None
    assert report.hot.expired == decoded, "all are past their time in the hot table"
    assert done.execution.output["records"] == OBJECTS


def test_a_task_has_objects_of_one_day_of_arrival(done: Done) -> None:
    for task in done.tasks():
        assert len({(hour_of(planned.key) or HOUR).date() for planned in task.objects}) == 1
