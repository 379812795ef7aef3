"""Advice about the errors of the state machines."""

import importlib

import pytest

from compaction.errors import CompactionError
from ops.advice import ADVICE, NEW_RUN, REDRIVE
from sensors.counts import UnbalancedError
from tests.stepfunctions.graphs import Graph, graphs

FOREIGN = ("States.", "Lambda.")


def raised() -> set[str]:
    """Names of the errors that the functions of the machines raise on purpose."""
    importlib.import_module("optimization")
    return {UnbalancedError.__name__, *(kind.__name__ for kind in _below(CompactionError))}


def _below(kind: type[Exception]) -> set[type[Exception]]:
    return {each for child in kind.__subclasses__() for each in {child, *_below(child)}}


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


def test_there_is_advice_about_every_named_error_and_about_nothing_else() -> None:
    named = handled("Retry", graphs()) | handled("Catch", graphs())

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
