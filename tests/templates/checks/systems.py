"""What the checks look at: each system as one template, its nested stacks merged and its references resolved."""

import copy
import functools
from typing import Any, NamedTuple

from config.settings import Settings, environments, load
from tests.changed import changed, everything_on, with_all_channels
from tests.templates.checks.resolving import Account
from tests.templates.walking import Stack, stacks_of

EVERYTHING = "everything"
"""A system beside the environments that has every optional part at once."""

Resources = dict[str, dict[str, Any]]


class System(NamedTuple):
    """One system: its settings and its resources by logical id, as an account would hold them."""

    name: str
    settings: Settings
    resources: Resources

    def bare(self) -> Resources:
        """The resources without their metadata, in which a check would find its exceptions."""
        return {title: {**item, "Metadata": {}} for title, item in self.resources.items()}

    def changed(self, title: str, **properties: object) -> "System":
        """A copy in which one resource has other properties; None takes one away."""
        resources = copy.deepcopy(self.resources)
        for name, value in properties.items():
            resources[title]["Properties"].pop(name, None)
            if value is not None:
                resources[title]["Properties"][name] = value
        return self._replace(resources=resources)


@functools.cache
def systems() -> dict[str, System]:
    """Every environment, and `everything`."""
    settings = {environment: load(environment, {}) for environment in environments()}
    settings[EVERYTHING] = with_all_channels(changed(everything_on(), devices={"claim_policy": True}))
    return {name: system(name, each) for name, each in settings.items()}


def system(name: str, settings: Settings) -> System:
    account = Account(_merged(stacks_of(settings, name)), settings.region)
    return System(name, settings, account.resources())


def _merged(stacks: list[Stack]) -> Resources:
    """The resources of all nested stacks. A parameter is an earlier stack's output of the same name.

    Raises ValueError when two stacks give a resource the same logical id.
    """
    resources: Resources = {}
    offered: dict[str, Any] = {}
    for stack in stacks:
        if stack.name == "root":
            continue
        body = _replaced(stack.body, offered)
        if twice := sorted(set(resources) & set(body["Resources"])):
            raise ValueError(f"{stack.name} has resources with the logical ids of earlier ones: {twice}")
        resources |= body["Resources"]
        offered |= {name: output["Value"] for name, output in body.get("Outputs", {}).items()}
    return resources


def _replaced(value: Any, values: dict[str, Any]) -> Any:
    """The value with each reference to one of `values` replaced by it."""
    if isinstance(value, dict):
        if set(value) == {"Ref"} and value["Ref"] in values:
            return values[value["Ref"]]
        return {key: _replaced(item, values) for key, item in value.items()}
    return [_replaced(item, values) for item in value] if isinstance(value, list) else value
