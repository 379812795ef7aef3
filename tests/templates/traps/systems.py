"""A whole system as its templates describe it, and how the parts of its stacks hang together."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

from config.settings import Settings, environments, load
from tests.changed import everything_on
from tests.templates.walking import Stack, stacks_of, walk

EVERYTHING = "everything on"


class System(NamedTuple):
    """The stacks of one system by name, and the settings that they were made from."""

    settings: Settings
    stacks: dict[str, Stack]

    def resources(self, *types: str) -> Iterator["Resource"]:
        """Resources of the given types in all stacks."""
        for stack in self.stacks.values():
            for title, body in stack.resources(*types).items():
                yield Resource(stack.name, title, body)

    def all_resources(self) -> Iterator["Resource"]:
        for stack in self.stacks.values():
            for title, body in stack.body["Resources"].items():
                yield Resource(stack.name, title, body)


class Resource(NamedTuple):
    """One resource of a system."""

    stack: str
    title: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.stack}.{self.title}"

    @property
    def properties(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body.get("Properties", {})
        return found

    @property
    def depends_on(self) -> list[str]:
        given = self.body.get("DependsOn", [])
        return [given] if isinstance(given, str) else given


class Grant(NamedTuple):
    """One action that a policy allows on one resource; conditions by key, whatever the operator."""

    action: str
    resource: Any
    conditions: dict[str, Any]
    principal: Any


def system_of(settings: Settings) -> System:
    """The system that these settings make."""
    return System(settings, {stack.name: stack for stack in stacks_of(settings, settings.system)})


@functools.cache
def systems() -> dict[str, System]:
    """The system of every environment, and one with everything switched on that settings can switch on."""
    named = {environment: load(environment, {}) for environment in environments()}
    return {name: system_of(settings) for name, settings in {**named, EVERYTHING: everything_on()}.items()}


def source(system: System, stack: str, value: Any) -> Resource | None:
    """The resource that a value comes from, through the parameters and outputs of nested stacks; None for a literal."""
    if not isinstance(value, dict):
        return None
    if "Fn::Sub" in value and isinstance(value["Fn::Sub"], list):
        filled = list(value["Fn::Sub"][1].values())
        return source(system, stack, filled[0]) if len(filled) == 1 else None
    name = value["Fn::GetAtt"][0] if "Fn::GetAtt" in value else value.get("Ref")
    own = system.stacks[stack].body["Resources"]
    if name is None or name in own:
        return Resource(stack, name, own[name]) if name else None
    for other in system.stacks.values():
        if other.name not in (stack, "root") and name in other.body.get("Outputs", {}):
            return source(system, other.name, other.body["Outputs"][name]["Value"])
    return None


def grants(resource: Resource, *, trust: bool = False) -> list[Grant]:
    """What the policies of a resource allow. Of a role: what it may do, or with `trust` who may take it."""
    if resource.body["Type"] == "AWS::IAM::Role":
        policies = resource.properties["AssumeRolePolicyDocument" if trust else "Policies"]
    else:
        policies = resource.properties
    return [
        Grant(action, item, _by_key(statement), statement.get("Principal"))
        for document in walk(policies)
        if isinstance(document, dict) and "Statement" in document
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in _listed(statement["Action"])
        for item in _listed(statement.get("Resource", ["*"]))
    ]


def actions(resource: Resource) -> set[str]:
    """Every action that a role allows on anything."""
    return {grant.action for grant in grants(resource)}


def service(name: str) -> dict[str, str]:
    """An AWS service as a principal."""
    return {"Service": f"{name}.amazonaws.com"}


def text(value: Any) -> str:
    """A string, or the text of a `Fn::Sub` before anything is filled in."""
    if isinstance(value, dict) and "Fn::Sub" in value:
        inner = value["Fn::Sub"]
        return str(inner[0] if isinstance(inner, list) else inner)
    return value if isinstance(value, str) else ""


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value inside a value."""
    for inner in walk(value):
        if isinstance(inner, dict):
            yield from inner.items()


def _by_key(statement: dict[str, Any]) -> dict[str, Any]:
    return {key: value for keys in statement.get("Condition", {}).values() for key, value in keys.items()}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
