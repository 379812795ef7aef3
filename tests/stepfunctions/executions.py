"""What an execution on the embedded AWS has been through."""

import json
from typing import Any

from tests.lake import Lake, client


def visited(execution: dict[str, str]) -> list[str]:
    """The states that it entered, in order; those inside a map are not among them."""
    history = client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])["events"]
    return [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]


def ended_items(lake: Lake, machine: str, run_id: str, status: str) -> list[dict[str, Any]]:
    """The items of the run's maps that ended with a status, by the manifests that Step Functions has left."""
    keys = [key for key in lake.store.keys(f"runs/{machine}/{run_id}/map/") if key.endswith("/manifest.json")]
    listed = [file for key in keys for file in json.loads(lake.store.read(key) or b"")["ResultFiles"][status]]
    return [item for file in listed for item in json.loads(lake.store.read(file["Key"]) or b"")]
