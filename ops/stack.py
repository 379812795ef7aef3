"""The deployed root stack: found by its tag, read by its outputs."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import boto3

from ops.errors import OpsError

TAG = ("ManagedBy", "sensorkeep")
NEEDED = (
    "RawBucketName",
    "ProcessedBucketName",
    "ReadingsTableName",
    "LakeDatabaseName",
    "StreamName",
    "PlanCompactionName",
    "CompactStateMachineArn",
    "PlanOptimizationName",
    "ExpireSnapshotsName",
    "SweepOrphansName",
    "OptimizeStateMachineArn",
    "ReprocessStateMachineArn",
)
"""Outputs that the commands use. Nested stacks carry the tag too, but none of them has all of these."""

_EMBEDDED = 'or for the embedded AWS: eval "$(python -m local env)"'


@dataclasses.dataclass(frozen=True)
class Stack:
    """A deployed system."""

    name: str
    status: str
    region: str
    outputs: Mapping[str, str]
    session: boto3.Session

    def client(self, service: str) -> Any:
        """A client of the stack's account and region."""
        return self.session.client(service)  # type: ignore[call-overload]


def find(name: str | None) -> Stack:
    """The deployed root stack, or the one of this name. Raises OpsError when there is none, or which is not clear."""
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)  # boto3 itself reads AWS_DEFAULT_REGION
    if not session.region_name:
        raise OpsError(f"No AWS region is set. Set AWS_REGION, {_EMBEDDED}")
    if session.get_credentials() is None:
        raise OpsError(f"There are no AWS credentials. Set AWS_PROFILE, {_EMBEDDED}")
    found = [
        Stack(stack["StackName"], stack["StackStatus"], session.region_name, _outputs(stack), session)
        for page in session.client("cloudformation").get_paginator("describe_stacks").paginate()
        for stack in page["Stacks"]
        if _is_root(stack)
    ]
    names = ", ".join(sorted(stack.name for stack in found)) or "none"
    if name is not None:
        found = [stack for stack in found if stack.name == name]
    if not found:
        wanted = f"'{name}'" if name else f"with the tag {TAG[0]}={TAG[1]}"
        raise OpsError(
            f"No deployed stack {wanted} in {session.region_name}; there is: {names}. "
            "Deploy one (python build.py <environment>), or choose region and account."
        )
    if len(found) > 1:
        raise OpsError(f"Several stacks are deployed in {session.region_name}: {names}. Choose one with --stack NAME.")
    return found[0]


def _is_root(stack: Mapping[str, Any]) -> bool:
    tagged = any((tag["Key"], tag["Value"]) == TAG for tag in stack.get("Tags", ()))
    return tagged and not stack.get("ParentId") and set(NEEDED) <= set(_outputs(stack))


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
