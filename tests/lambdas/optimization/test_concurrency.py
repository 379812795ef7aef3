"""`optimize` beside compaction and beside itself: the other one commits at every call of the catalog."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compaction.hours import Window
from compaction.ledger import Ledger
from optimization.errors import FilesReplaced
from tests.faults import copy_of
from tests.lake import AT, Lake, in_memory, reading
from tests.memory_aws import Effects
from tests.upkeep import Upkeep

Step = Callable[[Lake], object]


@functools.cache
def crowded() -> Lake:
    """Three files with duplicates, and an object that waits to be compacted: one row more, one more duplicate."""
    lake = Lake(aws=in_memory(Effects()))
    for name, records in {
        "a": [reading("pump-1"), reading("pump-3")],
        "b": [reading("pump-2"), reading("pump-1")],
        "c": [reading("pump-1", at=AT + 1), reading("pump-3")],
    }.items():
        lake.put(name, records)
        lake.run(name)
    lake.put("d", [reading("pump-0"), reading("pump-2")])
    return lake


def compact(lake: Lake) -> None:
    lake.run("compact")


def optimize(lake: Lake) -> None:
    Upkeep(lake).run("optimize")


def optimize_too(lake: Lake) -> None:
    Upkeep(lake).run("optimize-too")


def at_call(lake: Lake, point: int, happening: Step, patch: pytest.MonkeyPatch) -> Iterator[int]:
    """Let something happen just before a call of the catalog; the counter of the calls."""
    numbers = itertools.count()

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def make(**request: Any) -> Any:
            if next(numbers) == point:
                happening(lake)
            return call(**request)

        return make

    for name in ("get_table", "update_table"):
        patch.setattr(lake.glue, name, watched(getattr(lake.glue, name)))
    return numbers


def points(step: Step, meanwhile: Step) -> Iterator[Any]:
    """Every call of the catalog that the step makes by itself."""
    lake = copy_of(crowded())
    with pytest.MonkeyPatch.context() as patch:
        numbers = at_call(lake, -1, meanwhile, patch)
        step(lake)
    for point in range(next(numbers)):
        yield pytest.param(step, meanwhile, point, id=f"{meanwhile.__name__} at call {point} of {step.__name__}")


PAIRS = [*points(optimize, compact), *points(compact, optimize), *points(optimize, optimize_too)]


@pytest.mark.parametrize(("step", "meanwhile", "point"), PAIRS)
def test_nothing_is_lost_or_doubled_whoever_commits_meanwhile(
    monkeypatch: pytest.MonkeyPatch, step: Step, meanwhile: Step, point: int
) -> None:
    lake = copy_of(crowded())
    compacts = compact in (step, meanwhile)
    at_call(lake, point, meanwhile, monkeypatch)

    refused = False
    try:
        step(lake)
    except FilesReplaced:
        refused = True

    assert not (refused and compacts), "compaction stands in nobody's way"
    found = [(row["device_id"], row["measured_at"].timestamp()) for row in lake.rows()]
    held = [held.key for held in Ledger(lake.store).held(Window(None, lake.now()))]
    expected = [("pump-1", AT), ("pump-1", AT + 1), ("pump-2", AT), ("pump-3", AT)]
    assert sorted(set(found)) == [("pump-0", AT)] * compacts + expected
    assert len(found) - len(expected) in ((1, 2) if compacts else (0,))  # the waiting duplicate, unless it was seen
    assert len(held) == 3 + compacts

    Upkeep(lake).run("afterwards")
    assert [(row["device_id"], row["measured_at"].timestamp()) for row in lake.rows()] == sorted(set(found))
    assert Upkeep(lake).plan("at the end")["tasks"] == 0


def test_both_kinds_of_calls_of_the_catalog_are_among_the_points() -> None:
    assert len(PAIRS) >= 10
