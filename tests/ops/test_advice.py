"""Advice about the errors of the state machines."""

import pytest

import compaction.errors
import optimization.errors
import reprocessing.errors
from compaction.errors import CompactionError
from ops.advice import ADVICE, NEW_RUN, REDRIVE
from optimization.errors import OptimizationError
from sensors.counts import UnbalancedError
from tests.stepfunctions.graphs import Graph, graphs

BASES = (CompactionError, OptimizationError)
FOREIGN = ("States.", "Lambda.", "StepFunctions.")


def raised() -> set[str]:
    """Names of the errors that the functions of the machines raise on purpose."""
    declared = {
        name
        for module in (compaction.errors, optimization.errors, reprocessing.errors)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, BASES) and kind not in BASES
    }
    return declared | {UnbalancedError.__name__}


def handled(kind: str, places: list[Graph]) -> set[str]:
    """Our errors that the definitions name in `Retry` or `Catch`."""
    return {
        error
        for graph in places
        for state in graph.states.values()
        for rule in state.get(kind, [])
        for error in rule["ErrorEquals"]
        if not error.startswith(FOREIGN)
    }


def ended(places: list[Graph]) -> set[str]:
    """Errors in which the definitions end by themselves."""
    states = [state for graph in places for state in graph.states.values()]
    return {state["Error"] for state in states if state["Type"] == "Fail" and "Error" in state}


def test_there_is_advice_about_every_named_error_and_about_nothing_else() -> None:
    named = handled("Retry", graphs()) | handled("Catch", graphs()) | ended(graphs())

    assert len(named) > 10
    assert set(ADVICE) == named | raised()


@pytest.mark.parametrize("error", sorted(handled("Catch", graphs())))
def test_nobody_is_told_to_redrive_into_a_state_that_ends_the_run(error: str) -> None:
    assert REDRIVE not in ADVICE[error]


@pytest.mark.parametrize("error", sorted(ADVICE))
def test_advice_is_a_sentence(error: str) -> None:
    assert ADVICE[error][0].isupper()
    assert ADVICE[error].endswith(".")
    assert NEW_RUN != REDRIVE
