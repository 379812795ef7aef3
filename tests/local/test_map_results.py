"""A Distributed Map with a `ResultWriter` writes down how its children ended, also when it failed."""

import itertools
import json
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import stepfunctions

from local.additions import map_results

ACCOUNTS = (f"{number:012}" for number in itertools.count(8_500))
STATE: dict[str, Any] = {
    "Type": "Map",
    "Label": "Write",
    "ItemsPath": "$.items",
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Right?",
        "States": {
            "Right?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$", "NumericGreaterThan": 0, "Next": "Done"}],
                "Default": "Broken",
            },
            "Done": {"Type": "Succeed"},
            "Broken": {"Type": "Fail", "Error": "DiskFull", "Cause": "no room"},
        },
    },
    "ResultWriter": {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "results", "Prefix.$": "States.Format('runs/{}/map', $.run_id)"},
    },
    "ResultPath": None,
    "End": True,
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Objects by the key below the map run's folder; the addition is installed until the test ends."""
    objects: dict[str, Any] = {}
    monkeypatch.setattr(stepfunctions, "_run_distributed_map", stepfunctions._run_distributed_map)
    monkeypatch.setattr(
        map_results, "put_object", lambda bucket, key, body: objects.update({f"{bucket}/{key}": json.loads(body)})
    )
    map_results.install()
    return objects


def run(state: dict[str, Any], items: list[int]) -> str:
    """Run a machine of one map; how it ended."""
    with request_scope(next(ACCOUNTS), "eu-central-1"):
        definition = json.dumps({"StartAt": "Map", "States": {"Map": state}})
        _, _, created = stepfunctions._create_state_machine({"name": "machine", "definition": definition})
        machine = json.loads(created)["stateMachineArn"]
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:one"
        stepfunctions._executions[arn] = {
            "executionArn": arn,
            "stateMachineArn": machine,
            "name": "one",
            "status": "RUNNING",
            "startDate": "",
            "events": [],
            "input": json.dumps({"run_id": "one", "items": items}),
            "mockAttempts": {},
        }
        stepfunctions._run_execution(arn)
        return str(stepfunctions._executions[arn]["status"])


def by_file(written: dict[str, Any]) -> dict[str, Any]:
    return {key.rpartition("/")[2]: value for key, value in written.items()}


def test_a_map_that_failed_names_its_failed_items_beside_those_that_went_well(written: dict[str, Any]) -> None:
    assert run(STATE, [1, 0, 2]) == "FAILED"

    files = by_file(written)
    assert set(files) == {"manifest.json", "FAILED_0.json", "SUCCEEDED_0.json"}
    (failed,) = files["FAILED_0.json"]
    assert (failed["Input"], failed["Error"], failed["Cause"], failed["Status"]) == (
        "0",
        "DiskFull",
        "no room",
        "FAILED",
    )
    assert sorted(done["Input"] for done in files["SUCCEEDED_0.json"]) == ["1", "2"]
    manifest = files["manifest.json"]
    listed = [item["Key"] for found in manifest["ResultFiles"].values() for item in found]
    assert {f"results/{key}" for key in listed} == {key for key in written if "manifest" not in key}
    assert all(key.startswith(f"runs/one/map/{manifest['MapRunArn'].rpartition(':')[2]}/") for key in listed)


def test_a_map_without_failures_has_no_file_of_failures(written: dict[str, Any]) -> None:
    assert run(STATE, [1, 2]) == "SUCCEEDED"

    files = by_file(written)
    assert set(files) == {"manifest.json", "SUCCEEDED_0.json"}
    assert files["manifest.json"]["ResultFiles"]["FAILED"] == []


def test_a_map_that_asks_for_no_results_writes_none(written: dict[str, Any]) -> None:
    assert run({key: value for key, value in STATE.items() if key != "ResultWriter"}, [1]) == "SUCCEEDED"

    assert written == {}


def test_a_role_that_may_not_write_the_results_fails_the_map(
    written: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(action: str, resource: str, refused_as: str) -> None:
        raise stepfunctions._ExecutionError(refused_as, f"{action} on {resource}")

    monkeypatch.setattr(map_results, "demand_of_machine", refuse)

    assert run(STATE, [1]) == "FAILED"
    assert written == {}
