"""Traps 9 to 18 and 31: what roles need, who may take them, and what has to be there before what."""

import fnmatch
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.templates.traps.systems import Resource, System, actions, grants, pairs, source, text
from tests.templates.walking import walk

SEPARATE_POLICIES = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy")
LOG_DELIVERY = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}
"""https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html"""

OF_LAMBDA = {"kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:ListShards"}
OF_ALL_READERS = {"kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator"}
SECRET_SUFFIX = re.compile(r"-(\?{6}|\*)$")
"""Secrets Manager appends a hyphen and six random characters to the name."""


def faults_of_separate_policies(system: System) -> set[str]:
    """Trap 9: a policy that is no part of its role may come after what uses the role."""
    apart = [policy for policy in system.resources(*SEPARATE_POLICIES) if policy.properties.get("Roles")]
    faults = {f"{policy}: stands apart from its role" for policy in apart}
    for role in system.resources("AWS::IAM::Role"):
        if not role.properties.get("Policies"):
            faults.add(f"{role}: has no policy inline")
    return faults


def faults_of_rule_trust(system: System) -> set[str]:
    """Trap 10: IoT takes the rule's role when the rule is created, so that its conditions have to fit the rule."""
    faults = set()
    for rule in system.resources("AWS::IoT::TopicRule"):
        name = f"rule/{rule.properties['RuleName']}"
        for role_arn in (value for key, value in pairs(rule.properties) if key == "RoleArn"):
            if not any(
                trust.conditions.get("aws:SourceAccount") == {"Ref": "AWS::AccountId"}
                and any(fnmatch.fnmatchcase(name, _resource_part(item)) for item in _arns(trust.conditions))
                for trust in _trust(system, rule, role_arn)
            ):
                faults.add(f"{rule}: IoT may not take its role")
    return faults


def faults_of_schedule_trust(system: System) -> set[str]:
    """Trap 11: Scheduler names the group of the schedule as the source
    (https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html)."""
    faults = set()
    for schedule in system.resources("AWS::Scheduler::Schedule"):
        group = source(system, schedule.stack, schedule.properties.get("GroupName"))
        for trust in _trust(system, schedule, schedule.properties["Target"]["RoleArn"]):
            if group is None or _arns(trust.conditions) != [{"Fn::GetAtt": [group.title, "Arn"]}]:
                faults.add(f"{schedule}: Scheduler may not take its role")
    return faults


def faults_of_invoke_permissions(system: System) -> set[str]:
    """Trap 12: without a source, whoever knows the function's ARN could have the service call it."""
    return {
        f"{permission}: for any account"
        for permission in system.resources("AWS::Lambda::Permission")
        if not {"SourceAccount", "SourceArn"} & set(permission.properties)
    }


def faults_of_rotation(system: System) -> set[str]:
    """Trap 13: a rotation may call its function before it is set, stands in the secret's stack, and says when it
    begins; a policy on a secret matches the characters that Secrets Manager appends."""
    faults = set()
    for rotation in system.resources("AWS::SecretsManager::RotationSchedule"):
        secret = source(system, rotation.stack, rotation.properties["SecretId"])
        function = source(system, rotation.stack, rotation.properties["RotationLambdaARN"])
        before = [system.stacks[rotation.stack].body["Resources"][title] for title in rotation.depends_on]
        if "AWS::Lambda::Permission" not in [item["Type"] for item in before]:
            faults.add(f"{rotation}: does not wait for the permission")
        if secret is None or function is None or {secret.stack, function.stack} != {rotation.stack}:
            faults.add(f"{rotation}: secret and function are not in its stack")
        if "RotateImmediatelyOnUpdate" not in rotation.properties:
            faults.add(f"{rotation}: does not say whether it rotates at once")
    for role in system.resources("AWS::IAM::Role"):
        for grant in grants(role):
            named = text(grant.resource)
            if ":secret:" in named and not SECRET_SUFFIX.search(named):
                faults.add(f"{role}: {grant.action} on no secret's whole ARN")
    return faults


def faults_of_machine_logs(system: System) -> set[str]:
    """Trap 14: log deliveries know no resource; groups of one prefix need no resource policy that could grow too
    long; the group's ARN ends in `:*`, as its attribute does."""
    faults = set()
    for machine in system.resources("AWS::StepFunctions::StateMachine"):
        role = source(system, machine.stack, machine.properties["RoleArn"])
        anywhere = {grant.action for grant in grants(role) if grant.resource == "*"} if role else set()
        faults |= {f"{machine}: {missing} on *" for missing in LOG_DELIVERY - anywhere}
        for destination in machine.properties["LoggingConfiguration"]["Destinations"]:
            arn = destination["CloudWatchLogsLogGroup"]["LogGroupArn"]
            group = source(system, machine.stack, arn)
            if group is None or arn != {"Fn::GetAtt": [group.title, "Arn"]}:
                faults.add(f"{machine}: logs to no group's ARN")
            elif not group.properties["LogGroupName"].startswith("/aws/vendedlogs/states/"):
                faults.add(f"{group}: not below /aws/vendedlogs/states/")
    return faults


def faults_of_distributed_maps(system: System) -> set[str]:
    """Trap 15: the machine starts itself and follows its children; by its name, or role and machine form a circle
    (https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html)."""
    faults = set()
    for machine in system.resources("AWS::StepFunctions::StateMachine"):
        role, name = (
            source(system, machine.stack, machine.properties["RoleArn"]),
            machine.properties["StateMachineName"],
        )
        allowed = {(grant.action, _resource_part(grant.resource)) for grant in grants(role)} if role else set()
        for label in _map_labels(machine):
            needed = {
                ("states:StartExecution", f"stateMachine:{name}"),
                ("states:DescribeExecution", f"execution:{name}:*"),
                ("states:StopExecution", f"execution:{name}:*"),
                ("states:RedriveExecution", f"execution:{name}/{label}:*"),
            }
            faults |= {f"{machine}: {action} on {resource}" for action, resource in needed - allowed}
    return faults


def faults_of_failed_batches(system: System) -> set[str]:
    """Trap 16: what an event source gives up goes to S3, where the records are kept, with the function's own role."""
    faults = set()
    for mapping in system.resources("AWS::Lambda::EventSourceMapping"):
        destination = mapping.properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        bucket = source(system, mapping.stack, destination)
        if bucket is None or bucket.body["Type"] != "AWS::S3::Bucket":
            faults.add(f"{mapping}: gives up records without keeping them")
            continue
        role = _role_of_mapping(system, mapping)
        for action, keys in (("s3:ListBucket", ""), ("s3:PutObject", "/aws/lambda/*")):
            if not any(
                grant.action == action
                and source(system, role.stack, grant.resource) == bucket
                and text(grant.resource).endswith(f"}}{keys}")
                and not grant.conditions
                for grant in grants(role)
            ):
                faults.add(f"{role}: {action} for what {mapping} gives up")
    return faults


def faults_of_stream_readers(system: System) -> set[str]:
    """Trap 17: Firehose and Lambda look at a stream each in their own way, and ListStreams knows no resource."""
    readers = [
        (_role_of_mapping(system, mapping), OF_ALL_READERS | OF_LAMBDA)
        for mapping in system.resources("AWS::Lambda::EventSourceMapping")
    ]
    for delivery in system.resources("AWS::KinesisFirehose::DeliveryStream"):
        role_arn = delivery.properties["KinesisStreamSourceConfiguration"]["RoleARN"]
        if role := source(system, delivery.stack, role_arn):
            readers.append((role, OF_ALL_READERS))
    faults = {f"{role}: {missing}" for role, needed in readers for missing in needed - actions(role)}
    for role in system.resources("AWS::IAM::Role"):
        for grant in grants(role):
            if grant.action == "kinesis:ListStreams" and grant.resource != "*":
                faults.add(f"{role}: kinesis:ListStreams on a resource")
    return faults


def faults_of_log_group_arns(system: System) -> set[str]:
    """Trap 18: a log group's ARN ends in `:*` already, so that nothing may be put behind it."""
    faults = set()
    for resource in system.all_resources():
        for value in walk(resource.body):
            for joined in _behind_an_attribute(value):
                group = source(system, resource.stack, joined)
                if group is not None and group.body["Type"] == "AWS::Logs::LogGroup":
                    faults.add(f"{resource}: puts something behind the ARN of {group}")
    return faults


def faults_of_log_group_creation(system: System) -> set[str]:
    """Trap 31: a function that may create its group brings a deleted one back, and the next deployment fails."""
    creators = {
        f"{role}: may create log groups"
        for role in system.resources("AWS::IAM::Role")
        if "logs:CreateLogGroup" in actions(role)
    }
    return creators | {
        f"{function}: has no log group of ours"
        for function in system.resources("AWS::Lambda::Function")
        if source(system, function.stack, function.properties.get("LoggingConfig", {}).get("LogGroup")) is None
    }


def _role_of_mapping(system: System, mapping: Resource) -> Resource:
    function = source(system, mapping.stack, mapping.properties["FunctionName"])
    assert function is not None, f"{mapping} calls no function of ours"
    role = source(system, function.stack, function.properties["Role"])
    assert role is not None, f"{function} has no role of ours"
    return role


def _trust(system: System, user: Resource, role_arn: Any) -> list[Any]:
    role = source(system, user.stack, role_arn)
    assert role is not None, f"{user} has no role of ours"
    return grants(role, trust=True)


def _arns(conditions: dict[str, Any]) -> list[Any]:
    found: list[Any] = conditions.get("aws:SourceArn", [])
    return found


def _resource_part(arn: Any) -> str:
    """What follows the account in an ARN of ours."""
    return text(arn).partition("${AWS::AccountId}:")[2]


def _map_labels(machine: Resource) -> list[str]:
    return [
        state.get("Label", "")
        for state in walk(json.loads(machine.properties["DefinitionString"]))
        if isinstance(state, dict) and state.get("Type") == "Map" and _mode(state) == "DISTRIBUTED"
    ]


def _mode(state: dict[str, Any]) -> Any:
    return state["ItemProcessor"].get("ProcessorConfig", {}).get("Mode")


def _behind_an_attribute(value: Any) -> Iterator[dict[str, Any]]:
    """References of a `Fn::Sub` or `Fn::Join` that something follows."""
    if not isinstance(value, dict):
        return
    if "Fn::Sub" in value:
        given = value["Fn::Sub"]
        pattern, filled = given if isinstance(given, list) else (given, {})
        for name in re.findall(r"\$\{([\w.]+)\}(?=.)", pattern):
            yield filled.get(name) or {"Fn::GetAtt": name.split(".")}
    if "Fn::Join" in value:
        yield from (part for part in value["Fn::Join"][1][:-1] if isinstance(part, dict))
