"""Change sets of a system: what its stack and those nested in it would do to each resource."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import build
from config.settings import Settings
from local import up
from tests.e2e.systems import System

HOLDS_DATA = {
    "AWS::CloudFormation::Stack",
    "AWS::DynamoDB::Table",
    "AWS::Glue::Database",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
}


@dataclasses.dataclass(frozen=True)
class Change:
    """One resource's entry in a change set, of the root or of a nested stack."""

    stack: str
    logical_id: str
    kind: str
    action: str
    replacement: str | None


@contextlib.contextmanager
def change_set(system: System, settings: Settings, out: Path) -> Iterator[str]:
    """A change set, with those of the nested stacks, that brings the system to the settings; its ARN."""
    cloudformation = system.client("cloudformation")
    bucket = up._artifact_bucket(settings.region)
    built = build.build(settings, out, target="host", bucket=bucket)
    arn = cloudformation.create_change_set(
        StackName=settings.stack_name,
        ChangeSetName="reviewed",
        TemplateBody=built.root_template.read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=[{"Key": key, "Value": value} for key, value in build.stack_tags(settings).items()],
        IncludeNestedStacks=True,
    )["Id"]
    yield arn
    cloudformation.delete_change_set(ChangeSetName=arn)


def changes(system: System, arn: str, stack: str = "") -> Iterator[Change]:
    """Everything that a change set and those nested in it would do."""
    found = system.client("cloudformation").describe_change_set(ChangeSetName=arn)
    for entry in (entry["ResourceChange"] for entry in found["Changes"]):
        title = entry["LogicalResourceId"]
        yield Change(stack, title, entry["ResourceType"], entry["Action"], entry.get("Replacement"))
        if "ChangeSetId" in entry:
            yield from changes(system, entry["ChangeSetId"], title)


def endangered(found: list[Change]) -> list[str]:
    """What holds data and would be replaced, perhaps or for certain, or removed."""
    return [
        f"{change.stack}.{change.logical_id}"
        for change in found
        if change.kind in HOLDS_DATA and (change.action == "Remove" or change.replacement in {"True", "Conditional"})
    ]
