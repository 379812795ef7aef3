"""Each path through the state machine `optimize`, with its real functions on the embedded AWS."""

import json
from typing import Any

import pytest

from tests.lake import AT, reading
from tests.ops.deployment import Deployment
from tests.stepfunctions.executions import ended_items, visited
from tests.upkeep import Upkeep


def fragment(deployment: Deployment, *devices: str) -> None:
    """A file of the table for each device, all of one partition and with one reading in common."""
    for device in devices:
        deployment.lake.put(device, [reading("pump"), reading(device, at=AT + 60)])
        deployment.lake.run(f"compact-{device}")


def optimize(deployment: Deployment, run_id: str, run_input: object = None) -> dict[str, Any]:
    return deployment.start(run_id, run_input or {}, "optimize")


def test_files_of_a_partition_become_one_without_duplicates_and_the_run_ends_with_its_report(
    deployment: Deployment,
) -> None:
    fragment(deployment, "press", "saw")

    execution = optimize(deployment, "run")

    assert execution["status"] == "SUCCEEDED"
    report = json.loads(execution["output"])
    assert report["run_id"] == "run"
    assert [report["rewritten"][name] for name in ("files_before", "files_after", "duplicates")] == [2, 1, 1]
    assert report == json.loads(deployment.lake.store.read("runs/optimize/run/report.json") or b"")
    assert report["rewritten"]["snapshot_id"] == str(deployment.lake.table().metadata.current_snapshot_id)
    assert sorted(row["device_id"] for row in deployment.lake.rows()) == ["press", "pump", "saw"]
    assert visited(execution) == [
        "Plan Optimization",
        "Anything To Rewrite?",
        "Rewrite Parquet Files",
        "Commit Rewrite",
        "Expire Snapshots",
        "Sweep Orphans",
    ]
    assert len(ended_items(deployment.lake, "optimize", "run", "SUCCEEDED")) == 1


def test_a_table_in_order_is_left_as_it_is_but_for_what_is_old(deployment: Deployment) -> None:
    fragment(deployment, "press")

    execution = optimize(deployment, "run")

    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"])["rewritten"] is None
    assert visited(execution)[2:] == ["Nothing To Rewrite", "Expire Snapshots", "Sweep Orphans"]
    assert len(deployment.lake.table().metadata.snapshots) == 1


@pytest.mark.parametrize("run_input", [{"from": "soon"}, {"since": 1}])
def test_an_input_that_cannot_be_used_ends_in_a_failure_with_its_name(
    deployment: Deployment, run_input: dict[str, Any]
) -> None:
    execution = optimize(deployment, "run", run_input)

    assert (execution["status"], execution["error"]) == ("FAILED", "InvalidInput")
    assert visited(execution)[-1] == "Input Refused"


def test_a_run_that_another_has_overtaken_publishes_nothing_and_says_so(deployment: Deployment) -> None:
    fragment(deployment, "press", "saw")
    Upkeep(deployment.lake).plan("run")
    assert optimize(deployment, "faster")["status"] == "SUCCEEDED"
    snapshots = len(deployment.lake.table().metadata.snapshots)

    execution = optimize(deployment, "run")

    assert (execution["status"], execution["error"]) == ("FAILED", "FilesReplaced")
    assert visited(execution)[-1] == "Nothing Published"
    assert len(deployment.lake.table().metadata.snapshots) == snapshots


def test_a_task_that_fails_fails_the_run_in_the_map_and_is_named_in_the_runs_folder(deployment: Deployment) -> None:
    lake = deployment.lake
    fragment(deployment, "press", "saw")
    upkeep = Upkeep(lake)
    upkeep.plan("run")
    (group,) = upkeep.groups("run")
    lake.s3.delete_object(Bucket=lake.processed, Key=group.files[0].key)

    execution = optimize(deployment, "run")

    assert (execution["status"], execution["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert visited(execution)[-1] == "Rewrite Parquet Files"
    (failed,) = ended_items(lake, "optimize", "run", "FAILED")
    assert failed["Error"] == "FileMismatch"
    assert json.loads(failed["Input"])["task"]["task_id"] == "00000-000"
