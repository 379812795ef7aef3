"""Runs of the state machine `reprocess` with its real functions on the embedded AWS."""

import json
from typing import Any

import pytest

from tests.lake import reading
from tests.ops.deployment import Deployment
from tests.stepfunctions.executions import ended_items, visited

DAY = {"from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z"}
ASKED = {**DAY, "source": "archive", "targets": ["table", "hot"], "mode": "apply", "note": "a metric was wrong"}


def compacted(deployment: Deployment) -> None:
    """Two readings in the table, of a temperature that is then found to be another."""
    lake = deployment.lake
    lake.put("a", [reading("press"), reading("saw")])
    lake.run("compact")
    lake.put("a", [reading("press", temperature=30.0), reading("saw")])


def reprocess(deployment: Deployment, name: str, **asked: Any) -> dict[str, Any]:
    return deployment.start(name, {**ASKED, **asked}, "reprocess")


def temperatures(deployment: Deployment) -> dict[str, float]:
    return {row["device_id"]: row["temperature"] for row in deployment.lake.rows()}


def test_a_range_is_tried_applied_and_taken_back(deployment: Deployment) -> None:
    compacted(deployment)

    tried = reprocess(deployment, "try", mode="dry_run")
    assert tried["status"] == "SUCCEEDED", tried
    assert temperatures(deployment) == {"press": 20.5, "saw": 20.5}

    applied = reprocess(deployment, "run")
    assert applied["status"] == "SUCCEEDED", applied
    report = json.loads(applied["output"])
    assert [report[name] for name in ("run_id", "mode", "outcome", "changed")] == ["run", "apply", "applied", 1]
    assert temperatures(deployment) == {"press": 30.0, "saw": 20.5}
    assert {"Decode All Objects", "Merge All Readings", "Write All To Hot Table"} < set(visited(applied))
    assert len(ended_items(deployment.lake, "reprocess", "run", "SUCCEEDED")) == 3, "a task of each map"

    undone = deployment.start("back", {"undo": "run", "note": "it was right"}, "reprocess")
    assert undone["status"] == "SUCCEEDED", undone
    assert visited(undone) == ["Undo A Run?", "Undo Run"]
    assert temperatures(deployment) == {"press": 20.5, "saw": 20.5}


def test_a_range_that_would_lose_readings_is_refused_with_a_report(deployment: Deployment) -> None:
    compacted(deployment)
    deployment.lake.put("a", [reading("press"), b"no longer a record"])

    execution = reprocess(deployment, "run")

    assert (execution["status"], execution["error"]) == ("FAILED", "FewerReadings"), execution
    assert visited(execution)[-2:] == ["Report Refusal", "Fewer Readings"]
    report = json.loads(deployment.lake.store.read("runs/reprocess/run/report.json") or b"")
    assert report["outcome"] == "refused"
    assert len(deployment.lake.rows()) == 2


@pytest.mark.parametrize("run_input", [{"from": "soon"}, {"undo": "never was"}])
def test_an_input_that_cannot_be_used_ends_in_a_failure_with_its_name(
    deployment: Deployment, run_input: dict[str, Any]
) -> None:
    execution = deployment.start("run", run_input, "reprocess")

    assert (execution["status"], execution["error"]) == ("FAILED", "InvalidInput")
    assert visited(execution)[-1] == "Input Refused"
