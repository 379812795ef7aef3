"""What each stack consists of, as it was last looked at: `python -m tests.templates.snapshots` writes it anew."""

import json
from pathlib import Path
from typing import Any

from templates import root
from tests.templates.walking import Stack, stacks_named

SNAPSHOTS = Path(__file__).parent / "snapshots"
NAMES = (*root.STACKS, "root")


def shape(stack: Stack) -> dict[str, Any]:
    """The stack without its properties: a name that changes here replaces or removes what is deployed."""
    return {
        "resources": {title: item["Type"] for title, item in sorted(stack.body["Resources"].items())},
        "parameters": sorted(stack.body.get("Parameters", {})),
        "outputs": sorted(set(stack.body.get("Outputs", {})) - set(stack.settings.outputs)),
    }


def shapes(name: str) -> dict[str, dict[str, Any]]:
    """The shape of one stack in every environment that has it."""
    return {stack.environment: shape(stack) for stack in stacks_named(name)}


def path(name: str) -> Path:
    return SNAPSHOTS / f"{name}.json"


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for each in NAMES:
        text = json.dumps(shapes(each), indent=1, sort_keys=True)
        path(each).write_text(f"{text}\n", encoding="utf-8")
