"""A run of the state machine `reprocess` that is refused, with its real functions on the embedded AWS.

Runs that are tried, applied and taken back: tests/e2e/test_reprocess.py.
"""

import json

from tests.lake import reading
from tests.ops.deployment import Deployment
from tests.stepfunctions.executions import ended_items, visited

ASKED = {
    "from": "2026-11-21T00:00:00Z",
    "to": "2026-11-22T00:00:00Z",
    "source": "archive",
    "targets": ["table", "hot"],
    "mode": "apply",
    "note": "a metric was wrong",
}


def test_a_range_that_would_lose_readings_is_refused_with_a_report(deployment: Deployment) -> None:
    lake = deployment.lake
    lake.put("a", [reading("press"), reading("saw")])
    lake.run("compact")
    lake.put("a", [reading("press"), b"no longer a record"])

    execution = deployment.start("run", ASKED, "reprocess")

    assert (execution["status"], execution["error"]) == ("FAILED", "FewerReadings"), execution
    assert visited(execution)[-2:] == ["Report Refusal", "Fewer Readings"]
    assert len(ended_items(lake, "reprocess", "run", "SUCCEEDED")) == 2, "a task of decoding, one of merging"
    report = json.loads(lake.store.read("runs/reprocess/run/report.json") or b"")
    assert report["outcome"] == "refused"
    assert len(lake.rows()) == 2
