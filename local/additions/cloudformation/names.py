"""Names that are taken, and what is protected: where MiniStack's CloudFormation overwrites or deletes, AWS refuses.

MiniStack makes a table, stream, log group, secret or key alias anew over one of the same name, and what was in it is
gone. AWS answers that it already exists. And it deletes a protected table and a bucket that is not empty, as AWS does
not.
"""

from collections.abc import Callable
from typing import Any

from local.additions.services import RefusedError

Properties = dict[str, Any]


def install() -> None:
    """Ask before MiniStack creates and deletes."""
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS
    for kind, (property_name, taken) in _named().items():
        handlers[kind]["create"] = _unless_taken(kind, property_name, taken, handlers[kind]["create"])
    for kind, check in (("AWS::DynamoDB::Table", _check_protection), ("AWS::S3::Bucket", _check_empty)):
        handlers[kind]["delete"] = _when_allowed(check, handlers[kind]["delete"])


def _named() -> dict[str, tuple[str, Callable[[str], bool]]]:
    """By resource type the property that names it, and whether there is one of that name."""
    from ministack.services import cloudwatch_logs, dynamodb, kinesis, kms, secretsmanager

    return {
        "AWS::DynamoDB::Table": ("TableName", lambda name: name in dynamodb._tables),
        "AWS::KMS::Alias": ("AliasName", lambda name: kms._alias_arn(name) in kms._aliases),
        "AWS::Kinesis::Stream": ("Name", lambda name: name in kinesis._streams),
        "AWS::Logs::LogGroup": ("LogGroupName", lambda name: name in cloudwatch_logs._log_groups),
        "AWS::SecretsManager::Secret": ("Name", lambda name: name in secretsmanager._secrets),
    }


def _unless_taken(
    kind: str, property_name: str, taken: Callable[[str], bool], create: Callable[..., Any]
) -> Callable[..., Any]:
    def create_new(logical_id: str, properties: Properties, stack_name: str) -> Any:
        name = properties.get(property_name)
        if name and taken(name):
            raise RefusedError(f"Resource of type '{kind}' with identifier '{name}' already exists.")
        return create(logical_id, properties, stack_name)

    return create_new


def _when_allowed(check: Callable[[str], None], delete: Callable[..., Any]) -> Callable[..., Any]:
    def delete_allowed(physical_id: str, properties: Properties) -> None:
        check(physical_id)
        delete(physical_id, properties)

    return delete_allowed


def _check_protection(table: str) -> None:
    from ministack.services import dynamodb

    if dynamodb._tables.get(table, {}).get("DeletionProtectionEnabled"):
        raise RefusedError(
            f"{table}: Resource cannot be deleted as it is currently protected against deletion."
            " Disable deletion protection first."
        )


def _check_empty(bucket: str) -> None:
    from ministack.services import s3

    if s3._buckets.get(bucket, {}).get("objects") or s3._bucket_has_versions(bucket):
        raise RefusedError(f"The bucket you tried to delete is not empty: {bucket}")
