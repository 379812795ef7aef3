"""Nested stacks that end or fail: what AWS keeps of them, and what it cleans up.

MiniStack deletes all resources of a nested stack, whatever their `DeletionPolicy`; it takes a resource that refuses to
go for gone, and leaves what a nested stack had made before its creation failed. On AWS a deletion keeps what the policy
retains. A rollback removes what the operation has made, except what says `Retain`, and that as well when the operation
was started with `RetainExceptOnCreate`
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html).

One difference stays: MiniStack deletes what an update takes out of a nested stack at once, AWS when the whole update
has succeeded; a rollback here makes it anew.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

TYPE = "AWS::CloudFormation::Stack"
BY_DELETION = frozenset({"Retain", "RetainExceptOnCreate"})

_kept: ContextVar[frozenset[str]] = ContextVar("kept", default=BY_DELETION)
"""The policies that keep a resource, in the operation that runs."""

Stack = dict[str, Any]
Properties = dict[str, Any]


class DeletionError(Exception):
    """A nested stack still has resources that could not be deleted."""


def install() -> None:
    """Replace MiniStack's deletion of nested stacks, and prepare its rollbacks."""
    from ministack.services.cloudformation import handlers, provisioners, stacks

    nested = provisioners._RESOURCE_HANDLERS[TYPE]
    update, finish, roll_back = nested["update"], nested["delete"], stacks._roll_back_operation

    def delete(physical_id: str, properties: Properties) -> None:
        if stack := _stack(physical_id):
            _empty(stack)
            finish(physical_id, properties)

    def update_or_revert(physical_id: str, old: Properties, new: Properties, parent: str) -> tuple[str, Properties]:
        reverting = is_rolling_back()
        if reverting:
            _let_go_of_the_new(_stack(physical_id))
        answer: tuple[str, Properties] = update(physical_id, old, new, parent)
        if reverting:
            _stack(physical_id)["StackStatus"] = "UPDATE_ROLLBACK_COMPLETE"
        return answer

    async def roll_back_nested(
        stack_name: str, stack_id: str, stack: Stack, operation: dict[str, Any], reason_override: str = ""
    ) -> None:
        _count_as_created(stack_name, stack, operation)
        token = _kept.set(frozenset() if operation["retain_except_on_create"] else frozenset({"Retain"}))
        try:
            await roll_back(stack_name, stack_id, stack, operation, reason_override)
        finally:
            _kept.reset(token)

    nested.update(update=update_or_revert, delete=delete)
    stacks._roll_back_operation = handlers._roll_back_operation = roll_back_nested


def is_rolling_back() -> bool:
    """Whether what happens is part of a rollback."""
    return _kept.get() is not BY_DELETION


def _stack(physical_id: str) -> Stack:
    """The nested stack's record; empty when there is none."""
    from ministack.services.cloudformation import _stacks, provisioners

    found: Stack = _stacks.get(provisioners._nested_stack_lookup_name(physical_id), {})
    return found


def _empty(stack: Stack) -> None:
    """Delete every resource that no policy keeps. Raises DeletionError when some refuse to go."""
    failed = [logical_id for logical_id in _dependents_first(stack) if not _end(stack, logical_id)]
    if failed:
        reason = f"The following resource(s) failed to delete: [{', '.join(sorted(failed))}]."
        stack["StackStatus"] = "DELETE_FAILED"
        raise DeletionError(f"Embedded stack {stack['StackId']} was not successfully deleted: {reason}")


def _dependents_first(stack: Stack) -> Iterator[str]:
    from ministack.services.cloudformation.engine import _topological_sort

    ordered = _topological_sort(stack["_template"]["Resources"], stack["_conditions"])
    yield from (logical_id for logical_id in reversed(ordered) if logical_id in stack["_resources"])


def _end(stack: Stack, logical_id: str) -> bool:
    """Delete or keep one resource, and tell; whether the stack is rid of it."""
    from ministack.services.cloudformation import provisioners

    resource = stack["_resources"][logical_id]
    kind, physical_id = resource["ResourceType"], resource["PhysicalResourceId"]
    status, reason = "DELETE_SKIPPED", ""
    if stack["_template"]["Resources"][logical_id].get("DeletionPolicy") not in _kept.get():
        try:
            provisioners._delete_resource(
                kind, physical_id, resource.get("Properties", {}), stack["StackName"], logical_id
            )
            status = "DELETE_COMPLETE"
        except Exception as error:  # noqa: BLE001 - whatever it is, CloudFormation tells it and goes on
            status, reason = "DELETE_FAILED", str(error)
    _tell(stack, logical_id, kind, status, reason, physical_id)
    if status == "DELETE_FAILED":
        return False
    del stack["_resources"][logical_id]
    return True


def _tell(stack: Stack, logical_id: str, kind: str, status: str, reason: str, physical_id: str) -> None:
    from ministack.services.cloudformation import stacks

    stacks._add_event(stack["StackId"], stack["StackName"], logical_id, kind, status, reason, physical_id)


def _count_as_created(stack_name: str, stack: Stack, operation: dict[str, Any]) -> None:
    """Let a nested stack whose creation failed be deleted with what the operation has created."""
    from ministack.services.cloudformation import _stacks

    for child in _stacks.values():
        if child.get("_parent_stack_name") == stack_name and child["StackStatus"] == "CREATE_FAILED":
            title = operation["failed_logical_id"]
            stack["_resources"][title] = {"PhysicalResourceId": child["StackId"], "ResourceType": TYPE}
            operation["created"].append(title)


def _let_go_of_the_new(stack: Stack) -> None:
    """What only the failed template has is deleted by the update that brings back the previous one."""
    for definition in stack["_template"]["Resources"].values():
        if definition.get("DeletionPolicy") not in _kept.get():
            definition["DeletionPolicy"] = "Delete"
