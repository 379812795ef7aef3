"""Trails that CloudFormation makes, changes and deletes, as far as the policies of our templates let them write."""

import copy
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from ministack import app
from ministack.core.responses import get_account_id, request_scope
from ministack.services import cloudtrail
from ministack.services.cloudformation import provisioners

from config.settings import load
from local.additions.cloudformation import trails
from local.additions.services import RefusedError
from templates import root

Resources = dict[str, dict[str, Any]]

REGION, STACK = "ap-southeast-1", "trails"
ACCOUNTS = (f"{number:012}" for number in itertools.count(7_000))
"""Every test has an account of its own, and with it a bucket's name."""

TRAIL = "iot-audit-trail-dev"
GIVEN = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
    "AccessLogsBucketName": "logs",
    "RawBucketName": "raw",
    "ProcessedBucketName": "processed",
}
MADE_BEFORE = ("DataKey", "TrailBucket", "TrailBucketPolicy", "TrailLogs", "TrailLogsRole")
NEEDED = {
    "EncryptTrail": "kms:GenerateDataKey",
    "DescribeForTrail": "kms:DescribeKey",
    "LookAtBucket": "s3:GetBucketAcl",
    "WriteTrail": "s3:PutObject",
}
"""Statement → what is refused without it."""


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with permissions enforced, and the addition installed until the test ends."""
    monkeypatch.setattr(app, "AUTH", True)
    for store in ("_RESOURCE_HANDLERS", "_STACK_TAG_PROPERTY", "_REPLACING_PROPERTIES"):
        monkeypatch.setattr(provisioners, store, dict(getattr(provisioners, store)))
    monkeypatch.setattr(cloudtrail, "_DISPATCH", dict(cloudtrail._DISPATCH))
    trails.install()
    with request_scope(next(ACCOUNTS), REGION):
        yield


@pytest.fixture
def resources() -> Resources:
    """Resources of the templates that a trail needs, and the trail."""
    settings = load("manufacturing", {})
    recording = settings.audit.model_copy(update={"data_events": "write"})
    stacks = root.stacks(settings.model_copy(update={"audit": recording}))
    return {
        title: resource
        for name in ("security", "audit")
        for title, resource in json.loads(stacks[name].to_json())["Resources"].items()
    }


class Stack:
    """Makes resources in order and fills in what one says of another."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._names = {**GIVEN, "AWS::AccountId": get_account_id()}
        self._attributes: dict[str, dict[str, Any]] = {}
        for title in MADE_BEFORE:
            self._make(title)

    def make_trail(self) -> dict[str, Any]:
        """The trail as CloudTrail describes it."""
        self._make("AuditTrail")
        return described()

    def trail_properties(self) -> dict[str, Any]:
        properties: dict[str, Any] = self._filled(self._resources["AuditTrail"]["Properties"])
        return properties

    def _make(self, title: str) -> None:
        resource = self._resources[title]
        properties = self._filled(resource["Properties"])
        made = provisioners._provision_resource(resource["Type"], title, properties, STACK)
        self._names[title], self._attributes[title] = made
        self._names["KeyArn"] = self._attributes["DataKey"]["Arn"]

    def _filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "Ref" in value:
            return self._names[value["Ref"]]
        if "Fn::GetAtt" in value:
            title, attribute = value["Fn::GetAtt"]
            return self._attributes[title][attribute]
        if "Fn::Sub" in value:
            text, values = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
            known = {**self._names, **self._filled(values)}
            return re.sub(r"\$\{([^}]+)\}", lambda found: known[found[1]], text)
        return {key: self._filled(item) for key, item in value.items()}


def ask(action: str, **body: Any) -> dict[str, Any]:
    _, _, answer = cloudtrail._DISPATCH[action](body)
    content: dict[str, Any] = json.loads(answer)
    return content


def described() -> dict[str, Any]:
    (trail,) = ask("DescribeTrails", trailNameList=[TRAIL])["trailList"]
    return dict(trail)


def is_there() -> bool:
    return bool(ask("DescribeTrails", trailNameList=[TRAIL])["trailList"])


def test_a_trail_is_made_as_the_template_says(resources: Resources) -> None:
    trail = Stack(resources).make_trail()

    assert trail["S3BucketName"].startswith("iot-cloudtrail-logs-dev-")
    assert trail["IsMultiRegionTrail"] is trail["IncludeGlobalServiceEvents"] is True
    assert trail["LogFileValidationEnabled"] is trail["HasInsightSelectors"] is True
    assert trail["CloudWatchLogsLogGroupArn"].endswith(f":/aws/cloudtrail/{TRAIL}:*")
    assert ask("GetTrailStatus", Name=TRAIL)["IsLogging"] is True


def test_a_trail_records_what_its_selectors_say(resources: Resources) -> None:
    Stack(resources).make_trail()

    _, objects = ask("GetEventSelectors", TrailName=TRAIL)["AdvancedEventSelectors"]
    insights = ask("GetInsightSelectors", TrailName=TRAIL)["InsightSelectors"]
    assert {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::raw/", "arn:aws:s3:::processed/"]} in objects[
        "FieldSelectors"
    ]
    assert [item["InsightType"] for item in insights] == ["ApiCallRateInsight", "ApiErrorRateInsight"]


def without(resources: Resources, sid: str) -> Resources:
    """The same with a statement left out, wherever it stands."""
    changed = copy.deepcopy(resources)
    for policy in (
        changed["DataKey"]["Properties"]["KeyPolicy"],
        changed["TrailBucketPolicy"]["Properties"]["PolicyDocument"],
    ):
        policy["Statement"] = [item for item in policy["Statement"] if item.get("Sid") != sid]
    assert changed != resources
    return changed


@pytest.mark.parametrize("sid", NEEDED)
def test_a_trail_that_could_not_write_is_refused_and_not_made(resources: Resources, sid: str) -> None:
    with pytest.raises(RefusedError, match=f"not authorized to perform: {NEEDED[sid]} "):
        Stack(without(resources, sid)).make_trail()

    assert not is_there()


def test_without_decrypt_a_trail_cannot_use_a_bucket_with_a_bucket_key(resources: Resources) -> None:
    for statement in resources["DataKey"]["Properties"]["KeyPolicy"]["Statement"]:
        if statement["Sid"] == "EncryptTrail":
            statement["Action"].remove("kms:Decrypt")

    with pytest.raises(RefusedError, match="kms:Decrypt"):
        Stack(resources).make_trail()


def test_policies_are_for_this_trail_only(resources: Resources) -> None:
    resources["AuditTrail"]["Properties"]["TrailName"] = "another"

    with pytest.raises(RefusedError, match="s3:GetBucketAcl"):
        Stack(resources).make_trail()


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_role_that_may_not_write_the_log_group_is_refused(resources: Resources, action: str) -> None:
    (policy,) = resources["TrailLogsRole"]["Properties"]["Policies"]
    policy["PolicyDocument"]["Statement"][0]["Action"].remove(action)

    with pytest.raises(RefusedError, match=action):
        Stack(resources).make_trail()


def test_what_cloudtrail_refuses_leaves_no_trail(resources: Resources) -> None:
    resources["AuditTrail"]["Properties"]["AdvancedEventSelectors"] = []

    with pytest.raises(RefusedError, match="InvalidEventSelectorsException"):
        Stack(resources).make_trail()

    assert not is_there()


def test_a_trail_changes_and_stays_the_same_trail(resources: Resources) -> None:
    stack = Stack(resources)
    arn = stack.make_trail()["TrailARN"]
    old = {**stack.trail_properties(), "Tags": [{"Key": "Owner", "Value": "us"}, {"Key": "Project", "Value": "p"}]}
    new = {**old, "IsMultiRegionTrail": False, "IsLogging": False, "InsightSelectors": [], "Tags": old["Tags"][:1]}

    name, attributes = provisioners._update_resource(trails.TYPE, TRAIL, old, new, STACK, "AuditTrail")

    assert (name, attributes) == (TRAIL, {"Arn": arn})
    assert described()["IsMultiRegionTrail"] is False
    assert ask("GetTrailStatus", Name=TRAIL)["IsLogging"] is False
    assert ask("GetInsightSelectors", TrailName=TRAIL)["__type"] == "InsightNotEnabledException"
    assert ask("ListTags", ResourceIdList=[arn])["ResourceTagList"][0]["TagsList"] == old["Tags"][:1]


def test_a_deleted_trail_is_gone_and_deleting_it_again_is_fine(resources: Resources) -> None:
    Stack(resources).make_trail()

    for _ in range(2):
        provisioners._delete_resource(trails.TYPE, TRAIL, {})

    assert not is_there()
