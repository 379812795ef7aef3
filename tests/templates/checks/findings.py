"""What a check found against what is allowed: both have to be the same."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from tests.templates.checks.systems import System


class Finding(NamedTuple):
    """A rule that does not hold for a resource of a system."""

    system: str
    resource: str
    rule: str


def suppressed_for_checkov(system: System) -> dict[Finding, str]:
    """Exceptions in the metadata of the resources, with their reasons."""
    return {
        Finding(system.name, title, entry["id"]): entry["comment"]
        for title, item in system.resources.items()
        for entry in item.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }


def suppressed_for_guard(system: System) -> dict[Finding, str]:
    """Exceptions in the metadata of the resources, with their reasons."""
    return {
        Finding(system.name, title, rule): guard["Reasons"][rule]
        for title, item in system.resources.items()
        if (guard := item.get("Metadata", {}).get("guard"))
        for rule in guard["SuppressedRules"]
    }


def disagreement(found: Collection[object], allowed: Mapping[object, str] | Iterable[object]) -> dict[str, list[str]]:
    """Findings without a reason, and reasons without a finding."""
    expected = set(allowed)
    return {
        "no reason": sorted(str(finding) for finding in set(found) - expected),
        "stale": sorted(str(finding) for finding in expected - set(found)),
    }


AGREED: dict[str, list[str]] = {"no reason": [], "stale": []}
