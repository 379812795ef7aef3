"""What the change set of a nested stack is told of the stacks before it."""

import pytest
from ministack.services.cloudformation import provisioners

from local.additions import nested_change_sets

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
