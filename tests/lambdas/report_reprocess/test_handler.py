"""The function `report_reprocess`: what it is called with, and what it answers."""

import json
from typing import Any

import pytest

import environment
from report_reprocess import handler
from reprocessing.keys import claim_key
from tests.lake import Lake
from tests.lambdas.report_reprocess.closing import TOPIC, Run, Topic, store
from tests.memory_aws import MemoryStates


@pytest.fixture
def run(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch, settings_file: str) -> Run:
    """A run before its commit, by the deployed function's clients."""
    monkeypatch.setenv("SETTINGS_FILE", settings_file)
    monkeypatch.setenv("PROCESSED_BUCKET", memory_lake.processed)
    monkeypatch.setenv("ALERTS_TOPIC_ARN", TOPIC)
    monkeypatch.setenv("LAKE_DATABASE", memory_lake.database)
    environment.settings.cache_clear()
    clients = {"s3": memory_lake.s3, "glue": memory_lake.glue, "sns": Topic(), "stepfunctions": MemoryStates()}
    monkeypatch.setattr(handler.boto3, "client", lambda name, **_: clients[name])
    store(memory_lake, [200.0, 20.0], [20.0, 20.0])
    run = Run(memory_lake)
    run.prepare()
    return run


def event(run: Run, **more: Any) -> dict[str, Any]:
    arn = MemoryStates().start("run")
    return {"run_id": "run", "merge_id": run.merge_id, "execution": "run", "execution_arn": arn, **more}


def test_the_answer_is_the_report_in_short_and_where_it_is_and_the_range_is_free(run: Run, context: object) -> None:
    committed = run.commit()
    assert run.lake.store.read(claim_key("run")) is not None

    answer = handler.handle(event(run), context)

    assert answer["report"] == f"s3://{run.lake.processed}/runs/reprocess/run/report.json"
    assert answer["page"] == f"s3://{run.lake.processed}/runs/reprocess/run/report.html"
    said = {
        "outcome": "applied",
        "mode": "apply",
        "before": 2,
        "after": 2,
        "changed": 1,
        "alarms_before": 1,
        "alarms_after": 0,
    }
    assert answer.items() >= said.items()
    assert answer["snapshot_id"] == committed.snapshot_id
    assert len(json.dumps(answer)) < 2000
    assert run.lake.store.read(claim_key("run")) is None


OF_LAMBDA = '{"errorMessage": "Fewer.", "errorType": "FewerReadings", "stackTrace": []}'


@pytest.mark.parametrize("cause", ["Fewer.", OF_LAMBDA])
def test_a_refusal_is_told_in_the_words_of_the_function_that_refused(run: Run, context: object, cause: str) -> None:
    refused = {"Error": "FewerReadings", "Cause": cause}

    answer = handler.handle(event(run, refused=refused), context)

    assert (answer["outcome"], answer["snapshot_id"]) == ("refused", None)
    report = json.loads(run.lake.store.read("runs/reprocess/run/report.json") or b"")
    assert report["refused"] == {"error": "FewerReadings", "cause": "Fewer."}
