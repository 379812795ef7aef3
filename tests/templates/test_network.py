"""The private network: functions reach the services that they call, and nothing else reaches anything."""

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import pytest
from troposphere import Template

from config.settings import environments, load
from templates.shared.functions import FunctionSpec, add_function
from templates.shared.layers import layer_of
from tests.changed import changed, with_all_channels
from tests.templates.private_network import (
    HTTPS,
    Stacks,
    attached,
    faults_of_code,
    faults_of_endpoints,
    faults_of_groups,
    faults_of_ways_out,
    settings_of,
    stacks,
    statements,
)
from tests.templates.walking import all_stacks, stacks_of, walk

CHECKS = (faults_of_endpoints, faults_of_groups, faults_of_ways_out, faults_of_code)


@pytest.mark.parametrize("environment", environments())
@pytest.mark.parametrize("check", CHECKS)
def test_trap_37_functions_reach_what_they_call_and_nothing_else(environment, check):
    assert len(list(attached(stacks(environment)))) > 3
    assert check(stacks(environment)) == set()


def add_call(action: str, **more: object) -> Callable[[Stacks], object]:
    statement = {"Effect": "Allow", "Action": [action], "Resource": ["arn"], **more}
    return lambda found: statements(found["realtime"], "ProcessReadings").append(statement)


def resource(title: str, stack: str = "network") -> Callable[[Stacks], Any]:
    return lambda found: found[stack].body["Resources"][title]["Properties"]


@pytest.mark.parametrize(
    ("mutate", "fault"),
    [
        (add_call("sqs:SendMessage"), "sqs has no endpoint"),
        (add_call("kinesis:PutRecords"), "kinesis has no endpoint"),
        (add_call("kms:Decrypt"), "kms has no endpoint"),
        (add_call("sns:CreateTopic"), "sns:CreateTopic is not let through"),
        (lambda found: found["network"].body["Resources"].pop("GlueEndpoint"), "glue has no endpoint"),
        (
            lambda found: resource("S3Endpoint")(found)["PolicyDocument"]["Statement"][0]["Action"].append(
                "s3:PutObjectTagging"
            ),
            "s3:PutObjectTagging is not called",
        ),
        (
            lambda found: resource("SnsEndpoint")(found).update(
                ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.sqs"}
            ),
            "sqs is not called",
        ),
    ],
)
def test_trap_37_a_call_without_an_endpoint_and_an_endpoint_without_a_call_are_found(mutate, fault):
    found = stacks()
    mutate(found)

    assert fault in faults_of_endpoints(found)


@pytest.mark.parametrize(
    ("mutate", "fault"),
    [
        (
            lambda found: resource("FunctionsGroup")(found).update(SecurityGroupIngress=[HTTPS]),
            "something comes in",
        ),
        (
            lambda found: resource("EndpointsGroup")(found)["SecurityGroupIngress"].append(
                {**HTTPS, "CidrIp": "10.0.0.0/8"}
            ),
            "not only functions come to the endpoints",
        ),
        (
            lambda found: resource("EndpointsGroup")(found)["SecurityGroupIngress"][0].update(ToPort=65535),
            "not only functions come to the endpoints",
        ),
        (
            lambda found: resource("EndpointsGroup")(found)["SecurityGroupEgress"].append(
                {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}
            ),
            "something leaves the endpoints",
        ),
        (
            lambda found: resource("FunctionsGroup")(found)["SecurityGroupEgress"][0].update(IpProtocol="-1"),
            "something other than HTTPS goes out",
        ),
        (
            lambda found: resource("FunctionsToEndpoints")(found).update(DestinationSecurityGroupId="sg-other"),
            "functions do not reach the endpoints",
        ),
    ],
)
def test_a_group_that_is_open_wider_is_found(mutate, fault):
    found = stacks()
    mutate(found)

    assert fault in faults_of_groups(found)


@pytest.mark.parametrize("kind", ["AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route"])
def test_a_way_out_is_found(kind):
    found = stacks()
    found["network"].body["Resources"]["WayOut"] = {"Type": kind, "Properties": {}}

    assert faults_of_ways_out(found) == {kind}


def test_a_subnet_with_public_addresses_is_found():
    found = stacks()
    resource("PrivateSubnet2")(found)["MapPublicIpOnLaunch"] = True

    assert faults_of_ways_out(found) == {"PrivateSubnet2"}


@pytest.mark.parametrize("gone", ["Action", "Condition"])
def test_code_that_could_use_the_permissions_of_lambda_is_found(gone):
    found = stacks()
    (denial,) = [one for one in statements(found["batch"], "WriteParquet") if one["Effect"] == "Deny"]
    denial[gone] = type(denial[gone])()

    assert "WriteParquet ec2:CreateNetworkInterface" in faults_of_code(found)


def test_only_iot_processing_has_a_network():
    with_network = {stack.environment for stack in all_stacks() if stack.name == "network"}

    assert with_network == {"iot-processing"}
    for stack in all_stacks():
        if stack.environment not in with_network:
            assert "ec2" not in str(stack.body).lower()
            assert "VpcConfig" not in str(stack.body)


@pytest.mark.parametrize("environment", environments())
def test_every_function_is_in_every_subnet(environment):
    found = {stack.name: stack for stack in stacks_of(with_all_channels(settings_of(environment)), environment)}
    network = {
        "SubnetIds": {"Fn::Split": [",", {"Ref": "PrivateSubnetIds"}]},
        "SecurityGroupIds": [{"Ref": "FunctionSecurityGroupId"}],
    }
    functions = {
        title: function.get("VpcConfig")
        for stack in found.values()
        for title, function in stack.properties("AWS::Lambda::Function").items()
    }

    assert set(functions) >= {"ProcessReadings", "PlanCompaction", "WriteParquet", "CommitTable", "RotateSecret"}
    assert functions.pop("DeliverWebhook") is None, "it posts to the internet"
    assert all(attached == network for attached in functions.values())
    joined = found["network"].body["Outputs"]["PrivateSubnetIds"]["Value"]["Fn::Join"]
    assert joined == [",", [{"Ref": title} for title in found["network"].resources("AWS::EC2::Subnet")]]


def test_a_function_that_needs_the_internet_stays_outside():
    template, settings = Template(), changed(load("dev", {}), network={"enabled": True})
    spec = FunctionSpec("deliver_webhook", "call-out", "", 128, 3, {}, [], needs_internet=True)
    add_function(template, settings, spec, "key")
    body = template.to_dict()

    assert "VpcConfig" not in body["Resources"]["DeliverWebhook"]["Properties"]
    assert "ec2" not in str(body)
    assert set(body["Parameters"]) == {layer_of("deliver_webhook").output}


def test_detached_functions_can_still_have_their_interfaces_given_back():
    found = stacks(functions_attached=False)

    assert list(attached(found)) == []
    assert "ec2:DeleteNetworkInterface" in str(statements(found["realtime"], "ProcessReadings"))
    assert "PrivateSubnetIds" not in found["realtime"].body["Parameters"]


@pytest.mark.parametrize("zones", [2, 3])
def test_each_subnet_is_in_a_zone_of_its_own(zones):
    network = stacks(availability_zones=zones, cidr="192.168.8.0/22")["network"]
    subnets = network.properties("AWS::EC2::Subnet").values()
    blocks = [subnet["CidrBlock"] for subnet in subnets]

    assert [subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in subnets] == list(range(zones))
    assert blocks == ["192.168.8.0/24", "192.168.9.0/24", "192.168.10.0/24"][:zones]
    assert all(
        IPv4Network(block).subnet_of(IPv4Network(network.only("AWS::EC2::VPC")["CidrBlock"])) for block in blocks
    )
    routed = {item["SubnetId"]["Ref"] for item in network.properties("AWS::EC2::SubnetRouteTableAssociation").values()}
    assert routed == set(network.resources("AWS::EC2::Subnet"))


def test_names_of_services_lead_to_their_endpoints_in_every_zone():
    network = stacks()["network"]
    vpc, endpoints = network.only("AWS::EC2::VPC"), network.properties("AWS::EC2::VPCEndpoint")
    kinds = {title: endpoint["VpcEndpointType"] for title, endpoint in endpoints.items()}

    assert vpc["EnableDnsSupport"] is vpc["EnableDnsHostnames"] is True
    assert {title for title, kind in kinds.items() if kind == "Gateway"} == {"DynamodbEndpoint", "S3Endpoint"}
    for title, endpoint in endpoints.items():
        if kinds[title] == "Gateway":
            assert endpoint["RouteTableIds"] == [{"Ref": "PrivateRoutes"}]
        else:
            assert endpoint["PrivateDnsEnabled"] is True
            assert endpoint["SubnetIds"] == [{"Ref": subnet} for subnet in network.resources("AWS::EC2::Subnet")]
            assert endpoint["SecurityGroupIds"] == [{"Fn::GetAtt": ["EndpointsGroup", "GroupId"]}]


def test_endpoints_are_for_this_account_and_what_is_in_it():
    for endpoint in stacks()["network"].properties("AWS::EC2::VPCEndpoint").values():
        (statement,) = endpoint["PolicyDocument"]["Statement"]
        account = {"Ref": "AWS::AccountId"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:PrincipalAccount": account, "aws:ResourceAccount": account}
        }


def test_functions_reach_no_address_but_s3_dynamodb_and_endpoints_when_the_prefix_lists_are_known():
    lists = ["pl-0000000a", "pl-0000000b"]
    (rule,), narrow = (
        stacks(gateway_prefix_lists=given)["network"].properties("AWS::EC2::SecurityGroup")["FunctionsGroup"][
            "SecurityGroupEgress"
        ]
        for given in ([], lists)
    )

    assert rule["CidrIp"] == "0.0.0.0/0"
    assert [rule["DestinationPrefixListId"] for rule in narrow] == lists
    assert "CidrIp" not in str(narrow)


def test_nothing_uses_the_group_that_aws_makes_with_a_network():
    for stack in stacks().values():
        assert not any(isinstance(value, str) and "DefaultSecurityGroup" in value for value in walk(stack.body))


def test_all_traffic_is_logged_to_an_encrypted_group_by_a_role_for_it():
    network = stacks()["network"]
    flow_log, group = network.only("AWS::EC2::FlowLog"), network.only("AWS::Logs::LogGroup")
    (policy,) = network.only("AWS::IAM::Role")["Policies"]

    assert (flow_log["ResourceType"], flow_log["ResourceId"], flow_log["TrafficType"]) == ("VPC", {"Ref": "Vpc"}, "ALL")
    assert flow_log["LogGroupName"] == {"Ref": "FlowLogs"}
    assert flow_log["DeliverLogsPermissionArn"] == {"Fn::GetAtt": ["FlowLogsRole", "Arn"]}
    assert group["KmsKeyId"] == {"Ref": "KeyArn"}
    assert {action for one in policy["PolicyDocument"]["Statement"] for action in one["Action"]} == {
        "logs:CreateLogStream",
        "logs:DescribeLogGroups",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
    }
