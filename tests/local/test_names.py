"""CloudFormation neither creates over what exists nor deletes what is protected."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import s3
from ministack.services.cloudformation import provisioners

from local.additions.cloudformation import names
from local.additions.services import RefusedError

TABLE = {"TableName": "taken", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
NAMED: dict[str, dict[str, Any]] = {
    "AWS::DynamoDB::Table": TABLE,
    "AWS::KMS::Alias": {"AliasName": "alias/taken", "TargetKeyId": "key"},
    "AWS::Kinesis::Stream": {"Name": "taken"},
    "AWS::Logs::LogGroup": {"LogGroupName": "/taken"},
    "AWS::SecretsManager::Secret": {"Name": "taken", "GenerateSecretString": {}},
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The addition, in an account of its own."""
    handlers = {kind: copy.copy(entry) for kind, entry in provisioners._RESOURCE_HANDLERS.items()}
    monkeypatch.setattr(provisioners, "_RESOURCE_HANDLERS", handlers)
    names.install()
    with request_scope("000000000002", "eu-central-1"):
        yield


def create(kind: str, properties: dict[str, Any]) -> str:
    return str(provisioners._provision_resource(kind, "Title", properties, "stack")[0])


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_that_is_taken_is_refused_until_it_is_free(kind: str) -> None:
    physical_id = create(kind, NAMED[kind])

    with pytest.raises(RefusedError, match=rf"^Resource of type '{kind}' with identifier '.*taken' already exis"):
        create(kind, NAMED[kind])

    provisioners._delete_resource(kind, physical_id, NAMED[kind])
    assert create(kind, NAMED[kind]) == physical_id
    provisioners._delete_resource(kind, physical_id, NAMED[kind])


def test_without_a_name_of_its_own_a_resource_is_never_in_the_way() -> None:
    assert create("AWS::Kinesis::Stream", {}) == create("AWS::Kinesis::Stream", {})


def test_a_protected_table_is_not_deleted() -> None:
    table = create("AWS::DynamoDB::Table", TABLE | {"TableName": "kept", "DeletionProtectionEnabled": True})

    with pytest.raises(RefusedError, match=r"^kept: .*protected against deletion"):
        provisioners._delete_resource("AWS::DynamoDB::Table", table, {})


@pytest.mark.parametrize("left", ["object", "version"])
def test_a_bucket_with_something_in_it_is_not_deleted(monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    bucket = create("AWS::S3::Bucket", {"BucketName": f"with-{left}"})
    if left == "object":
        s3._buckets[bucket]["objects"]["key"] = {}
    else:
        monkeypatch.setattr(s3, "_bucket_has_versions", lambda name: name == bucket)

    with pytest.raises(RefusedError, match=f"not empty: with-{left}"):
        provisioners._delete_resource("AWS::S3::Bucket", bucket, {})


def test_an_empty_bucket_is() -> None:
    bucket = create("AWS::S3::Bucket", {"BucketName": "empty"})

    provisioners._delete_resource("AWS::S3::Bucket", bucket, {})

    assert bucket not in s3._buckets
