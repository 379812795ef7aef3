"""What AWS's own rules for CloudFormation Guard say about every system."""

import json
import re
import tarfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import guardpycfn
import pytest

from tests.templates.checks.findings import AGREED, Finding, disagreement, suppressed_for_guard
from tests.templates.checks.systems import Resources, System, systems

NAME = re.compile(r"^rule (\w+) when is_cfn_template", re.MULTILINE)


class Rule(NamedTuple):
    """One of the controls of AWS Control Tower, in Guard's language."""

    name: str
    types: frozenset[str]
    text: str

    def holds(self, resources: Resources) -> bool:
        # Without the long form guardpycfn hands back the end of a failure's report only.
        answer = guardpycfn.validate_with_guard(json.dumps({"Resources": resources}), self.text, True)
        assert answer["success"], answer
        status: str = answer["result"]["container"]["FileCheck"]["status"]
        return status != "FAIL"

    def broken_by(self, resources: Resources) -> list[str]:
        """Logical ids of the resources for which it does not hold."""
        subjects = [title for title, item in resources.items() if item["Type"] in self.types]
        if not subjects or self.holds(resources):
            return []
        others = {title: item for title, item in resources.items() if title not in subjects}
        return [title for title in subjects if not self.holds({**others, title: resources[title]})]


@cache
def rules(rule_packs: Path) -> tuple[Rule, ...]:
    """The rules in the package of AWS's CDK plug-in; a file beside each says what it looks at."""
    (package,) = rule_packs.glob("lib/python*/site-packages/cdklabs/cdk_validator_cfnguard/_jsii/*.tgz")
    with tarfile.open(package) as archive:
        files = {Path(item.name): archive.extractfile(item) for item in archive if "/rules/" in item.name}
        texts = {path.name: content.read().decode() for path, content in files.items() if content}
    found = []
    for name, text in sorted(texts.items()):
        if name.endswith(".guard"):
            about = json.loads(texts[name.replace(".guard", ".metadata.json")])
            (rule_name,) = set(NAME.findall(text))
            found.append(Rule(rule_name, frozenset(about["EvaluatedResourceTypes"]), text))
    return tuple(found)


def findings(system: System, rule_packs: Path) -> set[Finding]:
    resources = system.bare()
    return {Finding(system.name, title, rule.name) for rule in rules(rule_packs) for title in rule.broken_by(resources)}


@pytest.mark.parametrize("name", systems())
def test_guard_finds_what_is_suppressed_with_a_reason_and_nothing_else(name: str, rule_packs: Path) -> None:
    system = systems()[name]
    allowed = suppressed_for_guard(system)

    assert disagreement(findings(system, rule_packs), allowed) == AGREED
    assert all(allowed.values())


def test_the_pack_has_rules_for_what_security_teams_ask_of_our_services(rule_packs: Path) -> None:
    kinds = {kind for rule in rules(rule_packs) for kind in rule.types}

    assert {
        "AWS::CloudTrail::Trail",
        "AWS::CloudWatch::Alarm",
        "AWS::DynamoDB::Table",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::Queue",
        "AWS::StepFunctions::StateMachine",
    } <= kinds


@pytest.mark.parametrize(
    ("title", "properties", "rule"),
    [
        ("RawBucket", {"VersioningConfiguration": None}, "s3_bucket_versioning_enabled_check"),
        ("RawBucketPolicy", {"PolicyDocument": {"Statement": []}}, "s3_bucket_policy_ssl_requests_only_check"),
        ("ReadingsTable", {"PointInTimeRecoverySpecification": None}, "dynamodb_table_pitr_enabled_check"),
        ("DataKey", {"EnableKeyRotation": False}, "kms_key_rotation_enabled_check"),
        ("ReadingsStream", {"StreamEncryption": None}, "kinesis_stream_encrypted_check"),
        ("AuditTrail", {"EnableLogFileValidation": False}, "cloud_trail_log_file_validation_enabled_check"),
        ("CompactLogs", {"KmsKeyId": None}, "cloudwatch_log_group_encrypted_check"),
    ],
)
def test_guard_finds_a_resource_that_breaks_a_rule(
    title: str, properties: dict[str, object], rule: str, checked: dict[str, System], rule_packs: Path
) -> None:
    system = checked["manufacturing"]
    (asked,) = [each for each in rules(rule_packs) if each.name == rule]

    assert asked.broken_by(system.bare()) == []
    assert asked.broken_by(system.changed(title, **properties).bare()) == [title]
