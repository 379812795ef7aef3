"""What parliament says about every policy: unknown actions and conditions, resources that an action does not have."""

import warnings
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.templates.allowances import PARLIAMENT
from tests.templates.checks.policies import Policy, policies
from tests.templates.checks.systems import System

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it loads its data with a module that is going away
    import parliament

Found = tuple[str, str, str]

A_QUEUE = "arn:aws:sqs:eu-central-1:123456789012:alerts"


def judged(policy: Policy) -> set[Found]:
    """Resource, issue and what parliament says of it."""
    # what somebody may do with a right is no question of a policy that lets a service take a role
    wider = policy.kind != "AssumeRolePolicyDocument"
    analyzed = parliament.analyze_policy_string(policy.judgeable(), include_community_auditors=wider)
    return {(policy.resource, finding.issue, text) for finding in analyzed.findings for text in described(finding)}


def matches(found: Found, pattern: Found) -> bool:
    return all(fnmatchcase(part, allowed) for part, allowed in zip(found, pattern, strict=True))


def described(finding: Any) -> list[str]:
    """One text for each action that a finding is about."""
    if isinstance(finding.detail, list):
        return [
            f"{item['action']} needs {item['required_format']}" if isinstance(item, dict) else item
            for item in finding.detail
        ]
    if finding.detail:
        return [finding.detail]
    return [", ".join(sorted(finding.location.get("actions", [])))]


def test_parliament_finds_what_is_allowed_with_a_reason_and_nothing_else(checked: dict[str, System]) -> None:
    found = {found for system in checked.values() for policy in policies(system) for found in judged(policy)}

    explained = {(each, pattern) for each in found for pattern in PARLIAMENT if matches(each, pattern)}
    assert sorted(found - {each for each, _ in explained}) == []
    assert sorted(set(PARLIAMENT) - {pattern for _, pattern in explained}) == []


def test_policies_of_every_kind_are_judged(checked: dict[str, System]) -> None:
    kinds = {
        (system.resources[policy.resource]["Type"], policy.kind)
        for system in checked.values()
        for policy in policies(system)
    }

    assert {
        ("AWS::IAM::Role", "AssumeRolePolicyDocument"),
        ("AWS::IAM::Role", "PolicyDocument"),
        ("AWS::IoT::Policy", "PolicyDocument"),
        ("AWS::KMS::Key", "KeyPolicy"),
        ("AWS::S3::BucketPolicy", "PolicyDocument"),
        ("AWS::SNS::TopicPolicy", "PolicyDocument"),
    } <= kinds


@pytest.mark.parametrize(
    ("statement", "issue"),
    [
        ({"Action": ["sqs:Send"], "Resource": [A_QUEUE]}, "UNKNOWN_ACTION"),
        ({"Action": ["sqs:SendMessage"], "Resource": ["arn:aws:sns:eu-central-1:123456789012:a"]}, "RESOURCE_MISMATCH"),
        ({"Action": ["sqs:ListQueues", "sqs:SendMessage"], "Resource": ["*"]}, "RESOURCE_STAR"),
        (
            {
                "Action": ["sqs:SendMessage"],
                "Resource": [A_QUEUE],
                "Condition": {"StringEquals": {"sqs:MessageColour": "red"}},
            },
            "UNKNOWN_CONDITION_FOR_ACTION",
        ),
        ({"Action": ["sqs:SendMessage"], "Resource": ["alerts"]}, "INVALID_ARN"),
    ],
)
def test_parliament_finds_a_statement_that_does_not_mean_what_it_says(statement: dict[str, Any], issue: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}

    assert issue in {found[1] for found in judged(Policy("Role", "PolicyDocument", document))}


def test_statements_that_differ_in_their_resource_are_judged_together() -> None:
    """Glue asks for catalog, database and table at once."""
    resources = ("catalog", "database/lake", "table/lake/readings")
    statements = [
        {"Effect": "Allow", "Action": ["glue:GetTable"], "Resource": [f"arn:aws:glue:eu-central-1:123456789012:{name}"]}
        for name in resources
    ]
    whole = Policy("Role", "PolicyDocument", {"Version": "2012-10-17", "Statement": statements})
    part = Policy("Role", "PolicyDocument", {"Version": "2012-10-17", "Statement": statements[1:]})

    assert judged(whole) == set()
    assert {issue for _, issue, _ in judged(part)} == {"RESOURCE_MISMATCH"}
