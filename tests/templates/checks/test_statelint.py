"""What statelint says about every state machine, its placeholders filled."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from statelint.linter import Linter

from templates.shared.state_machines import PLACEHOLDER
from tests.templates.allowances import STATELINT
from tests.templates.checks.findings import AGREED, disagreement
from tests.templates.checks.systems import System

Machine = dict[str, Any]


def machines(system: System) -> list[Machine]:
    """The definitions that Step Functions would be given."""
    return [
        filled(item["Properties"])
        for item in system.resources.values()
        if item["Type"] == "AWS::StepFunctions::StateMachine"
    ]


def filled(properties: dict[str, Any]) -> Machine:
    values = properties.get("DefinitionSubstitutions", {})
    machine: Machine = json.loads(PLACEHOLDER.sub(lambda match: values[match[1]], properties["DefinitionString"]))
    return machine


def test_statelint_finds_what_is_allowed_with_a_reason_and_nothing_else(checked: dict[str, System]) -> None:
    found = [problem for system in checked.values() for each in machines(system) for problem in Linter.validate(each)]

    assert disagreement(found, STATELINT) == AGREED


def lose_the_way(machine: Machine) -> None:
    machine["States"][machine["StartAt"]]["Next"] = "Nowhere"


def misspell_a_field(machine: Machine) -> None:
    machine["States"][machine["StartAt"]]["Timeout"] = 60


def retry_backwards(machine: Machine) -> None:
    machine["States"][machine["StartAt"]]["Retry"][0]["BackoffRate"] = 0.5


@pytest.mark.parametrize("mutate", [lose_the_way, misspell_a_field, retry_backwards])
def test_statelint_finds_a_machine_that_cannot_run(
    mutate: Callable[[Machine], None], checked: dict[str, System]
) -> None:
    (machine, *_) = machines(checked["dev"])
    mutate(machine)

    assert set(Linter.validate(machine)) - set(STATELINT)
