"""Small damages to a system, each of which a check of a trap has to find."""

import json
from collections.abc import Callable
from typing import Any

from tests.templates.traps.systems import EVERYTHING, System, systems
from tests.templates.walking import Stack, walk

Mutation = Callable[[System], None]


def damaged(mutation: Mutation) -> System:
    """The system with everything on, after the mutation; AssertionError when that changed nothing."""
    whole = systems()[EVERYTHING]
    bodies = {name: json.dumps(stack.body) for name, stack in whole.stacks.items()}
    stacks = {name: Stack(stack.environment, name, json.loads(bodies[name])) for name, stack in whole.stacks.items()}
    mutation(System(whole.settings, stacks))
    assert {name: json.dumps(stack.body) for name, stack in stacks.items()} != bodies, "the mutation changes nothing"
    return System(whole.settings, stacks)


def put(path: str, value: object) -> Mutation:
    """Set a value: `put("realtime.ReadingsSource.Properties.StartingPosition", "LATEST")`; lists by position."""

    def mutate(system: System) -> None:
        holder, last = _holder(system, path)
        holder[last] = value

    return mutate


def drop(path: str) -> Mutation:
    """Take a value away."""

    def mutate(system: System) -> None:
        holder, last = _holder(system, path)
        del holder[last]

    return mutate


def add(path: str, kind: str, **properties: object) -> Mutation:
    """Add a resource: `add("batch.Permission", "AWS::Lambda::Permission", …)`."""
    stack, title = path.split(".")

    def mutate(system: System) -> None:
        system.stacks[stack].body["Resources"][title] = {"Type": kind, "Properties": properties}

    return mutate


def revoke(path: str, action: str, marked: str = "") -> Mutation:
    """Take an action out of the statements of a resource's policies that contain the text `marked`."""

    def mutate(system: System) -> None:
        for statement in _statements(system, path, marked):
            if action in statement["Action"]:
                statement["Action"].remove(action)

    return mutate


def grant(path: str, action: str, resource: object) -> Mutation:
    """Let a role do something more."""

    def mutate(system: System) -> None:
        statement = {"Effect": "Allow", "Action": [action], "Resource": [resource]}
        _policy(system, path).append(statement)

    return mutate


def loosen(path: str, condition: str, marked: str = "") -> Mutation:
    """Take a condition key out of the statements of a resource's policies."""
    return require(path, condition, None, marked)


def require(path: str, condition: str, value: object, marked: str = "") -> Mutation:
    """Give a condition key of a resource's policies another value."""

    def mutate(system: System) -> None:
        for statement in _statements(system, path, marked):
            for keys in statement.get("Condition", {}).values():
                if condition in keys:
                    keys[condition] = value
                    if value is None:
                        del keys[condition]

    return mutate


def _policy(system: System, path: str) -> list[dict[str, Any]]:
    stack, title = path.split(".")
    role = system.stacks[stack].body["Resources"][title]["Properties"]
    listed: list[dict[str, Any]] = role["Policies"][0]["PolicyDocument"]["Statement"]
    return listed


def _statements(system: System, path: str, marked: str) -> list[dict[str, Any]]:
    stack, title = path.split(".")
    return [
        statement
        for value in walk(system.stacks[stack].body["Resources"][title])
        if isinstance(value, dict) and "Statement" in value
        for statement in value["Statement"]
        if marked in json.dumps(statement)
    ]


def _holder(system: System, path: str) -> tuple[Any, Any]:
    """What holds the last part of a path, and that part."""
    stack, title, *parts = path.split(".")
    value: Any = system.stacks[stack].body["Resources"][title]
    if not parts:
        return system.stacks[stack].body["Resources"], title
    steps = [int(part) if part.isdigit() else part for part in parts]
    for step in steps[:-1]:
        value = value[step]
    return value, steps[-1]
