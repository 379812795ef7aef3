"""Networks from CloudFormation: what MiniStack's resource types leave out, and what its EC2 does not tell.

Recorded, and without effect on any traffic: functions run on this machine, whatever network they are attached to.
Attaching one is refused, as on AWS, when its role could not make network interfaces
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html).
"""

import json
import re
import uuid
from typing import Any
from xml.sax.saxutils import escape

from local.additions.services import demand

FLOW_LOG, EGRESS, FUNCTION = "AWS::EC2::FlowLog", "AWS::EC2::SecurityGroupEgress", "AWS::Lambda::Function"
FLOW_LOG_FIELDS = ("DeliverLogsPermissionArn", "LogGroupName", "ResourceId", "ResourceType", "TrafficType")
EGRESS_FIELDS = ("DestinationPrefixListId", "DestinationSecurityGroupId", "FromPort", "GroupId", "IpProtocol", "ToPort")

Properties = dict[str, Any]


def install() -> None:
    """Teach CloudFormation the types, and EC2 to tell an endpoint's policy."""
    from ministack.services import ec2
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS
    handlers[FLOW_LOG] = {"create": create_flow_log, "update": update_flow_log, "delete": delete_flow_log}
    handlers[EGRESS] = {"create": create_egress, "update": update_egress, "delete": delete_egress}
    provisioners._STACK_TAG_PROPERTY[FLOW_LOG] = ("Tags", "list")
    provisioners._REPLACING_PROPERTIES[FLOW_LOG] = FLOW_LOG_FIELDS
    provisioners._REPLACING_PROPERTIES[EGRESS] = EGRESS_FIELDS
    handlers[FUNCTION] = _attaching(handlers[FUNCTION])
    ec2._vpce_fields_xml = _telling(ec2._vpce_fields_xml)


def create_flow_log(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """The flow log's id."""
    from ministack.services import ec2

    given = {field: [properties[field]] for field in ("ResourceType", "TrafficType", "LogGroupName")}
    _, _, answer = ec2._create_flow_logs({**given, "ResourceId.1": [properties["ResourceId"]]})
    (flow_log,) = re.findall(r"fl-\w+", answer.decode())
    _tag(flow_log, {}, properties)
    return flow_log, {"Id": flow_log}


def update_flow_log(flow_log: str, old: Properties, new: Properties, _stack: str) -> tuple[str, Properties]:
    """The same flow log: all but its tags makes another."""
    _tag(flow_log, old, new)
    return flow_log, {"Id": flow_log}


def delete_flow_log(flow_log: str, _properties: Properties) -> None:
    """The flow log ends; its log group stays. One that is gone already is fine."""
    from ministack.services import ec2

    ec2._delete_flow_logs({"FlowLogId.1": [flow_log]})


def create_egress(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """The rule's id."""
    _egress_of(properties).extend(_permissions(properties))
    rule = f"sgr-{uuid.uuid4().hex[:17]}"
    return rule, {"Id": rule}


def update_egress(rule: str, old: Properties, new: Properties, _stack: str) -> tuple[str, Properties]:
    """The same rule with another description."""
    delete_egress(rule, old)
    _egress_of(new).extend(_permissions(new))
    return rule, {"Id": rule}


def delete_egress(_rule: str, properties: Properties) -> None:
    """The group no longer has the rule. A group that is gone already is fine."""
    rules, gone = _egress_of(properties), _permissions(properties)
    rules[:] = [rule for rule in rules if rule not in gone]


def _egress_of(properties: Properties) -> list[Properties]:
    from ministack.services import ec2

    rules: list[Properties] = ec2._security_groups.get(properties["GroupId"], {}).get("IpPermissionsEgress", [])
    return rules


def _permissions(properties: Properties) -> list[Properties]:
    from ministack.services.cloudformation import provisioners

    permissions: list[Properties] = provisioners._ec2_sg_permissions([properties])
    return permissions


def _tag(resource: str, old: Properties, new: Properties) -> None:
    from ministack.services.cloudformation import provisioners

    provisioners._ec2_apply_tags(resource, new, old)


def _attaching(handler: Properties) -> Properties:
    """The handler of functions, with the network that MiniStack's own leaves out."""

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        _demand_interfaces(properties)
        name, attributes = handler["create"](logical_id, properties, stack)
        _attach(name, properties)
        return name, attributes

    def update(function: str, old: Properties, new: Properties, *where: str) -> tuple[str, Properties]:
        _demand_interfaces(new)
        name, attributes = handler["update"](function, old, new, *where)
        _attach(name, new)
        return name, attributes

    return {**handler, "create": create, "update": update}


def _attach(name: str, properties: Properties) -> None:
    from ministack.services import lambda_svc

    config = lambda_svc._functions[name]["config"]
    config["VpcConfig"] = lambda_svc._vpc_config_with_id(properties.get("VpcConfig"))


def _demand_interfaces(properties: Properties) -> None:
    """Raise RefusedError unless Lambda may make, find and give back interfaces with the function's role."""
    from ministack.core.responses import get_account_id, get_region

    if not (network := properties.get("VpcConfig")):
        return
    here = f"arn:aws:ec2:{get_region()}:{get_account_id()}"
    made = [f"network-interface/eni-{uuid.uuid4().hex[:17]}"]
    made += [f"subnet/{subnet}" for subnet in network["SubnetIds"]]
    made += [f"security-group/{group}" for group in network["SecurityGroupIds"]]
    demand(
        properties["Role"],
        "lambda",
        *(("ec2:CreateNetworkInterface", f"{here}:{resource}") for resource in made),
        ("ec2:DescribeNetworkInterfaces", "*"),
        ("ec2:DescribeSubnets", "*"),
        ("ec2:DeleteNetworkInterface", f"{here}:*/*"),  # Lambda asks before there is an interface that it could name
    )


def _telling(fields_xml: Any) -> Any:
    """An endpoint's description with its policy, its groups and whether its service's name leads to it."""

    def tell(endpoint: Properties, tag: str = "item") -> str:
        groups = "".join(f"<item><groupId>{group}</groupId></item>" for group in endpoint.get("SecurityGroupIds", ()))
        private = str(bool(endpoint.get("PrivateDnsEnabled"))).lower()
        policy = escape(json.dumps(endpoint.get("PolicyDocument")))
        told: str = fields_xml(endpoint, tag).removesuffix(f"</{tag}>")
        return (
            f"{told}<groupSet>{groups}</groupSet><privateDnsEnabled>{private}</privateDnsEnabled>"
            f"<policyDocument>{policy}</policyDocument></{tag}>"
        )

    return tell
