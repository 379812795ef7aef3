"""Ways through the templates: every stack of every environment, its resources, its policy statements."""

import functools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from config.settings import Settings, environments, load
from templates import root

Properties = dict[str, Any]


class Stack(NamedTuple):
    """One template of one environment, as CloudFormation reads it."""

    environment: str
    name: str
    body: dict[str, Any]

    @property
    def settings(self) -> Settings:
        return load(self.environment, {})

    def resources(self, *types: str) -> dict[str, dict[str, Any]]:
        """Resources of the given types by logical id."""
        return {title: item for title, item in self.body["Resources"].items() if item["Type"] in types}

    def properties(self, kind: str) -> dict[str, Properties]:
        return {title: item["Properties"] for title, item in self.resources(kind).items()}

    def only(self, kind: str) -> Properties:
        """Properties of the one resource of this type."""
        (properties,) = self.properties(kind).values()
        return properties


class Statement(NamedTuple):
    """One statement of a policy: where it stands, and what it says."""

    stack: Stack
    resource: str
    kind: str
    body: dict[str, Any]

    @property
    def actions(self) -> list[str]:
        actions = self.body["Action"]
        return [actions] if isinstance(actions, str) else actions

    @property
    def conditions(self) -> dict[str, Any]:
        """Condition values by key, whatever the operator."""
        return {key: value for keys in self.body.get("Condition", {}).values() for key, value in keys.items()}


@functools.cache
def all_stacks() -> tuple[Stack, ...]:
    return tuple(stack for environment in environments() for stack in stacks_of(load(environment, {}), environment))


def stacks_of(settings: Settings, environment: str) -> list[Stack]:
    templates = root.stacks(settings).items()
    return [Stack(environment, name, json.loads(template.to_json())) for name, template in templates]


def stacks_named(name: str) -> list[Stack]:
    return [stack for stack in all_stacks() if stack.name == name]


def stacks_with(kind: str) -> list[Stack]:
    """Stacks that have a resource of this type."""
    return [stack for stack in all_stacks() if stack.resources(kind)]


def walk(value: Any) -> Iterator[Any]:
    """The value and everything inside it."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def references(stack: Stack) -> set[str]:
    """Logical ids and parameters that the template's resources and outputs refer to."""
    found: set[str] = set()
    for value in walk([stack.body["Resources"], stack.body.get("Outputs", {})]):
        if isinstance(value, dict):
            found |= {value["Ref"]} if "Ref" in value else set()
            found |= {value["Fn::GetAtt"][0]} if "Fn::GetAtt" in value else set()
    return found


@functools.cache
def statements() -> list[Statement]:
    """Every statement of every policy: roles, trust, keys, buckets, topics."""
    return [
        Statement(stack, title, item["Type"], statement)
        for stack in all_stacks()
        for title, item in stack.body["Resources"].items()
        for value in walk(item["Properties"])
        if isinstance(value, dict) and "Statement" in value
        for statement in value["Statement"]
    ]


def role_statements() -> list[Statement]:
    """What roles may do, without who may take them."""
    return [found for found in statements() if found.kind == "AWS::IAM::Role" and "Principal" not in found.body]
