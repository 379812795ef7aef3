"""Versions of layers in a rollback: what an update has replaced is still there.

AWS deletes a replaced version when the whole update has succeeded. MiniStack deletes it in the midst of a nested
stack's update, and a rollback, which makes it anew, would publish it under the next number: functions that go back to
the old one would not find it.
"""

from typing import Any

from local.additions.cloudformation.nested_stacks import is_rolling_back

TYPE = "AWS::Lambda::LayerVersion"

Properties = dict[str, Any]
Version = dict[str, Any]

_replaced: dict[str, tuple[Properties, Version]] = {}
"""Of each layer, by ARN, the version that was deleted last, with the properties that it was made of."""


def install() -> None:
    """Let a rollback have its versions back."""
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS[TYPE]
    publish, delete = handlers["create"], handlers["delete"]

    def publish_or_give_back(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        arn = _give_back(properties) if is_rolling_back() else None
        published: tuple[str, Properties] = (
            publish(logical_id, properties, stack) if arn is None else (arn, {"LayerVersionArn": arn, "Arn": arn})
        )
        return published

    def delete_and_remember(arn: str, properties: Properties) -> None:
        for version in _versions(properties):
            if version["LayerVersionArn"] == arn:
                _replaced[version["LayerArn"]] = (properties, version)
        delete(arn, properties)

    provisioners._RESOURCE_HANDLERS[TYPE] = {**handlers, "create": publish_or_give_back, "delete": delete_and_remember}


def _give_back(properties: Properties) -> str | None:
    """The ARN of the version that these properties had made, which is there again."""
    from ministack.services import lambda_svc

    made_of, version = _replaced.get(lambda_svc._layer_arn(properties["LayerName"]), ({}, {}))
    if made_of != properties:
        return None
    version.pop("_deleted", None)
    versions = _versions(properties)
    if not any(kept is version for kept in versions):  # it stays there as long as a function has it
        versions.append(version)
    arn: str = version["LayerVersionArn"]
    return arn


def _versions(properties: Properties) -> list[Version]:
    from ministack.services import lambda_svc

    versions: list[Version] = lambda_svc._layers.get(properties["LayerName"], {}).get("versions", [])
    return versions
