"""State machine definitions as graphs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from templates.shared.state_machines import DEFINITIONS

State = dict[str, Any]


class Graph(NamedTuple):
    """One set of states: a machine's, or those inside a Map."""

    place: str
    start: str
    states: dict[str, State]

    def targets(self, name: str) -> list[str]:
        """States that may follow the named one."""
        state = self.states[name]
        choices = [choice["Next"] for choice in state.get("Choices", [])]
        catches = [catch["Next"] for catch in state.get("Catch", [])]
        return [*choices, *catches, *(state[key] for key in ("Next", "Default") if key in state)]

    def reached(self) -> set[str]:
        """States on some way from the start."""
        found, waiting = {self.start}, [self.start]
        while waiting:
            news = [target for target in self.targets(waiting.pop()) if target not in found]
            found |= set(news)
            waiting += news
        return found


def definitions() -> list[Path]:
    return sorted(DEFINITIONS.glob("*.asl.json"))


def graphs() -> list[Graph]:
    """Every graph of every definition, outermost first."""
    return [graph for path in definitions() for graph in _inside(path.name, json.loads(path.read_text("utf-8")))]


def _inside(place: str, machine: dict[str, Any]) -> Iterator[Graph]:
    yield Graph(place, machine["StartAt"], machine["States"])
    for name, state in machine["States"].items():
        for inner in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            yield from _inside(f"{place}: {name}", inner)
