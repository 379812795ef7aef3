"""Networks from CloudFormation: what is recorded, what EC2 tells, and which roles may attach a function."""

import itertools
import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from ministack import app
from ministack.core.responses import get_account_id, request_scope
from ministack.services import ec2, iam, lambda_svc
from ministack.services.cloudformation import provisioners

from config.settings import load
from local.additions.cloudformation import network
from local.additions.services import RefusedError
from templates import root

REGION, STACK = "eu-central-1", "networks"
ACCOUNTS = (f"{number:012}" for number in itertools.count(8_000))
TO_ENDPOINTS = {
    "IpProtocol": "tcp",
    "FromPort": 443,
    "ToPort": 443,
    "DestinationSecurityGroupId": "sg-endpoints",
    "Description": "To the endpoints",
}
NEEDED = ("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces")


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with permissions enforced, and the addition installed until the test ends."""
    monkeypatch.setattr(app, "AUTH", True)
    for store in ("_RESOURCE_HANDLERS", "_STACK_TAG_PROPERTY", "_REPLACING_PROPERTIES"):
        monkeypatch.setattr(provisioners, store, dict(getattr(provisioners, store)))
    monkeypatch.setattr(ec2, "_vpce_fields_xml", ec2._vpce_fields_xml)
    network.install()
    with request_scope(next(ACCOUNTS), REGION):
        yield


def create(kind: str, title: str = "Resource", **properties: Any) -> tuple[str, dict[str, Any]]:
    resource, attributes = provisioners._provision_resource(kind, title, properties, STACK)
    return resource, attributes


def update(kind: str, resource: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    changed, _ = provisioners._update_resource(kind, resource, old, new, STACK, "Resource", {})
    return str(changed)


def delete(kind: str, resource: str, properties: dict[str, Any]) -> None:
    provisioners._delete_resource(kind, resource, properties)


def flow_logs() -> dict[str, dict[str, Any]]:
    return dict(ec2._flow_logs.items())


def test_a_flow_log_is_made_changed_and_deleted() -> None:
    old = {
        "ResourceType": "VPC",
        "ResourceId": "vpc-1",
        "TrafficType": "ALL",
        "LogGroupName": "/aws/vpc/plant",
        "Tags": [{"Key": "CommitSha", "Value": "1"}],
    }
    flow_log, attributes = create(network.FLOW_LOG, **old)
    new = {**old, "Tags": [{"Key": "CommitSha", "Value": "2"}]}

    assert attributes == {"Id": flow_log}
    assert flow_logs()[flow_log].items() >= {"ResourceId": "vpc-1", "LogDestination": "/aws/vpc/plant"}.items()
    assert ec2._tags[flow_log] == old["Tags"]
    assert update(network.FLOW_LOG, flow_log, old, new) == flow_log
    assert ec2._tags[flow_log] == new["Tags"]
    delete(network.FLOW_LOG, flow_log, new)
    assert flow_logs() == {}


def test_other_traffic_is_another_flow_log() -> None:
    old = {"ResourceType": "VPC", "ResourceId": "vpc-1", "TrafficType": "ALL", "LogGroupName": "group"}
    flow_log, _ = create(network.FLOW_LOG, **old)

    assert update(network.FLOW_LOG, flow_log, old, {**old, "TrafficType": "REJECT"}) != flow_log
    assert {one["TrafficType"] for one in flow_logs().values()} >= {"REJECT"}


def rules_of(group: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = ec2._security_groups[group]["IpPermissionsEgress"]
    return rules


def test_a_rule_of_a_group_comes_changes_and_goes_beside_the_groups_own() -> None:
    own = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}
    group, _ = create("AWS::EC2::SecurityGroup", GroupDescription="functions", SecurityGroupEgress=[own])
    (first,) = rules_of(group)
    given = {**TO_ENDPOINTS, "GroupId": group}
    rule, _ = create(network.EGRESS, **given)
    described = {**given, "Description": "By name"}

    assert rules_of(group)[1]["UserIdGroupPairs"] == [{"GroupId": "sg-endpoints", "Description": "To the endpoints"}]
    assert update(network.EGRESS, rule, given, described) == rule
    assert rules_of(group)[1]["UserIdGroupPairs"] == [{"GroupId": "sg-endpoints", "Description": "By name"}]
    delete(network.EGRESS, rule, described)
    assert rules_of(group) == [first]


def test_the_rule_of_a_group_that_is_gone_can_be_deleted() -> None:
    delete(network.EGRESS, "sgr-1", {**TO_ENDPOINTS, "GroupId": "sg-gone"})


def test_an_endpoint_tells_its_policy_its_groups_and_whether_its_name_leads_to_it() -> None:
    policy = {"Statement": [{"Effect": "Allow", "Action": ["sns:Publish"], "Resource": ["<&>"]}]}
    create(
        "AWS::EC2::VPCEndpoint",
        VpcEndpointType="Interface",
        ServiceName="sns",
        SecurityGroupIds=["sg-1"],
        PrivateDnsEnabled=True,
        PolicyDocument=policy,
    )
    _, _, answer = ec2._describe_vpc_endpoints({})
    told = {element.tag.rsplit("}", 1)[-1]: element for element in ElementTree.fromstring(answer).iter()}  # noqa: S314 - our own

    assert json.loads(told["policyDocument"].text or "") == policy
    assert told["groupId"].text == "sg-1"
    assert told["privateDnsEnabled"].text == "true"


def role(without: str = "") -> str:
    """A role with what the templates allow for a function in the network, but one action."""
    statements = [
        {
            **statement,
            "Action": [action for action in statement["Action"] if action != without],
            "Resource": [filled(resource) for resource in statement["Resource"]],
        }
        for statement in said_of_interfaces()
    ]
    document = {"Version": "2012-10-17", "Statement": [one for one in statements if one["Action"]]}
    name, attributes = create(
        "AWS::IAM::Role",
        "Role",
        AssumeRolePolicyDocument={"Statement": []},
        Policies=[{"PolicyName": "work", "PolicyDocument": document}],
    )
    assert name in iam._roles
    return str(attributes["Arn"])


def said_of_interfaces() -> list[dict[str, Any]]:
    """What a role of the templates allows on network interfaces."""
    realtime = json.loads(root.stacks(load("iot-processing", {}))["realtime"].to_json())
    (policy,) = realtime["Resources"]["ProcessReadingsRole"]["Properties"]["Policies"]
    return [
        statement
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and statement["Action"][0].startswith("ec2:")
    ]


def filled(value: Any) -> str:
    text: str = value["Fn::Sub"] if isinstance(value, dict) else value
    given = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": get_account_id()}
    for name, replacement in given.items():
        text = text.replace(f"${{{name}}}", replacement)
    return text


def function(role_arn: str, **more: Any) -> dict[str, Any]:
    return {"FunctionName": "read", "Role": role_arn, "Handler": "a.b", "Runtime": "python3.13", **more}


def attached(subnet: str) -> dict[str, Any]:
    return {"VpcConfig": {"SubnetIds": [subnet], "SecurityGroupIds": ["sg-functions"]}}


def network_of_function() -> dict[str, Any]:
    config: dict[str, Any] = lambda_svc._functions["read"]["config"]["VpcConfig"]
    return config


def test_a_function_is_attached_and_detached() -> None:
    vpc, _ = create("AWS::EC2::VPC", CidrBlock="10.0.0.0/20")
    subnet, _ = create("AWS::EC2::Subnet", VpcId=vpc, CidrBlock="10.0.0.0/22")
    inside, outside = function(arn := role(), **attached(subnet)), function(arn)
    name, _ = create(network.FUNCTION, **inside)

    assert network_of_function() == {"SubnetIds": [subnet], "SecurityGroupIds": ["sg-functions"], "VpcId": vpc}
    update(network.FUNCTION, name, inside, outside)
    assert network_of_function()["VpcId"] == ""
    update(network.FUNCTION, name, outside, inside)
    assert network_of_function()["VpcId"] == vpc


@pytest.mark.parametrize("action", NEEDED)
def test_a_function_is_not_attached_when_its_role_could_not_keep_interfaces(action: str) -> None:
    arn = role(without=action)

    with pytest.raises(RefusedError, match=action):
        create(network.FUNCTION, **function(arn, **attached("subnet-1")))
    create(network.FUNCTION, **function(arn))
