"""Deploy a template through a CloudFormation change set, and tell what happens on the way. Works on any AWS."""

import dataclasses
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

CloudFormationClient = Any
POLL_S = 0.25
NESTED = "AWS::CloudFormation::Stack"
DEAD = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}
"""States of a stack that never came up: it takes no change set and has to be deleted first."""
NEW = {None, "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


class DeployError(Exception):
    """The deployment failed; the message names the resource and CloudFormation's reason."""


@dataclasses.dataclass(frozen=True)
class Event:
    """One resource's step. `stack` is the nested stack's logical id, empty for the root."""

    stack: str
    logical_id: str
    type: str
    status: str
    reason: str


Report = Callable[[Event], None]


def deploy(
    cloudformation: CloudFormationClient, stack: str, template: str, tags: Mapping[str, str], report: Report
) -> dict[str, str]:
    """Bring `stack` to `template` (its text) and return its outputs. Nothing to change is fine. Raises DeployError.

    A deployment that somebody else began is waited for, and a stack that never came up is deleted first, so that an
    interrupted deployment does not stand in the way of the next.
    """
    state = settle(cloudformation, stack)
    if state in DEAD:
        cloudformation.delete_stack(StackName=stack)
        state = settle(cloudformation, stack)
    follower = _Follower(cloudformation, stack, report)
    change_set = _create(cloudformation, stack, template, tags, is_new=state in NEW)
    if change_set:
        cloudformation.execute_change_set(ChangeSetName=change_set, RetainExceptOnCreate=True)
        follower.follow()
    state = status(cloudformation, stack)
    if state not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise DeployError(follower.cause() or f"Stack {stack} is {state}.")
    return outputs(cloudformation, stack)


def status(cloudformation: CloudFormationClient, stack: str) -> str | None:
    """The stack's status, None when there is none of that name."""
    found = _describe(cloudformation, stack)
    return found["StackStatus"] if found else None


def outputs(cloudformation: CloudFormationClient, stack: str) -> dict[str, str]:
    """The stack's outputs by name."""
    found = _describe(cloudformation, stack) or {}
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())}


def settle(cloudformation: CloudFormationClient, stack: str) -> str | None:
    """Wait for whatever is in progress to end; the status then."""
    while _in_progress(state := status(cloudformation, stack)):
        time.sleep(POLL_S)
    return state


def _describe(cloudformation: CloudFormationClient, stack: str) -> Any:
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def _in_progress(state: str | None) -> bool:
    return state is not None and state.endswith("_IN_PROGRESS") and state != "REVIEW_IN_PROGRESS"


def _create(
    cloudformation: CloudFormationClient, stack: str, template: str, tags: Mapping[str, str], *, is_new: bool
) -> str | None:
    """Create the change set and wait for it; its ARN, or None when there is nothing to change."""
    arn: str = cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName=f"deploy-{uuid.uuid4().hex}",
        ChangeSetType="CREATE" if is_new else "UPDATE",
        TemplateBody=template,
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )["Id"]
    while True:
        found = cloudformation.describe_change_set(ChangeSetName=arn)
        if found["Status"] == "CREATE_COMPLETE":
            return arn
        if found["Status"] == "FAILED":
            break
        time.sleep(POLL_S)
    cloudformation.delete_change_set(ChangeSetName=arn)
    reason = found.get("StatusReason", "")
    if any(text in reason for text in NO_CHANGES):
        return None
    raise DeployError(f"The change set of {stack} was refused: {reason}")


class _Follower:
    """Reports the events of a stack and of the stacks nested in it, from its making on."""

    def __init__(self, cloudformation: CloudFormationClient, stack: str, report: Report) -> None:
        self._cloudformation = cloudformation
        self._root = stack
        self._report = report
        self._stacks = {stack: ""}
        self._seen: set[str] = set()
        self._failures: list[tuple[datetime, Event]] = []
        if status(cloudformation, stack) is not None:
            self._seen.update(event["EventId"] for event in self._events(stack))

    def follow(self) -> None:
        """Report until the root stack has come to an end."""
        while True:
            running = _in_progress(status(self._cloudformation, self._root))
            self._look()
            if not running:
                return
            time.sleep(POLL_S)

    def cause(self) -> str | None:
        """The failure that the others came from: the earliest of a resource that is not itself a stack.

        Stacks are read one after the other, so that what came later in one may be seen first.
        """
        failures = [event for _, event in sorted(self._failures, key=lambda failure: failure[0])]
        first = next((event for event in failures if event.type != NESTED), failures[0] if failures else None)
        if first is None:
            return None
        where = f" in nested stack {first.stack}" if first.stack else ""
        return f"{first.logical_id} ({first.type}){where}: {first.status}: {first.reason}"

    def _look(self) -> None:
        """Report what is new, in the order in which it happened; a nested stack is looked at once it is known."""
        known: set[str] = set()
        fresh = []
        while unread := self._stacks.keys() - known:
            known |= unread
            for stack in unread:
                fresh += [(stack, raw) for raw in self._events(stack) if raw["EventId"] not in self._seen]
                self._discover(raw for _, raw in fresh)
        for stack, raw in sorted(fresh, key=lambda event: event[1]["Timestamp"]):
            self._seen.add(raw["EventId"])
            self._tell(stack, raw)

    def _discover(self, events: Iterable[Any]) -> None:
        for raw in events:
            if raw["ResourceType"] == NESTED and raw.get("PhysicalResourceId") and not _is_own(raw):
                self._stacks.setdefault(raw["PhysicalResourceId"], raw["LogicalResourceId"])

    def _tell(self, stack: str, raw: Any) -> None:
        if _is_own(raw):
            return  # its parent says the same, and the root is asked for its status
        event = Event(
            self._stacks[stack],
            raw["LogicalResourceId"],
            raw["ResourceType"],
            raw["ResourceStatus"],
            raw.get("ResourceStatusReason", ""),
        )
        if event.status.endswith("_FAILED") and "cancelled" not in event.reason:
            self._failures.append((raw["Timestamp"], event))
        self._report(event)

    def _events(self, stack: str) -> Iterator[Any]:
        """A stack's events, oldest first."""
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
        yield from reversed([event for page in pages for event in page["StackEvents"]])


def _is_own(raw: Any) -> bool:
    """Whether an event is the stack's about itself."""
    return bool(raw.get("PhysicalResourceId") == raw["StackId"])
