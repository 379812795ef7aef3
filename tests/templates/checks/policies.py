"""Every policy of a system, in the form in which parliament can judge it."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.templates.checks.resolving import KEY_ID
from tests.templates.checks.systems import System

Document = dict[str, Any]

IOT_VARIABLE = re.compile(r"\$\{iot:[\w.:]+\}")


class Policy(NamedTuple):
    """A policy document and the resource that has it."""

    resource: str
    kind: str
    document: Document

    def judgeable(self) -> str:
        """As a policy of an identity: parliament knows those.

        Whom a policy of a resource allows is left out. A trust policy names no resource, which is the role; the `*` of
        a key policy is the key. What is said of an action under one condition becomes one statement, since parliament
        asks of each that it names every resource that an action needs. A variable of IoT becomes the name of a device.
        """
        merged: dict[str, Document] = {}
        for statement in self.document["Statement"]:
            for action in _listed(statement["Action"]):
                rest = {key: value for key, value in statement.items() if key not in ("Principal", "Resource", "Sid")}
                rest["Action"] = [action]
                known = merged.setdefault(json.dumps(rest, sort_keys=True), {**rest, "Resource": []})
                known["Resource"] += self._resources(statement)
        text = json.dumps({**self.document, "Statement": list(merged.values())})
        return IOT_VARIABLE.sub("device", text)

    def _resources(self, statement: Document) -> list[str]:
        own = {
            "AssumeRolePolicyDocument": f"arn:aws:iam::123456789012:role/{self.resource}",
            "KeyPolicy": f"arn:aws:kms:eu-central-1:123456789012:key/{KEY_ID}",
        }
        return [own[self.kind]] if self.kind in own else _listed(statement["Resource"])


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def policies(system: System) -> list[Policy]:
    return [
        Policy(title, kind, document)
        for title, item in system.resources.items()
        for kind, document in _documents("", item.get("Properties", {}))
    ]


def _documents(name: str, value: Any) -> Iterator[tuple[str, Document]]:
    """The documents inside a value, each with the name of the property that holds it."""
    if isinstance(value, dict):
        if "Statement" in value:
            yield name, value
        else:
            for key, item in value.items():
                yield from _documents(key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _documents(name, item)
