"""Runs over one range are undone one after the other, the newest first: what an undo puts back is as old as it was."""

import functools
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from optimization.reachable import reachable
from reprocessing.errors import CannotUndo
from reprocessing.request import Scope
from reprocessing.scope import has_device
from sensors.settings import Metric
from tests.faults import copy_of
from tests.lake import AT, HOUR, Lake, in_memory, reading
from tests.lambdas.optimization import others
from tests.lambdas.optimization.by_hand import live_files
from tests.lambdas.optimization.upkeep import expirer, sweeper
from tests.lambdas.reprocessing.harness import EVERYTHING, TODAY, Reprocessing, request
from tests.lambdas.reprocessing.system import Key, System, readings
from tests.memory_aws import Effects, MemoryStates


@functools.cache
def _filled() -> Lake:
    """Two files of today, one of them with another device alone, and one of yesterday."""
    lake = Lake(aws=in_memory(Effects()))
    put(lake, 1.0)
    lake.put("b", [reading("pump-3"), reading("pump-4", at=AT - 86_400)])
    lake.run("compaction", task_bytes=1)
    return lake


def put(lake: Lake, temperature: float) -> None:
    """Have the archive say something else."""
    lake.put("a", [reading("pump-1", temperature=temperature), reading("pump-2", temperature=temperature)])


class Runs:
    """A lake, its applied runs, and what the table had before each."""

    def __init__(self) -> None:
        self.lake = copy_of(_filled())
        self.states = MemoryStates()
        self.runs: list[Reprocessing] = []
        self.before: list[list[dict[str, Any]]] = []
        self._undos = 0

    def apply(self, temperature: float, scope: Scope = TODAY) -> None:
        put(self.lake, temperature)
        self.before.append(self.lake.rows())
        self.runs.append(Reprocessing(self.lake, f"run-{len(self.runs)}", request(scope), states=self.states))
        assert self.runs[-1].whole().snapshot_id is not None

    def undo(self, number: int) -> None:
        self._undos += 1
        self.runs[number].undo(f"undo-{self._undos}")

    def taken_back(self, number: int) -> bool:
        """Undo a run, and look whether the table has what it had before."""
        self.undo(number)
        return self.lake.rows() == self.before[number]


@pytest.fixture
def runs() -> Runs:
    return Runs()


def test_three_runs_are_undone_one_after_the_other(runs: Runs) -> None:
    for temperature in (2.0, 3.0, 4.0):
        runs.apply(temperature)

    assert [runs.taken_back(number) for number in (2, 1, 0)] == [True, True, True]


def test_a_run_over_what_an_undo_has_put_back_is_undone_too_and_then_the_first(runs: Runs) -> None:
    runs.apply(2.0)
    runs.apply(3.0)
    assert runs.taken_back(1)
    runs.apply(4.0)
    runs.apply(5.0)

    assert [runs.taken_back(number) for number in (3, 2, 0)] == [True, True, True]


def test_after_all_was_undone_runs_and_undos_go_on(runs: Runs) -> None:
    runs.apply(2.0)
    runs.apply(3.0)
    runs.undo(1)
    runs.undo(0)
    runs.apply(4.0)
    runs.apply(5.0)

    assert [runs.taken_back(number) for number in (3, 2)] == [True, True]


def test_the_older_of_two_runs_says_which_is_to_be_undone_first(runs: Runs) -> None:
    runs.apply(2.0)
    runs.apply(3.0)
    rows = runs.lake.rows()

    with pytest.raises(
        CannotUndo, match=r"Run run-1 of reprocess .* Undo run run-1 first, then this one\. Or, to have"
    ):
        runs.undo(0)
    assert runs.lake.rows() == rows


def test_a_file_that_the_older_run_has_left_may_have_been_replaced_and_put_back_since(runs: Runs) -> None:
    runs.apply(2.0, replace(TODAY, devices=("pump-1",)))
    runs.apply(3.0)

    assert [runs.taken_back(number) for number in (1, 0)] == [True, True]


def test_what_was_compacted_between_the_runs_stays_in_the_way_of_the_older(runs: Runs) -> None:
    runs.apply(2.0)
    runs.lake.put("c", [reading("pump-2", at=AT + 1)], HOUR)
    runs.lake.run("next")
    runs.apply(3.0)
    assert runs.taken_back(1)

    with pytest.raises(CannotUndo, match=r"has since added rows to the range of run run-0.*-undone-"):
        runs.undo(0)
    assert runs.lake.rows() == runs.before[1]


def test_rows_that_were_deleted_from_what_an_undo_has_put_back_do_not_come_back(runs: Runs) -> None:
    runs.apply(2.0)
    runs.apply(3.0)
    runs.undo(1)
    (key,) = [key for key in live_files(runs.lake) if "run-1-undone" in key]
    others.delete_first_row(runs.lake, key)

    with pytest.raises(CannotUndo, match="Rows were deleted since run run-0"):
        runs.undo(0)


def test_the_upkeep_leaves_what_is_left_after_several_undos(runs: Runs) -> None:
    runs.apply(2.0)
    runs.apply(3.0)
    runs.undo(1)
    runs.undo(0)
    lake = runs.lake

    lake.s3.now += timedelta(days=60)
    expired = expirer(lake, keep_days=0).expire("upkeep")
    sweeper(lake).close("upkeep", None, expired)

    assert lake.rows() == runs.before[0]
    named = reachable(lake.table())
    assert all(f"s3://{lake.processed}/{key}" in named for key in live_files(lake))


SENT = [[("a", AT), ("b", AT)], [("a", AT + 1), ("b", AT - 86_400)], [("a", AT), ("b", AT + 1)], [("b", AT - 3600)]]
"""What devices measure when, object by object; one of it twice."""

scopes = st.sampled_from(
    [
        EVERYTHING,
        TODAY,
        replace(TODAY, devices=("a",)),
        Scope(AT * 1000, AT * 1000 + 1),
        Scope(AT * 1000 + 1, (AT + 7200) * 1000, ("b",)),
        Scope((AT - 90_000) * 1000, (AT - 80_000) * 1000),
    ]
)
steps = st.lists(st.tuples(st.sampled_from([1.0, 2.0, 3.0]), scopes) | st.just("undo the newest"), max_size=6)


@settings(deadline=None, max_examples=5)
@given(st.sampled_from(["day", "hour"]), steps)
def test_each_undo_of_the_newest_run_brings_back_the_values_from_before_it(partition_by: str, taken: list[Any]) -> None:
    system = System(partition_by, {"temperature": Metric("°C")})
    for number, keys in enumerate(SENT):
        system.archive([reading(device, at=at, temperature=1.0, received_at=AT * 1000 + number) for device, at in keys])
    system.compact(task_bytes=1)
    held = {(device, at * 1000): 1.0 for keys in SENT for device, at in keys}
    applied: list[tuple[Reprocessing, dict[Key, float]]] = []

    for step in [*taken, *["undo the newest"] * len(taken)]:
        if isinstance(step, tuple):
            scale, scope = step
            system.deploy({"temperature": Metric("°C", scale=scale)})
            run = system.execution(request(scope))
            becomes = {key: scale if is_of(scope, key) else value for key, value in held.items()}
            if run.whole().snapshot_id is not None:
                applied.append((run, held))
            else:
                assert becomes == held
            held = becomes
        elif applied:
            run, held = applied.pop()
            run.undo(f"undo-{run.run_id}")
        found = readings(system.lake)
        assert {key: row["metrics"]["temperature"] for key, row in found.items()} == held


def is_of(scope: Scope, key: Key) -> bool:
    return scope.start_ms <= key[1] < scope.end_ms and has_device(scope, key[0])
