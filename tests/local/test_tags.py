"""Tags of a stack on the types that MiniStack leaves untagged."""

from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import cloudwatch, s3
from ministack.services.cloudformation import provisioners

from local.additions.cloudformation import tags

DASHBOARD, BUCKET = "AWS::CloudWatch::Dashboard", "AWS::S3::Bucket"
ARN = "arn:aws:cloudwatch::000000009001:dashboard/plant"


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account, and the addition installed until the test ends."""
    for store in ("_RESOURCE_HANDLERS", "_STACK_TAG_PROPERTY"):
        monkeypatch.setattr(provisioners, store, dict(getattr(provisioners, store)))
    monkeypatch.setattr(cloudwatch, "_validate_alarm_tag_arn", cloudwatch._validate_alarm_tag_arn)
    tags.install()
    with request_scope("000000009001", "eu-central-1"):
        yield


def tagged(properties: dict[str, Any], **values: str) -> dict[str, Any]:
    return {**properties, "Tags": [{"Key": key, "Value": value} for key, value in values.items()]}


def test_a_bucket_gets_the_tags_and_keeps_those_from_elsewhere() -> None:
    name, bucket = "tagged-bucket", {"BucketName": "tagged-bucket"}
    handlers, old = provisioners._RESOURCE_HANDLERS[BUCKET], tagged(bucket, Owner="a", CommitSha="1")
    handlers["create"]("Bucket", old, "stack")
    s3._bucket_tags[name]["Colour"] = "blue"

    handlers["update"](name, old, tagged(bucket, CommitSha="2"), "stack")

    assert s3._bucket_tags[name] == {"CommitSha": "2", "Colour": "blue"}


def test_cloudwatch_tells_the_tags_of_a_dashboard_and_of_nothing_that_is_not_there() -> None:
    body = tagged({"DashboardName": "plant", "DashboardBody": "{}"}, Owner="a")
    provisioners._RESOURCE_HANDLERS[DASHBOARD]["create"]("Dashboard", body, "stack")

    assert cloudwatch._resource_tags[ARN] == {"Owner": "a"}
    assert cloudwatch._validate_alarm_tag_arn(ARN) is None
    assert cloudwatch._validate_alarm_tag_arn(f"{ARN}-other")


def test_cloudformation_hands_a_stacks_tags_to_each_of_the_types() -> None:
    for kind in tags.STORES:
        given = provisioners._with_stack_tags(kind, {}, [{"Key": "Owner", "Value": "a"}], "stack", "id", "Resource")
        assert {"Key": "Owner", "Value": "a"} in given["Tags"]
