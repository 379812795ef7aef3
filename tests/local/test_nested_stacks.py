"""What AWS keeps and cleans up of nested stacks when they are deleted or rolled back."""

import asyncio
import copy
from typing import Any

import pytest
from ministack.services.cloudformation import _stack_events, _stacks, handlers, provisioners, stacks

from local.additions.cloudformation import nested_stacks
from local.additions.cloudformation.nested_stacks import TYPE, DeletionError

RESOURCES = {
    "Bucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "RetainExceptOnCreate"},
    "Key": {"Type": "AWS::KMS::Key", "DeletionPolicy": "Retain"},
    "Stream": {"Type": "AWS::Kinesis::Stream", "DependsOn": "Key"},
}


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addition installed over handlers that only note what they delete; `stuck` refuses to go."""
    gone: list[str] = []

    def delete(_kind: str, physical_id: str, *_: Any) -> None:
        if physical_id == "stuck":
            raise ValueError("not empty")
        gone.append(physical_id)

    nested = {"update": lambda physical_id, *_: (physical_id, {}), "delete": lambda *_: gone.append("the stack")}
    monkeypatch.setitem(provisioners._RESOURCE_HANDLERS, TYPE, nested)
    monkeypatch.setattr(provisioners, "_delete_resource", delete)
    monkeypatch.setattr(stacks, "_roll_back_operation", roll_back_creation)
    monkeypatch.setattr(handlers, "_roll_back_operation", roll_back_creation)
    nested_stacks.install()
    return gone


async def roll_back_creation(_name: str, _id: str, stack: Any, operation: Any, _reason: str = "") -> None:
    """As MiniStack does: what the operation has created is deleted, the last first."""
    for logical_id in reversed(operation["created"]):
        nested_handler("delete")(stack["_resources"][logical_id]["PhysicalResourceId"], {})


@pytest.fixture
def child(deleted: list[str]) -> dict[str, Any]:
    """A nested stack with three resources, which are called like their logical ids."""
    stack = {
        "StackName": "child",
        "StackId": "arn:child",
        "StackStatus": "CREATE_COMPLETE",
        "_conditions": {},
        "_parent_stack_name": "parent",
        "_template": {"Resources": copy.deepcopy(RESOURCES)},
        "_resources": {
            name: {"ResourceType": definition["Type"], "PhysicalResourceId": name.lower()}
            for name, definition in RESOURCES.items()
        },
    }
    _stacks["child"] = stack
    _stack_events["arn:child"] = []
    return stack


@pytest.fixture(autouse=True)
def no_stacks() -> Any:
    yield
    _stacks.pop("child", None)
    _stack_events.pop("arn:child", None)


def nested_handler(name: str) -> Any:
    return provisioners._RESOURCE_HANDLERS[TYPE][name]


def told() -> dict[str, str]:
    """The last status of each resource in the stack's events."""
    return {event["LogicalResourceId"]: event["ResourceStatus"] for event in _stack_events["arn:child"]}


def roll_back(*, retain_except_on_create: bool, created: tuple[str, ...] = ("Child",)) -> None:
    operation = {
        "retain_except_on_create": retain_except_on_create,
        "created": list(created),
        "failed_logical_id": "Child",
    }
    parent = {"_resources": {name: {"PhysicalResourceId": "arn:child"} for name in created}}
    asyncio.run(stacks._roll_back_operation("parent", "arn:parent", parent, operation))


def test_a_deletion_keeps_what_the_template_retains(child: dict[str, Any], deleted: list[str]) -> None:
    nested_handler("delete")("arn:child", {})

    assert deleted == ["stream", "the stack"]
    assert told() == {"Stream": "DELETE_COMPLETE", "Key": "DELETE_SKIPPED", "Bucket": "DELETE_SKIPPED"}


def test_the_rollback_of_a_creation_keeps_only_retain(child: dict[str, Any], deleted: list[str]) -> None:
    roll_back(retain_except_on_create=False)

    assert sorted(deleted) == ["bucket", "stream", "the stack"]


def test_with_retain_except_on_create_it_keeps_nothing(child: dict[str, Any], deleted: list[str]) -> None:
    roll_back(retain_except_on_create=True)

    assert sorted(deleted) == ["bucket", "key", "stream", "the stack"]


def test_a_nested_stack_that_failed_half_way_is_cleaned_up_too(child: dict[str, Any], deleted: list[str]) -> None:
    child["StackStatus"] = "CREATE_FAILED"
    del child["_resources"]["Stream"]

    roll_back(retain_except_on_create=True, created=())

    assert sorted(deleted) == ["bucket", "key", "the stack"]


def test_what_refuses_to_go_fails_the_deletion_after_all_others_are_gone(
    child: dict[str, Any], deleted: list[str]
) -> None:
    child["_resources"]["Stream"]["PhysicalResourceId"] = "stuck"

    with pytest.raises(DeletionError, match=r"Embedded stack arn:child .* failed to delete: \[Stream\]"):
        nested_handler("delete")("arn:child", {})

    assert list(child["_resources"]) == ["Stream"]
    assert told()["Stream"] == child["StackStatus"] == "DELETE_FAILED"


def test_a_stack_that_is_gone_already_is_fine(deleted: list[str]) -> None:
    nested_handler("delete")("arn:nobody", {})

    assert deleted == []


def test_what_a_failed_update_has_made_goes_with_the_way_back(child: dict[str, Any], deleted: list[str]) -> None:
    token = nested_stacks._kept.set(frozenset({"Retain"}))
    try:
        nested_handler("update")("arn:child", {}, {}, "parent")
    finally:
        nested_stacks._kept.reset(token)

    policies = {name: definition["DeletionPolicy"] for name, definition in child["_template"]["Resources"].items()}
    assert policies == {"Bucket": "Delete", "Key": "Retain", "Stream": "Delete"}
    assert child["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
