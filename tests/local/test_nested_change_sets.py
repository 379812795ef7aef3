"""What the change set of a nested stack is told of the stacks before it."""

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from ministack.services import cloudformation
from ministack.services.cloudformation import provisioners

from local.additions.cloudformation import nested_change_sets
from tests.templates.walking import all_stacks

PARENT = {"_resources": {"Security": {"PhysicalResourceId": "id", "Attributes": {"Outputs.KeyArn": "arn:of:the:key"}}}}
ROOT = {
    "_template": {"Resources": {"Security": {}, "Network": {}}},
    "_resolved_params": {},
    "StackName": "root",
    "StackId": "arn:root",
}


def test_a_parameter_has_the_value_that_an_earlier_stack_gives_now() -> None:
    wanted = {"KeyArn": {"Fn::GetAtt": ["Security", "Outputs.KeyArn"]}}

    assert nested_change_sets._parameters(ROOT, PARENT, wanted) == {"KeyArn": "arn:of:the:key"}


@pytest.mark.parametrize("stack", ["Security", "Network"])
def test_a_parameter_of_what_does_not_exist_yet_is_not_known(stack: str) -> None:
    wanted = {"VpcId": {"Fn::GetAtt": [stack, "Outputs.VpcId"]}}

    assert nested_change_sets._parameters(ROOT, PARENT, wanted) == {"VpcId": nested_change_sets.UNKNOWN}


def test_the_change_sets_of_nested_stacks_go_with_the_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:cloudformation:eu-central-1:000000000000:changeSet/{}/1"
    resource = {"LogicalResourceId": "Security", "ChangeSetId": arn.format("reviewed-Security")}
    root = {"ChangeSetName": "reviewed", "StackName": "root", "Changes": [{"ResourceChange": resource}]}
    kept = {arn.format("reviewed"): root, arn.format("reviewed-Security"): {}, arn.format("another"): {}}
    monkeypatch.setattr(cloudformation, "_change_sets", kept)
    monkeypatch.setattr(cloudformation, "_ACTION_HANDLERS", dict(cloudformation._ACTION_HANDLERS))
    monkeypatch.setattr(provisioners, "_REPLACING_PROPERTIES", dict(provisioners._REPLACING_PROPERTIES))
    nested_change_sets.install()

    cloudformation._ACTION_HANDLERS["DeleteChangeSet"]({"ChangeSetName": [arn.format("reviewed")]})

    assert list(kept) == [arn.format("another")]


def test_what_replaces_a_resource_that_outlives_its_stack_is_what_its_schema_says() -> None:
    known = provisioners._REPLACING_PROPERTIES | nested_change_sets.REPLACING
    lasting = [
        (stack.settings.region, item)
        for stack in all_stacks()
        for item in stack.body["Resources"].values()
        if item.get("UpdateReplacePolicy") == "Retain"
    ]
    assert {"AWS::S3::Bucket", "AWS::DynamoDB::Table"} <= {item["Type"] for _, item in lasting}
    for region, item in lasting:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, item["Type"]).schema
        replacing = {path.removeprefix("/properties/") for path in schema.get("createOnlyProperties", ())}
        assert replacing & item["Properties"].keys() == set(known[item["Type"]]) & item["Properties"].keys()


@pytest.mark.parametrize(
    ("kind", "name", "recreation"),
    [
        ("AWS::S3::Bucket", "BucketName", "Always"),
        ("AWS::S3::Bucket", "LifecycleConfiguration", "Never"),
        ("AWS::Kinesis::Stream", "Name", "Always"),
        ("AWS::Kinesis::Stream", "ShardCount", "Never"),
    ],
)
def test_properties_replace_what_their_page_says(
    kind: str, name: str, recreation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(provisioners._REPLACING_PROPERTIES, kind, nested_change_sets.REPLACING[kind])

    assert provisioners._property_recreation(kind, name) == recreation
