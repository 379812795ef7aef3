"""The private network: functions reach the services that they call, and nothing else reaches anything.

Each check is a function of the templates that names its findings, so that a test can show it finding something.
"""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from typing import Any

import pytest
from troposphere import Template

from config.settings import Settings, environments, load
from templates.shared.functions import FunctionSpec, add_function
from tests.changed import changed, with_all_channels
from tests.templates.walking import Properties, Stack, all_stacks, stacks_of, walk

Stacks = dict[str, Stack]
Calls = dict[str, set[str]]
"""Actions by service."""

PARTS = {
    "AWS::EC2::FlowLog",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
}
"""All that the network is made of: no gateway, no route, no address, no peer."""

FROM_ELSEWHERE = {
    "Lambda's poller reads the stream": {
        "kinesis:DescribeStream",
        "kinesis:DescribeStreamSummary",
        "kinesis:GetRecords",
        "kinesis:GetShardIterator",
        "kinesis:ListShards",
    },
    "Lambda writes the logs": {"logs:CreateLogStream", "logs:PutLogEvents"},
    "Lambda's daemon sends the traces": {"xray:PutTelemetryRecords", "xray:PutTraceSegments"},
    "Lambda keeps the network interfaces": {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    },
}
"""What AWS does with a function's role from outside of the network. The key, too, where a service asks for it
(`kms:ViaService`)."""

HTTPS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


def stacks(environment: str = "iot-processing", **network: object) -> Stacks:
    """The stacks of a system with a network, to be changed at will."""
    return {stack.name: stack for stack in stacks_of(settings_of(environment, **network), environment)}


def settings_of(environment: str, **network: object) -> Settings:
    return changed(load(environment, {}), network={"enabled": True, **network})


def attached(found: Stacks) -> Iterator[tuple[Stack, str, Properties]]:
    for stack in found.values():
        for title, function in stack.properties("AWS::Lambda::Function").items():
            if "VpcConfig" in function:
                yield stack, title, function


def statements(stack: Stack, function: str) -> list[dict[str, Any]]:
    """What the function's role says."""
    (policy,) = stack.properties("AWS::IAM::Role")[f"{function}Role"]["Policies"]
    said: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return said


def called(found: Stacks) -> Calls:
    """What the functions in the network may call themselves."""
    elsewhere = set().union(*FROM_ELSEWHERE.values())
    calls: Calls = {}
    for stack, title, _ in attached(found):
        for statement in statements(stack, title):
            through_a_service = "kms:ViaService" in str(statement.get("Condition"))
            if statement["Effect"] == "Allow" and not through_a_service:
                for action in set(statement["Action"]) - elsewhere:
                    calls.setdefault(action.split(":")[0], set()).add(action)
    return calls


def reachable(found: Stacks) -> Calls:
    """What the policies of the endpoints let through."""
    return {
        endpoint["ServiceName"]["Fn::Sub"].removeprefix("com.amazonaws.${AWS::Region}."): {
            action for statement in endpoint["PolicyDocument"]["Statement"] for action in statement["Action"]
        }
        for endpoint in found["network"].properties("AWS::EC2::VPCEndpoint").values()
    }


def faults_of_endpoints(found: Stacks) -> set[str]:
    """Calls that no endpoint lets through, and what endpoints let through although nobody calls it."""
    needed, there = called(found), reachable(found)
    return {
        *(f"{service} has no endpoint" for service in needed.keys() - there.keys()),
        *(f"{service} is not called" for service in there.keys() - needed.keys()),
        *(
            f"{action} is {'not let through' if action in needed[service] else 'not called'}"
            for service in needed.keys() & there.keys()
            for action in needed[service] ^ there[service]
        ),
    }


def faults_of_groups(found: Stacks) -> set[str]:
    """HTTPS from the functions to the endpoints and to the gateways, and nothing else."""
    network = found["network"]
    functions, endpoints = (
        network.properties("AWS::EC2::SecurityGroup")[title] for title in ("FunctionsGroup", "EndpointsGroup")
    )
    (to_endpoints,) = network.properties("AWS::EC2::SecurityGroupEgress").values()
    from_functions = HTTPS | {"SourceSecurityGroupId": {"Fn::GetAtt": ["FunctionsGroup", "GroupId"]}}
    faults = set()
    if functions.get("SecurityGroupIngress"):
        faults.add("something comes in")
    if [rule.items() >= from_functions.items() for rule in endpoints["SecurityGroupIngress"]] != [True]:
        faults.add("not only functions come to the endpoints")
    if [rule["CidrIp"] for rule in endpoints["SecurityGroupEgress"]] != ["127.0.0.1/32"]:
        faults.add("something leaves the endpoints")
    if not all(rule.items() >= HTTPS.items() for rule in [*functions["SecurityGroupEgress"], to_endpoints]):
        faults.add("something other than HTTPS goes out")
    if to_endpoints["DestinationSecurityGroupId"] != {"Fn::GetAtt": ["EndpointsGroup", "GroupId"]}:
        faults.add("functions do not reach the endpoints")
    return faults


def faults_of_ways_out(found: Stacks) -> set[str]:
    """Kinds of resources that could lead out, and subnets that give public addresses."""
    network = found["network"]
    faults = {item["Type"] for item in network.body["Resources"].values()} - PARTS
    open_to_all = {
        title for title, subnet in network.properties("AWS::EC2::Subnet").items() if subnet["MapPublicIpOnLaunch"]
    }
    return faults | open_to_all


def faults_of_code(found: Stacks) -> set[str]:
    """What a function's own code could do to network interfaces."""
    faults = set()
    for stack, title, function in attached(found):
        own = {"ArnEquals": {"lambda:SourceFunctionArn": here(f"lambda:function:{function['FunctionName']}")}}
        said = statements(stack, title)
        allowed, denied = (
            {action for one in said if wanted(one) for action in one["Action"] if action.startswith("ec2:")}
            for wanted in (
                lambda one: one["Effect"] == "Allow",
                lambda one, own=own: (one["Effect"], one["Resource"]) == ("Deny", ["*"]) and one["Condition"] == own,
            )
        )
        assert allowed, title
        faults |= {f"{title} {action}" for action in allowed - denied}
    return faults


def here(name: str) -> dict[str, str]:
    service, _, resource = name.partition(":")
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"}


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
                "s3:DeleteObject"
            ),
            "s3:DeleteObject is not called",
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
    spec = FunctionSpec("call_out", "call-out", "", 128, 3, {}, [], needs_internet=True)
    add_function(template, settings, spec, "key")
    body = template.to_dict()

    assert "VpcConfig" not in body["Resources"]["CallOut"]["Properties"]
    assert "ec2" not in str(body)
    assert "Parameters" not in body


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
