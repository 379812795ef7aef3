"""Everything that takes tags carries those of the environment, and an update changes them."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

import build
from config.settings import Settings
from local import process, up
from tests.changed import changed
from tests.e2e.systems import System

pytestmark = pytest.mark.e2e
NESTED = "AWS::CloudFormation::Stack"
ACCOUNT = "000000000000"
SEVEN = {"Environment", "Project", "Owner", "ManagedBy", "Repository", "CommitSha", "CommitAuthor"}


@dataclasses.dataclass(frozen=True)
class Resource:
    """A resource of a deployed stack, and how to ask its service for its tags."""

    type: str
    id: str
    region: str

    def tags(self) -> dict[str, str]:
        found = READERS[self.type](self)
        return found if isinstance(found, dict) else {_either(tag, "Key"): _either(tag, "Value") for tag in found}

    def client(self, service: str) -> Any:
        return _client(service, self.region)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{ACCOUNT}:{resource}"


@functools.cache
def _client(service: str, region: str) -> Any:
    return boto3.client(service, region_name=region)


def _either(tag: dict[str, str], field: str) -> str:
    """Services write `Key`, `key` or `TagKey`."""
    return next(tag[name] for name in (field, field.lower(), f"Tag{field}") if name in tag)


def _of_arn(service: str, resource: str, parameter: str = "resourceArn", answer: str = "tags") -> Callable[..., Any]:
    """Tags by `ListTagsForResource`, the resource's ARN made from its id."""

    def read(one: Resource) -> Any:
        arn = one.arn(service, resource.format(one.id))
        client = one.client("stepfunctions" if service == "states" else service)
        return client.list_tags_for_resource(**{parameter: one.id if one.id.startswith("arn:") else arn})[answer]

    return read


def _of_ec2(one: Resource) -> Any:
    return one.client("ec2").describe_tags(Filters=[{"Name": "resource-id", "Values": [one.id]}])["Tags"]


READERS: dict[str, Callable[[Resource], Any]] = {
    NESTED: lambda one: one.client("cloudformation").describe_stacks(StackName=one.id)["Stacks"][0]["Tags"],
    "AWS::Athena::WorkGroup": _of_arn("athena", "workgroup/{}", "ResourceARN", "Tags"),
    "AWS::CloudTrail::Trail": lambda one: one.client("cloudtrail").list_tags(
        ResourceIdList=[one.arn("cloudtrail", f"trail/{one.id}")]
    )["ResourceTagList"][0]["TagsList"],
    "AWS::CloudWatch::Alarm": _of_arn("cloudwatch", "alarm:{}", "ResourceARN", "Tags"),
    "AWS::CloudWatch::CompositeAlarm": _of_arn("cloudwatch", "alarm:{}", "ResourceARN", "Tags"),
    "AWS::CloudWatch::Dashboard": lambda one: one.client("cloudwatch").list_tags_for_resource(
        ResourceARN=f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{one.id}"
    )["Tags"],
    "AWS::DynamoDB::Table": lambda one: one.client("dynamodb").list_tags_of_resource(
        ResourceArn=one.arn("dynamodb", f"table/{one.id}")
    )["Tags"],
    "AWS::EC2::FlowLog": _of_ec2,
    "AWS::EC2::RouteTable": _of_ec2,
    "AWS::EC2::SecurityGroup": _of_ec2,
    "AWS::EC2::Subnet": _of_ec2,
    "AWS::EC2::VPC": _of_ec2,
    "AWS::EC2::VPCEndpoint": _of_ec2,
    "AWS::IAM::Role": lambda one: one.client("iam").list_role_tags(RoleName=one.id)["Tags"],
    "AWS::IoT::Policy": _of_arn("iot", "policy/{}"),
    "AWS::IoT::ProvisioningTemplate": _of_arn("iot", "provisioningtemplate/{}"),
    "AWS::IoT::ThingType": _of_arn("iot", "thingtype/{}"),
    "AWS::IoT::TopicRule": _of_arn("iot", "rule/{}"),
    "AWS::KMS::Key": lambda one: one.client("kms").list_resource_tags(KeyId=one.id)["Tags"],
    "AWS::Kinesis::Stream": lambda one: one.client("kinesis").list_tags_for_stream(StreamName=one.id)["Tags"],
    "AWS::KinesisFirehose::DeliveryStream": lambda one: one.client("firehose").list_tags_for_delivery_stream(
        DeliveryStreamName=one.id
    )["Tags"],
    "AWS::Lambda::EventSourceMapping": lambda one: one.client("lambda").list_tags(
        Resource=one.arn("lambda", f"event-source-mapping:{one.id}")
    )["Tags"],
    "AWS::Lambda::Function": lambda one: one.client("lambda").list_tags(
        Resource=one.arn("lambda", f"function:{one.id}")
    )["Tags"],
    "AWS::Logs::LogGroup": _of_arn("logs", "log-group:{}"),
    "AWS::S3::Bucket": lambda one: one.client("s3").get_bucket_tagging(Bucket=one.id)["TagSet"],
    "AWS::SNS::Topic": _of_arn("sns", "{}", "ResourceArn", "Tags"),
    "AWS::SQS::Queue": lambda one: one.client("sqs").list_queue_tags(QueueUrl=one.id)["Tags"],
    "AWS::Scheduler::ScheduleGroup": _of_arn("scheduler", "schedule-group/{}", "ResourceArn", "Tags"),
    "AWS::SecretsManager::Secret": lambda one: one.client("secretsmanager").describe_secret(SecretId=one.id)["Tags"],
    "AWS::StepFunctions::StateMachine": _of_arn("states", "stateMachine:{}"),
}


def is_taggable(kind: str, region: str) -> bool:
    """Whether CloudFormation hands a stack's tags to the type, as AWS's registry of types says."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind).schema
    return bool(schema["tagging"]["taggable"])


def resources(region: str, stack: str) -> Iterator[Resource]:
    """Every taggable resource of a stack and of those nested in it."""
    for page in _client("cloudformation", region).get_paginator("list_stack_resources").paginate(StackName=stack):
        for item in page["StackResourceSummaries"]:
            if is_taggable(item["ResourceType"], region):
                yield Resource(item["ResourceType"], item["PhysicalResourceId"], region)
            if item["ResourceType"] == NESTED:
                yield from resources(region, item["PhysicalResourceId"])


def untagged(settings: Settings) -> list[Resource]:
    """Resources that lack one of the environment's tags."""
    wanted = build.stack_tags(settings).items()
    return [one for one in resources(settings.region, settings.stack_name) if not wanted <= one.tags().items()]


@pytest.mark.promise("iot-processing", "tags")
@pytest.mark.parametrize(
    ("environment", "own"),
    [
        ("iot-processing", {"AWS::EC2::FlowLog", "AWS::SecretsManager::Secret"}),
        ("manufacturing", {"AWS::CloudTrail::Trail", "AWS::IoT::ThingType"}),
    ],
)
def test_every_resource_that_takes_tags_carries_the_seven_and_an_update_changes_them(
    systems: dict[str, System], environment: str, own: set[str], emulator: process.Running, tmp_path: Path
) -> None:
    settings = systems[environment].settings
    assert set(build.stack_tags(settings)) == SEVEN
    found = {one.type for one in resources(settings.region, settings.stack_name)}
    assert found >= {"AWS::Athena::WorkGroup", "AWS::S3::Bucket", "AWS::Lambda::Function", *own}
    assert untagged(settings) == []

    revision = changed(settings, tags={"commit_sha": "a77e"})
    assert untagged(revision)
    up.deploy_system(emulator, revision, tmp_path, lambda _: None)
    assert untagged(revision) == []
