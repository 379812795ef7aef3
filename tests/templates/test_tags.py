"""The tags of the root stack reach everything that takes tags: no template has to repeat them, and none hides them."""

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

import build
from config.settings import environments, load
from tests.templates.walking import all_stacks

SEVEN = {"CommitAuthor", "CommitSha", "Environment", "ManagedBy", "Owner", "Project", "Repository"}

WITHOUT_TAGS = {
    "AWS::Athena::NamedQuery": "its workgroup has them",
    "AWS::EC2::SecurityGroupEgress": "a rule of its group",
    "AWS::EC2::SubnetRouteTableAssociation": "a relation of two that have tags",
    "AWS::Glue::Database": "Glue can tag it, CloudFormation has no property for it",
    "AWS::IAM::ManagedPolicy": "IAM can tag it, CloudFormation has no property for it",
    "AWS::IoT::Logging": "the account's",
    "AWS::KMS::Alias": "its key has them",
    "AWS::Lambda::EventInvokeConfig": "a setting of its function",
    "AWS::Lambda::LayerVersion": "its name says which system it belongs to",
    "AWS::Lambda::Permission": "a statement of its function's policy",
    "AWS::Logs::LogStream": "its group has them",
    "AWS::S3::BucketPolicy": "its bucket has them",
    "AWS::SQS::QueuePolicy": "its queue has them",
    "AWS::SecretsManager::RotationSchedule": "its secret has them",
    "AWS::SNS::Subscription": "its topic has them",
    "AWS::SNS::TopicPolicy": "its topic has them",
    "AWS::Scheduler::Schedule": "its group has them",
}
"""Types that CloudFormation hands no tags to, as AWS's registry of types says, and why nothing is lost by it."""


def kinds() -> set[str]:
    return {item["Type"] for stack in all_stacks() for item in stack.body["Resources"].values()}


def takes_tags(kind: str) -> bool:
    """What AWS's registry says of the type
    (https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html)."""
    tagging = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", kind).schema.get("tagging", {})
    return bool(tagging.get("taggable"))


def test_every_type_takes_the_tags_of_its_stack_or_has_a_reason_not_to():
    assert {kind for kind in kinds() if not takes_tags(kind)} <= set(WITHOUT_TAGS)
    assert not {kind for kind in WITHOUT_TAGS if takes_tags(kind)}


@pytest.mark.parametrize("environment", environments())
def test_the_root_stack_has_the_seven_tags(environment):
    assert set(build.stack_tags(load(environment, {}))) == SEVEN


def test_no_template_sets_a_tag_that_would_hide_one_of_the_stack():
    own = [
        tag["Key"]
        for stack in all_stacks()
        for item in stack.body["Resources"].values()
        for tag in item["Properties"].get("Tags", [])
    ]

    assert set(own) == {"Name"}
