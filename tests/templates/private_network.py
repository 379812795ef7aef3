"""What a private network must not let happen: calls without an endpoint, open groups, ways out.

Each check is a function of the templates that names its findings, so that a test can show it finding something.
"""

from collections.abc import Iterator
from typing import Any

from config.settings import Settings, load
from tests.changed import changed
from tests.templates.walking import Properties, Stack, stacks_of

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
