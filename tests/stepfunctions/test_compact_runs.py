"""Each path through the state machine `compact`, with its real functions on the embedded AWS."""

import json

import msgspec
import pytest

from compaction.hours import Window
from compaction.manifests import result_key
from tests.lake import HOUR, reading
from tests.ops.deployment import Deployment
from tests.stepfunctions.executions import ended_items, visited

EVERYTHING = Window(None, HOUR)


def test_an_archive_with_news_ends_with_the_report(deployment: Deployment) -> None:
    for hour in range(1, 4):
        deployment.lake.put("a", [reading(f"pump-{hour}"), b"x"], HOUR.replace(year=2025, hour=hour))
        deployment.lake.put("b", [reading(f"pump-{hour}")], HOUR.replace(year=2024, hour=hour))

    execution = deployment.start("run", {})

    assert execution["status"] == "SUCCEEDED"
    report = json.loads(execution["output"])
    assert [report[name] for name in ("run_id", "committed", "tasks")] == ["run", True, 2]
    assert [report[name] for name in ("records", "stored", "quarantined")] == [9, 6, 3]
    assert report == json.loads(deployment.lake.store.read("runs/compact/run/report.json") or b"")
    assert len(deployment.lake.rows()) == 6
    assert visited(execution)[:3] == ["Plan Compaction", "Anything To Do?", "Write Parquet Files"]


def test_an_archive_without_news_ends_at_nothing_to_do(deployment: Deployment) -> None:
    execution = deployment.start("run", {})

    assert execution["status"] == "SUCCEEDED"
    assert visited(execution)[-1] == "Nothing To Do"


@pytest.mark.parametrize("run_input", [{"from": "soon"}, {"from": "2026-11-22", "to": "2026-11-21"}, {"since": 1}])
def test_an_input_that_cannot_be_used_ends_in_a_failure_with_its_name(
    deployment: Deployment, run_input: dict[str, str]
) -> None:
    execution = deployment.start("run", run_input)

    assert (execution["status"], execution["error"]) == ("FAILED", "InvalidInput")
    assert next(iter(run_input)) in json.loads(execution["cause"])["errorMessage"]
    assert visited(execution)[-1] == "Input Refused"


def test_a_task_that_fails_fails_the_run_in_the_map_so_that_a_redrive_continues_there(deployment: Deployment) -> None:
    lake = deployment.lake
    lake.put("a", [reading()], HOUR.replace(year=2025))
    lake.planner().plan("run", EVERYTHING)
    lake.put("a", [reading(), reading()], HOUR.replace(year=2025))

    execution = deployment.start("run", {})

    assert (execution["status"], execution["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert visited(execution)[-1] != "Commit Table"
    (failed,) = ended_items(lake, "compact", "run", "FAILED")
    assert (failed["Error"], json.loads(failed["Input"])["task"]["task_id"]) == ("ObjectChanged", "00000")
    assert deployment.start("next", {})["status"] == "SUCCEEDED"


def test_a_run_that_another_has_overtaken_publishes_nothing_and_says_so(deployment: Deployment) -> None:
    lake = deployment.lake
    lake.put("a", [reading()], HOUR.replace(year=2025))
    lake.planner().plan("run", EVERYTHING)
    assert deployment.start("faster", {})["status"] == "SUCCEEDED"

    execution = deployment.start("run", {})

    assert (execution["status"], execution["error"]) == ("FAILED", "ObjectsAlreadyCommitted")
    assert visited(execution)[-1] == "Nothing Published"
    assert len(lake.rows()) == 1


def test_a_run_id_that_is_committed_already_ends_well_and_changes_nothing(deployment: Deployment) -> None:
    lake = deployment.lake
    lake.put("a", [reading()], HOUR.replace(year=2025))
    lake.planner().plan("run", EVERYTHING)
    lake.write("run")
    report = lake.commit("run")

    execution = deployment.start("run", {})

    assert json.loads(execution["output"]) == msgspec.to_builtins(report)
    assert lake.store.read(result_key("run", "00000")) is not None
    assert len(lake.table().metadata.snapshots) == 1
