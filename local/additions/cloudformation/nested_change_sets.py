"""Change sets of nested stacks (`IncludeNestedStacks`), and which properties of what holds data replace it.

MiniStack compares the root's template alone. On AWS each nested stack gets a change set of its own, which the root's
one names in `ChangeSetId`, and which go with it: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/change-sets-for-nested-stacks.html
"""

import contextlib
import re
from typing import Any

TYPE = "AWS::CloudFormation::Stack"
UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
"""The value of a parameter that a resource which does not exist yet will give."""

REPLACING = {
    "AWS::CloudFormation::Stack": (),
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::IoT::Policy": ("PolicyName",),
    "AWS::KMS::Alias": ("AliasName",),
    "AWS::KMS::Key": (),
    "AWS::Kinesis::Stream": ("Name",),
    "AWS::KinesisFirehose::DeliveryStream": (
        "DeliveryStreamName",
        "DeliveryStreamType",
        "KinesisStreamSourceConfiguration",
    ),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SecretsManager::Secret": ("Name",),
}
"""Properties with "Update requires: Replacement" on each type's page, of types where MiniStack does not know them
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-template-resource-type-ref.html)."""

Record = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Teach CreateChangeSet, DescribeChangeSet and DeleteChangeSet the nested stacks."""
    from ministack.services.cloudformation import _ACTION_HANDLERS, _change_sets, provisioners

    provisioners._REPLACING_PROPERTIES.update(REPLACING)
    create_root, describe_one, delete_one = (
        _ACTION_HANDLERS[f"{action}ChangeSet"] for action in ("Create", "Describe", "Delete")
    )

    def create(params: Record) -> Answer:
        answer: Answer = create_root(params)
        made = re.search(rb"<Id>(.+?)</Id>", answer[2])
        if made and params.get("IncludeNestedStacks", ["false"])[0].lower() == "true":
            _add_nested(_change_sets[made[1].decode()])
        return answer

    def describe(params: Record) -> Answer:
        status, headers, body = describe_one(params)
        for logical_id, arn in _belonging(params):
            title = f"<LogicalResourceId>{logical_id}</LogicalResourceId>".encode()
            body = body.replace(title, title + f"<ChangeSetId>{arn}</ChangeSetId>".encode())
        return status, headers, body

    def delete(params: Record) -> Answer:
        for _, arn in _belonging(params):
            _change_sets.pop(arn, None)
        answer: Answer = delete_one(params)
        return answer

    _ACTION_HANDLERS.update(CreateChangeSet=create, DescribeChangeSet=describe, DeleteChangeSet=delete)


def _belonging(params: Record) -> list[tuple[str, str]]:
    """Logical id and change set's ARN of each nested stack that the request's change set has one for."""
    from ministack.services.cloudformation import changesets

    name, stack_name = (params.get(field, [""])[0] for field in ("ChangeSetName", "StackName"))
    _, change_set = changesets._find_change_set(name, stack_name)
    changes = [change["ResourceChange"] for change in (change_set or {}).get("Changes", [])]
    return [(change["LogicalResourceId"], change["ChangeSetId"]) for change in changes if "ChangeSetId" in change]


def _add_nested(root: Record) -> None:
    """A change set for each nested stack that the root's one adds or modifies."""
    from ministack.services.cloudformation import _change_sets, _stacks

    stack = _stacks[root["StackName"]]
    for change in (change["ResourceChange"] for change in root["Changes"]):
        if change["ResourceType"] == TYPE and change["Action"] != "Remove":
            nested = _nested(root, stack, change["LogicalResourceId"])
            _change_sets[nested["ChangeSetId"]] = nested
            change["ChangeSetId"] = nested["ChangeSetId"]


def _nested(root: Record, parent: Record, logical_id: str) -> Record:
    from ministack.core.responses import new_uuid
    from ministack.services.cloudformation import _stacks, engine, helpers, provisioners

    properties = root["_template"]["Resources"][logical_id]["Properties"]
    body, _ = helpers._resolve_template({"TemplateURL": [properties["TemplateURL"]]})
    template = engine._parse_template(body)
    given = _parameters(root, parent, properties.get("Parameters", {}))
    provided = [{"Key": name, "Value": value} for name, value in given.items()]
    parameters = engine._resolve_parameters(template, provided)
    resource = parent.get("_resources", {}).get(logical_id, {})
    stack = _stacks.get(provisioners._nested_stack_lookup_name(resource.get("PhysicalResourceId", "")), {})
    name = f"{root['ChangeSetName']}-{logical_id}"
    account = root["ChangeSetId"].partition("changeSet/")[0]
    return {
        **root,
        "ChangeSetId": f"{account}changeSet/{name}/{new_uuid()}",
        "ChangeSetName": name,
        "StackId": stack.get("StackId", ""),
        "StackName": stack.get("StackName", f"{root['StackName']}-{logical_id}"),
        "ExecutionStatus": "UNAVAILABLE",  # the root's is executed, with all that belong to it
        "Changes": _changes(stack, template, parameters, retag=_tags(root) != _tags(parent)),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        "_template": template,
        "_template_body": body,
        "_resolved_params": parameters,
    }


def _parameters(root: Record, parent: Record, wanted: Record) -> dict[str, str]:
    """What the root will hand to the nested stack, as far as it is known before the update."""
    from ministack.services.cloudformation import engine

    resources, given = parent.get("_resources", {}), {}
    conditions = engine._evaluate_conditions(root["_template"], root["_resolved_params"])
    new = root["_template"]["Resources"].keys() - resources.keys()
    for name, value in wanted.items():
        given[name] = UNKNOWN
        if new & {referred for referred, _ in engine._intrinsic_references(value)}:
            continue
        with contextlib.suppress(KeyError, ValueError):  # an output that the deployed stack does not have yet
            given[name] = str(
                engine._resolve_refs(
                    value, resources, root["_resolved_params"], conditions, {}, root["StackName"], root["StackId"]
                )
            )
    return given


def _changes(stack: Record, template: Record, parameters: Record, *, retag: bool) -> list[Record]:
    from ministack.services.cloudformation import changesets, stacks

    name, number = stack.get("StackName", ""), stack.get("StackId", "")
    before = stack.get("_resolved_params", {})
    old = changesets._resolve_props_for_diff(stack.get("_template", {}), before, name, number)
    new = changesets._resolve_props_for_diff(template, parameters, name, number)
    changed = {key for key, value in parameters.items() if before.get(key, {}).get("Value") != value["Value"]}
    resources = stack.get("_resources", {})
    found: list[Record] = stacks._diff_resources(old, new, resources, template, changed, resources if retag else ())
    return found


def _tags(record: Record) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in record["Tags"]}
