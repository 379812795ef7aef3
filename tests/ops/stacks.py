"""A stack whose bucket is that of a lake in memory, and whose executions are those that a test names."""

import json
from types import SimpleNamespace
from typing import Any, cast

from ops.stack import Stack
from tests.lake import Lake

MACHINE_ARN = "arn:aws:states:eu-central-1:000000000000:stateMachine:reprocess"


def stack_of(lake: Lake, run_id: str = "", **statuses: str) -> Stack:
    """The stack; executions with these statuses are of the run, as the state that they have entered last says."""
    states = _States(run_id, statuses)
    clients = {"s3": lake.s3, "stepfunctions": states}
    return cast(Stack, SimpleNamespace(client=clients.__getitem__, outputs={"ProcessedBucketName": lake.processed}))


class _States:
    exceptions = SimpleNamespace(ExecutionDoesNotExist=KeyError, InvalidArn=ValueError)

    def __init__(self, run_id: str, statuses: dict[str, str]) -> None:
        self._state = {"name": "Decode All Objects", "input": json.dumps({"run_id": run_id})}
        self._statuses = statuses

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - named by the client
        name = executionArn.rpartition(":")[2]
        return {"name": name, "status": self._statuses[name], "executionArn": executionArn, "output": "{}"}

    def get_execution_history(self, **_: object) -> dict[str, Any]:
        return {"events": [{"stateEnteredEventDetails": self._state}]}
