"""The results of a Distributed Map written to S3 where the state asks for it (`ResultWriter`): MiniStack writes none.

Below `<prefix>/<id of the map run>/` stand `manifest.json` and a file a status, `SUCCEEDED_0.json` and `FAILED_0.json`,
with the children's inputs, outputs and errors; also of a map that failed
(https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html). What the state hands on stays
MiniStack's: the states here keep none of it.
"""

import json
from typing import Any

from local.additions.acting_roles import demand_of_machine
from local.additions.services import put_object

REFUSED = "States.ResultWriterFailed"
STATUSES = ("FAILED", "PENDING", "SUCCEEDED")
FIELDS = {
    "cause": "Cause",
    "error": "Error",
    "executionArn": "ExecutionArn",
    "input": "Input",
    "name": "Name",
    "output": "Output",
    "startDate": "StartDate",
    "stateMachineArn": "StateMachineArn",
    "status": "Status",
    "stopDate": "StopDate",
}
"""Of a child: MiniStack's names, and AWS's in the files."""


def install() -> None:
    """Let a Distributed Map write down how its children ended."""
    from ministack.services import stepfunctions

    run_map = stepfunctions._run_distributed_map

    def run_map_and_write(
        state: dict[str, Any], given: Any, effective: Any, iterator: dict[str, Any], execution: dict[str, Any], ctx: Any
    ) -> Any:
        before = set(stepfunctions._map_runs.keys())
        try:
            return run_map(state, given, effective, iterator, execution, ctx)
        finally:
            made = [
                arn
                for arn, run in stepfunctions._map_runs.items()
                if arn not in before and run["executionArn"] == execution["executionArn"]
            ]
            if made and "ResultWriter" in state:
                place = stepfunctions._resolve_params_obj(state["ResultWriter"]["Parameters"], effective, ctx)
                _write(place["Bucket"], f"{place['Prefix']}/{made[0].rpartition(':')[2]}", made[0])

    stepfunctions._run_distributed_map = run_map_and_write


def _write(bucket: str, folder: str, map_run: str) -> None:
    from ministack.services import stepfunctions

    children = [child for child in stepfunctions._executions.values() if child.get("mapRunArn") == map_run]
    files: dict[str, list[dict[str, Any]]] = {status: [] for status in STATUSES}
    for status in STATUSES:
        found = [_described(child) for child in children if child["status"] == status]
        if found:
            key = f"{folder}/{status}_0.json"
            files[status].append({"Key": key, "Size": _put(bucket, key, found)})
    manifest = {"DestinationBucket": bucket, "MapRunArn": map_run, "ResultFiles": files}
    _put(bucket, f"{folder}/manifest.json", manifest)


def _described(child: dict[str, Any]) -> dict[str, Any]:
    return {theirs: child[ours] for ours, theirs in FIELDS.items() if child.get(ours) is not None}


def _put(bucket: str, key: str, value: object) -> int:
    """Write JSON with the machine's role; its size in bytes."""
    demand_of_machine("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", refused_as=REFUSED)
    body = json.dumps(value).encode()
    put_object(bucket, key, body)
    return len(body)
