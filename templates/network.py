"""Network: a private network for the functions, the endpoints of what they call, and a log of all its traffic.

There is no internet gateway, no NAT and no public address: whatever a function calls needs an endpoint in `CALLED`.
Only where the settings ask for it.
"""

import itertools
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from typing import Any

from awacs import dynamodb, glue, logs, s3, secretsmanager, sns, states
from awacs.aws import Action, Allow, Condition, PolicyDocument, Principal, Statement, StringEquals
from troposphere import AccountId, GetAZs, Join, Ref, Select, Sub, Tags, Template, ec2

from config.settings import Settings
from templates.shared import iam
from templates.shared.log_groups import log_group
from templates.shared.wiring import needs, offers

CALLED = (
    dynamodb.BatchGetItem,
    dynamodb.BatchWriteItem,
    dynamodb.PutItem,
    glue.CreateTable,
    glue.GetDatabase,
    glue.GetTable,
    glue.UpdateTable,
    s3.DeleteObject,
    s3.GetObject,
    s3.ListBucket,
    s3.PutObject,
    s3.RestoreObject,
    sns.Publish,
    states.DescribeExecution,
)
"""Every action that a function in the network calls itself, and so the services that have an endpoint. Not here is what
AWS does for it from elsewhere: Lambda reads the stream and writes logs and traces, and each store uses the key."""

CALLED_BY_ROTATION = (
    secretsmanager.DescribeSecret,
    secretsmanager.GetSecretValue,
    secretsmanager.PutSecretValue,
    secretsmanager.UpdateSecretVersionStage,
)
"""The same of the function that rotates the secret, where there is one."""

GATEWAYS = ("dynamodb", "s3")
"""Services that are reached by a route, for nothing; the others need an interface in each zone."""

HTTPS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
QUARTER = 2
"""Bits of a subnet's number: four blocks, so that a further zone leaves the subnets that exist where they are."""


def build(settings: Settings) -> Template:
    """Network, endpoints and flow logs."""
    template = Template("Private network")
    key_arn = needs(template, "KeyArn", "Key that encrypts the flow logs")
    vpc = template.add_resource(
        ec2.VPC(
            "Vpc",
            CidrBlock=settings.network.cidr,
            EnableDnsSupport=True,
            EnableDnsHostnames=True,  # both, or the endpoints' private names are not found
            Tags=_named(settings),
        )
    )
    subnets = _private_subnets(template, settings, vpc)
    routes = _routes(template, settings, vpc, subnets)
    functions, endpoints = _security_groups(template, settings, vpc)
    for endpoint in _endpoints(called(settings), vpc, subnets, routes, endpoints):
        template.add_resource(endpoint)
    _flow_logs(template, settings, vpc, key_arn)
    offers(
        template,
        VpcId=vpc.ref(),
        PrivateSubnetIds=Join(",", [subnet.ref() for subnet in subnets]),
        FunctionSecurityGroupId=functions.get_att("GroupId"),
    )
    return template


def _named(settings: Settings, what: str = "") -> Tags:
    """The name that the console shows: things of a network have none of their own."""
    return Tags(Name=f"{settings.stack_name} {what}".strip())


def _private_subnets(template: Template, settings: Settings, vpc: ec2.VPC) -> list[ec2.Subnet]:
    """A subnet in each zone."""
    blocks = IPv4Network(settings.network.cidr).subnets(prefixlen_diff=QUARTER)
    return [
        template.add_resource(
            ec2.Subnet(
                f"PrivateSubnet{number}",
                VpcId=vpc.ref(),
                AvailabilityZone=Select(number - 1, GetAZs("")),
                CidrBlock=str(block),
                MapPublicIpOnLaunch=False,
                Tags=_named(settings, f"private {number}"),
            )
        )
        for number, block in enumerate(itertools.islice(blocks, settings.network.availability_zones), start=1)
    ]


def _routes(template: Template, settings: Settings, vpc: ec2.VPC, subnets: list[ec2.Subnet]) -> ec2.RouteTable:
    """One table for all zones: nothing in it leads out, beside what the gateway endpoints add."""
    table = template.add_resource(
        ec2.RouteTable("PrivateRoutes", VpcId=vpc.ref(), Tags=_named(settings, "private routes"))
    )
    for subnet in subnets:
        template.add_resource(
            ec2.SubnetRouteTableAssociation(f"{subnet.title}Routes", RouteTableId=table.ref(), SubnetId=subnet.ref())
        )
    return table


def _security_groups(
    template: Template, settings: Settings, vpc: ec2.VPC
) -> tuple[ec2.SecurityGroup, ec2.SecurityGroup]:
    """The group of the functions and that of the endpoints: HTTPS from the one to the other."""
    functions = ec2.SecurityGroup(
        "FunctionsGroup",
        GroupDescription="Functions: nothing comes in",
        VpcId=vpc.ref(),
        SecurityGroupEgress=_to_gateways(settings),
        Tags=_named(settings, "functions"),
    )
    endpoints = ec2.SecurityGroup(
        "EndpointsGroup",
        GroupDescription="Endpoints: HTTPS from the functions",
        VpcId=vpc.ref(),
        SecurityGroupIngress=[
            ec2.SecurityGroupRule(
                **HTTPS, SourceSecurityGroupId=functions.get_att("GroupId"), Description="From the functions"
            )
        ],
        SecurityGroupEgress=[_to_nowhere()],
        Tags=_named(settings, "endpoints"),
    )
    to_endpoints = ec2.SecurityGroupEgress(  # apart from its group, or the two groups would refer to each other
        "FunctionsToEndpoints",
        GroupId=functions.get_att("GroupId"),
        DestinationSecurityGroupId=endpoints.get_att("GroupId"),
        Description="To the endpoints",
        **HTTPS,
    )
    for resource in (functions, endpoints, to_endpoints):
        template.add_resource(resource)
    return functions, endpoints


def _to_gateways(settings: Settings) -> list[ec2.SecurityGroupRule]:
    """To S3 and DynamoDB, which keep their public addresses behind a gateway endpoint. CloudFormation does not know the
    prefix lists that hold these, and they differ by region: unless the settings have them, the routes alone decide."""
    lists = settings.network.gateway_prefix_lists
    if not lists:
        return [ec2.SecurityGroupRule(**HTTPS, CidrIp="0.0.0.0/0", Description="To S3 and DynamoDB: no other route")]
    return [
        ec2.SecurityGroupRule(**HTTPS, DestinationPrefixListId=name, Description="To a gateway endpoint")
        for name in lists
    ]


def _to_nowhere() -> ec2.SecurityGroupRule:
    """A group without any rule may send everything
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html)."""
    return ec2.SecurityGroupRule(IpProtocol="-1", CidrIp="127.0.0.1/32", Description="Nothing goes out")


def called(settings: Settings) -> tuple[Action, ...]:
    """What the functions of this system call, in the order of the services."""
    return (*CALLED, *CALLED_BY_ROTATION) if settings.credentials else CALLED


def _endpoints(
    actions: Sequence[Action], vpc: ec2.VPC, subnets: list[ec2.Subnet], routes: ec2.RouteTable, group: ec2.SecurityGroup
) -> Iterator[ec2.VPCEndpoint]:
    """An endpoint for each service that is called, with a policy for what is called."""
    for service, allowed in itertools.groupby(actions, key=lambda action: action.prefix):
        if service in GATEWAYS:
            way: dict[str, Any] = {"VpcEndpointType": "Gateway", "RouteTableIds": [routes.ref()]}
        else:
            way = {
                "VpcEndpointType": "Interface",
                "SubnetIds": [subnet.ref() for subnet in subnets],
                "SecurityGroupIds": [group.get_att("GroupId")],
                "PrivateDnsEnabled": True,
            }
        yield ec2.VPCEndpoint(
            f"{service.title()}Endpoint",
            VpcId=vpc.ref(),
            ServiceName=Sub(f"com.amazonaws.${{AWS::Region}}.{service}"),
            PolicyDocument=_only_ours(list(allowed)),
            **way,
        )


def _only_ours(actions: list[Action]) -> PolicyDocument:
    """Nobody reaches anything of another account through the endpoint, nor anything with another account's credentials.

    Which resource a function may reach is for its role to say. A gateway endpoint takes an account as principal for its
    root user alone, and so the account stands in the condition
    (https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html).
    """
    ours = StringEquals({"aws:PrincipalAccount": AccountId, "aws:ResourceAccount": AccountId})
    return iam.policy(
        Statement(Effect=Allow, Principal=Principal("*"), Action=actions, Resource=[iam.ANY], Condition=Condition(ours))
    )


def _flow_logs(template: Template, settings: Settings, vpc: ec2.VPC, key_arn: Ref) -> None:
    """Every connection, allowed or refused, as long as the settings keep logs
    (https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html)."""
    group = template.add_resource(log_group("FlowLogs", settings, f"/aws/vpc/{settings.stack_name}", key_arn))
    role = template.add_resource(
        iam.role(
            "FlowLogsRole",
            "vpc-flow-logs.amazonaws.com",
            [
                iam.write_logs(group.get_att("Arn")),
                iam.allow(group.get_att("Arn"), logs.DescribeLogStreams),
                iam.allow(iam.ANY, logs.DescribeLogGroups),  # to list groups knows no resource
            ],
            iam.from_here(iam.arn("ec2", "vpc-flow-log/*")),
        )
    )
    template.add_resource(
        ec2.FlowLog(
            "AllTraffic",
            ResourceType="VPC",
            ResourceId=vpc.ref(),
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogGroupName=group.ref(),
            DeliverLogsPermissionArn=role.get_att("Arn"),
        )
    )
