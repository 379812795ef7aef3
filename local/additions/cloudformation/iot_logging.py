"""The resource `AWS::IoT::Logging`, which MiniStack's CloudFormation does not know: recorded, and without effect."""

from typing import Any


def install() -> None:
    """Let CloudFormation create it; as on AWS, its reference is the account's id."""
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS["AWS::IoT::Logging"] = {"create": create, "delete": delete}


def create(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, Any]]:
    """The account's id, and no attributes."""
    return str(properties["AccountId"]), {}


def delete(_physical_id: str, _properties: dict[str, Any]) -> None:
    """There is nothing to remove."""
