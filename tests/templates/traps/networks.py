"""Trap 37: a function in a private network reaches what has an endpoint there, and nothing else."""

import json

from tests.templates.traps.systems import Resource, System, actions, source, text

GATEWAYS = {"dynamodb", "s3"}
"""Services that are reached by a route; the others need an interface."""

AROUND_A_FUNCTION = {"ec2", "kinesis", "kms", "logs", "xray"}
"""Services that Lambda and the stores call for a function from outside of its network: network interfaces, the event
source, keys, logs and traces."""


def faults_of_private_functions(system: System) -> set[str]:
    """Trap 37: an endpoint of the right kind for every service that the function may call, and two zones."""
    attached = [item for item in system.resources("AWS::Lambda::Function") if item.properties.get("VpcConfig")]
    if not attached:
        return set()
    kinds = {
        text(item.properties["ServiceName"]).rpartition(".")[2]: item.properties.get("VpcEndpointType", "Gateway")
        for item in system.resources("AWS::EC2::VPCEndpoint")
    }
    faults = {
        f"{function}: no way to {name}"
        for function in attached
        for name in _called(system, function)
        if kinds.get(name) != ("Gateway" if name in GATEWAYS else "Interface")
    }
    zones = {json.dumps(item.properties["AvailabilityZone"]) for item in system.resources("AWS::EC2::Subnet")}
    return faults if len(zones) > 1 else faults | {"the functions run in one zone"}


def _called(system: System, function: Resource) -> set[str]:
    role = source(system, function.stack, function.properties["Role"])
    assert role is not None, f"{function} has no role of ours"
    return {action.split(":")[0] for action in actions(role)} - AROUND_A_FUNCTION
