"""The private network of a deployed system, as the API tells it, and what taking it away leaves."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from config import settings as config
from config.settings import Settings
from local import process
from templates import network
from tests.changed import changed
from tests.e2e import systems

pytestmark = pytest.mark.e2e
SUFFIX = "net"
HTTPS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


class System(systems.System):
    """The system `iot-processing`, deployed."""

    @property
    def vpc(self) -> str:
        return self.outputs["VpcId"]

    @property
    def subnets(self) -> set[str]:
        return set(self.outputs["PrivateSubnetIds"].split(","))

    def own(self, described: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [item for item in described if item["VpcId"] == self.vpc]

    def endpoints(self) -> dict[str, dict[str, Any]]:
        found = self.own(self.client("ec2").describe_vpc_endpoints()["VpcEndpoints"])
        return {endpoint["ServiceName"].rsplit(".", 1)[-1]: endpoint for endpoint in found}

    def functions(self) -> dict[str, dict[str, Any]]:
        """The network of each of the system's functions."""
        suffix = f"-{self.settings.suffix}"
        found = self.client("lambda").list_functions()["Functions"]
        return {one["FunctionName"]: one["VpcConfig"] for one in found if one["FunctionName"].endswith(suffix)}


Deploy = Callable[[Settings], System]
"""Bring the system's stack to these settings."""


@pytest.fixture(scope="module")
def deploy(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    deploy = systems.deployer(emulator, tmp_path_factory.mktemp("network"))
    return lambda settings: System(settings, deploy(settings).outputs)


@pytest.fixture(scope="module")
def system(deploy: Deploy) -> System:
    return deploy(config.load("iot-processing", {"ENVIRONMENT_SUFFIX": SUFFIX}))


@pytest.mark.promise("iot-processing", "network")
def test_its_subnets_are_private_and_in_different_zones(system):
    subnets = system.own(system.client("ec2").describe_subnets()["Subnets"])

    assert {subnet["SubnetId"] for subnet in subnets} == system.subnets
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == len(subnets) == 2
    assert {subnet["MapPublicIpOnLaunch"] for subnet in subnets} == {False}


def test_no_route_leads_out(system):
    ec2 = system.client("ec2")
    tables = system.own(ec2.describe_route_tables()["RouteTables"])
    gateways = ec2.describe_internet_gateways()["InternetGateways"]

    assert {route["GatewayId"] for table in tables for route in table["Routes"]} == {"local"}
    assert not [gateway for gateway in gateways for to in gateway["Attachments"] if to["VpcId"] == system.vpc]
    assert system.own(ec2.describe_nat_gateways()["NatGateways"]) == []
    routed = {to["SubnetId"] for table in tables for to in table["Associations"] if "SubnetId" in to}
    assert routed == system.subnets


def test_each_service_that_is_called_has_an_endpoint_for_what_is_called(system):
    allowed = {
        service: {
            action
            for statement in json.loads(endpoint["PolicyDocument"])["Statement"]
            for action in statement["Action"]
        }
        for service, endpoint in system.endpoints().items()
    }

    called = network.called(system.settings)
    assert allowed == {
        service: {f"{service}:{action.action}" for action in called if action.prefix == service}
        for service in {action.prefix for action in called}
    }
    assert "secretsmanager" in allowed


def test_interface_endpoints_are_in_every_zone_and_found_by_name(system):
    for service, endpoint in system.endpoints().items():
        if service in network.GATEWAYS:
            assert endpoint["VpcEndpointType"] == "Gateway"
            assert endpoint["RouteTableIds"]
        else:
            assert set(endpoint["SubnetIds"]) == system.subnets
            assert endpoint["PrivateDnsEnabled"] is True
            assert len(endpoint["Groups"]) == 1


@pytest.mark.promise("iot-processing", "network")
def test_https_from_the_functions_to_the_endpoints_is_all_that_is_let_through(system):
    groups = system.own(system.client("ec2").describe_security_groups()["SecurityGroups"])
    by_id = {group["GroupId"]: group for group in groups if group["GroupName"] != "default"}
    functions = by_id.pop(system.outputs["FunctionSecurityGroupId"])
    (endpoints,) = by_id.values()

    assert functions["IpPermissions"] == []
    assert all(rule.items() >= HTTPS.items() for rule in functions["IpPermissionsEgress"])
    assert endpoints["GroupId"] in str(functions["IpPermissionsEgress"])
    (entrance,) = endpoints["IpPermissions"]
    assert entrance.items() >= HTTPS.items()
    assert [pair["GroupId"] for pair in entrance["UserIdGroupPairs"]] == [functions["GroupId"]]
    assert [rule["IpRanges"][0]["CidrIp"] for rule in endpoints["IpPermissionsEgress"]] == ["127.0.0.1/32"]


def test_all_traffic_is_logged(system):
    logs = system.client("ec2").describe_flow_logs()["FlowLogs"]
    (flow_log,) = [one for one in logs if one["ResourceId"] == system.vpc]
    name = flow_log["LogDestination"]
    (group,) = system.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]

    assert (flow_log["TrafficType"], flow_log["FlowLogStatus"]) == ("ALL", "ACTIVE")
    assert group["kmsKeyId"] == system.outputs["KeyArn"]
    assert group["retentionInDays"] == system.settings.log_retention_days


@pytest.mark.promise("iot-processing", "network")
def test_functions_are_in_the_network_and_work(system):
    networks = system.functions()

    assert len(networks) > 3
    for attached in networks.values():
        assert attached["VpcId"] == system.vpc
        assert set(attached["SubnetIds"]) == system.subnets
        assert attached["SecurityGroupIds"] == [system.outputs["FunctionSecurityGroupId"]]
    event = {"run_id": "network", "input": {"from": "2026-01-02T03:00:00Z", "to": "2026-01-02T04:00:00Z"}}
    answer = system.client("lambda").invoke(
        FunctionName=system.outputs["PlanCompactionName"], Payload=json.dumps(event)
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


@pytest.mark.promise("iot-processing", "retention")
def test_the_lifecycle_of_objects_is_that_of_the_settings(system):
    s3 = system.client("s3")
    rules = {
        output: s3.get_bucket_lifecycle_configuration(Bucket=system.outputs[output])["Rules"]
        for output in ("RawBucketName", "ProcessedBucketName")
    }

    moves = [move for rule in rules["RawBucketName"] for move in rule.get("Transitions", [])]
    assert moves == [
        {"Days": move.after_days, "StorageClass": move.storage_class} for move in system.settings.raw_bucket.transitions
    ]
    expiry = {rule["Filter"]["Prefix"]: rule["Expiration"].get("Days") for rule in rules["ProcessedBucketName"][1:]}
    processed = system.settings.processed_bucket
    assert expiry == {
        "athena/": system.settings.athena.results_days,
        "aws/lambda/": processed.set_aside_days,
        "quarantine/": processed.quarantine_days,
        "runs/": None,
        "staging/": processed.staging_days,
        "warehouse/": None,
    }


def test_the_network_goes_when_functions_are_detached_and_comes_back(system, deploy):
    detached = deploy(changed(system.settings, network={"functions_attached": False}))
    assert detached.vpc == system.vpc
    assert {one["VpcId"] for one in detached.functions().values()} == {""}

    without = deploy(changed(system.settings, network={"enabled": False}))
    ec2 = system.client("ec2")
    assert not {"VpcId", "PrivateSubnetIds"} & set(without.outputs)
    assert system.vpc not in {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]}
    assert system.endpoints() == {}
    assert system.own(ec2.describe_subnets()["Subnets"]) == []
    assert system.vpc not in {one["ResourceId"] for one in ec2.describe_flow_logs()["FlowLogs"]}

    again = deploy(changed(system.settings, network={"availability_zones": 3}))
    assert len(again.subnets) == 3
    assert {one["VpcId"] for one in again.functions().values()} == {again.vpc}
