"""What Step Functions and the settings allow a reprocessing: length of its history, and time."""

import json
from typing import Any

import pytest

from config.sections import Optimization, Reprocessing
from config.storage import ProcessedBucket
from optimization import surveying
from reprocessing.plan.frozen import MOST_LOOKS, WAIT_S
from templates.shared.state_machines import DEFINITIONS
from tests.stepfunctions.test_graph import TASK_S

LONGEST_HISTORY = 5_000
"""Events that a reprocessing may have."""

MOST_EVENTS = 25_000
"""Events that Step Functions allows (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html)."""

DAY_S = 86_400
MAP_EVENTS = 6
"""Of a map that reads its items from S3: the state entered, started, succeeded and exited, its run begun and ended."""

LOOK = ("Restore Frozen Objects", "All Restored?", "Wait For Restored Copies", "Count Looks")
MERGE = (
    "Plan Merge",
    "Anything To Merge?",
    "Merge All Readings",
    "Commit Reprocessing",
    "Merge Again?",
    "Count Merges",
)

CALL = ("Write Hot Table", "All Written?", "Count Calls")

State = dict[str, Any]


@pytest.fixture(scope="module")
def machine() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEFINITIONS / "reprocess.asl.json").read_text(encoding="utf-8"))
    return found


def most(state: State, variable: str) -> int:
    """The number that a choice compares a counter with."""
    (number,) = (
        rule[operator]
        for rule in state["Choices"]
        for operator in rule
        if rule.get("Variable") == variable and operator.startswith("Numeric")
    )
    return int(number)


def events(state: State) -> int:
    """Events of one visit to a state whose every try but the last fails."""
    if state["Type"] == "Map":
        return MAP_EVENTS
    tries = 1 + sum(retry["MaxAttempts"] for retry in state.get("Retry", [])) if state["Type"] == "Task" else 0
    return 2 + 3 * tries  # entered, exited; scheduled, started and ended


def test_the_history_has_room_for_every_look_and_every_merge_with_all_their_retries(machine: dict[str, Any]) -> None:
    states = machine["States"]
    looks, merges = most(states["All Restored?"], "$.looks.taken"), most(states["Merge Again?"], "$.attempt.number")
    times = dict.fromkeys(states, 1) | dict.fromkeys(LOOK, looks) | dict.fromkeys(MERGE, merges)

    assert sum(times[name] * events(state) for name, state in states.items()) < LONGEST_HISTORY


def test_the_history_of_a_task_of_the_hot_table_has_room_for_all_its_calls(machine: dict[str, Any]) -> None:
    states = machine["States"]["Write All To Hot Table"]["ItemProcessor"]["States"]
    calls = most(states["All Written?"], "$.calls.made")

    assert calls * states["Write Hot Table"]["TimeoutSeconds"] >= machine["TimeoutSeconds"], "time ends it before"
    assert calls * sum(2 + 3 * (states[name]["Type"] == "Task") for name in CALL) < MOST_EVENTS / 2


def test_a_run_has_time_for_the_slowest_restore_the_largest_plan_and_five_merges_and_half_of_it_for_the_hot_table(
    machine: dict[str, Any],
) -> None:
    merges = most(machine["States"]["Merge Again?"], "$.attempt.number")
    map_s = surveying.MAX_TASKS / Reprocessing().concurrency * TASK_S
    before = MOST_LOOKS * max(WAIT_S.values()) + (1 + merges) * map_s

    assert before * 1.5 <= machine["TimeoutSeconds"]


def test_looks_at_what_is_restored_end_when_the_function_gives_up_rather_than_the_machine(
    machine: dict[str, Any],
) -> None:
    assert most(machine["States"]["All Restored?"], "$.looks.taken") > MOST_LOOKS


def test_a_run_is_over_before_its_staged_files_expire_and_its_files_may_be_taken_for_orphans(
    machine: dict[str, Any],
) -> None:
    days = machine["TimeoutSeconds"] / DAY_S

    assert days < ProcessedBucket.model_fields["staging_days"].default
    assert days < Optimization().orphan_days
