"""The commit of a reprocessing, and its undo: compaction or `optimize` commits at each call of the catalog."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compaction.hours import Window
from compaction.ledger import Ledger
from optimization.errors import FilesReplaced
from reprocessing.errors import CannotUndo
from sensors.settings import Decoding
from tests.faults import copy_of
from tests.lake import AT, Lake, in_memory, reading
from tests.lambdas.optimization import by_hand
from tests.lambdas.optimization.test_concurrency import at_call
from tests.lambdas.reprocessing.harness import Reprocessing
from tests.memory_aws import Effects
from tests.upkeep import Upkeep

Step = Callable[[Lake], object]

EARLY = Decoding(future_tolerance_s=7200)


@functools.cache
def merged() -> Reprocessing:
    """A run that is merged: of two files with a duplicate, and of a record that is stored now; an object waits."""
    lake = Lake(aws=in_memory(Effects()))
    ahead = reading("pump-9", temperature=9.0, received_at=(AT - 3600) * 1000)
    for name, records in {"a": [reading("pump-1"), ahead], "b": [reading("pump-2"), reading("pump-1")]}.items():
        lake.put(name, records)
        lake.run(name)
    run = Reprocessing(lake, decoding=EARLY).prepare()
    lake.put("c", [reading("pump-0"), reading("pump-2")])
    return run


@functools.cache
def committed() -> Reprocessing:
    run = merged().on(copy_of(merged().lake))
    run.commit()
    return run


def commit(lake: Lake) -> None:
    """The machine's own loop: what was replaced meanwhile is merged anew, and not decoded."""
    run = merged().on(lake)
    try:
        run.commit()
    except FilesReplaced:
        run.merge_and_commit(2)


def undo(lake: Lake) -> None:
    committed().on(lake).undo()


def compact(lake: Lake) -> None:
    lake.run("compact")


def optimize(lake: Lake) -> None:
    Upkeep(lake).run("optimize")


def rewrite(lake: Lake) -> None:
    """What `optimize` does to files that are worth it."""
    by_hand.optimize(lake, "rewrite")


def points(start: Callable[[], Reprocessing], step: Step, meanwhile: Step) -> Iterator[Any]:
    """Every call of the catalog that the step makes by itself."""
    lake = copy_of(start().lake)
    with pytest.MonkeyPatch.context() as patch:
        numbers = at_call(lake, -1, meanwhile, patch)
        step(lake)
    for point in range(next(numbers)):
        yield pytest.param(meanwhile, point, id=f"{meanwhile.__name__} at call {point} of {step.__name__}")


COMMITS = [*points(merged, commit, compact), *points(merged, commit, optimize)]
UNDOS = [*points(committed, undo, compact), *points(committed, undo, rewrite)]


def found(lake: Lake) -> list[str]:
    return [row["device_id"] for row in lake.rows()]


@pytest.mark.parametrize(("meanwhile", "point"), COMMITS)
def test_a_commit_keeps_what_others_commit_meanwhile(
    monkeypatch: pytest.MonkeyPatch, meanwhile: Step, point: int
) -> None:
    lake = copy_of(merged().lake)
    at_call(lake, point, meanwhile, monkeypatch)

    commit(lake)

    compacted = ["pump-0"] * (meanwhile is compact)
    assert sorted(set(found(lake))) == [*compacted, "pump-1", "pump-2", "pump-9"]
    assert len(list(Ledger(lake.store).held(Window(None, lake.now())))) == 2 + len(compacted)
    Upkeep(lake).run("afterwards")
    assert found(lake) == [*compacted, "pump-1", "pump-2", "pump-9"]


@pytest.mark.parametrize(("meanwhile", "point"), UNDOS)
def test_an_undo_is_whole_or_refused_whoever_commits_meanwhile(
    monkeypatch: pytest.MonkeyPatch, meanwhile: Step, point: int
) -> None:
    lake = copy_of(committed().lake)
    at_call(lake, point, meanwhile, monkeypatch)

    refused = False
    try:
        undo(lake)
    except CannotUndo:
        refused = True

    compacted = meanwhile is compact and "pump-0" in found(lake)
    assert set(found(lake)) == {"pump-1", "pump-2", *(["pump-0"] * compacted), *(["pump-9"] * refused)}
    assert len(found(lake)) == 3 + 2 * compacted
    assert refused or len(list(lake.store.keys("runs/reprocess/run/undone.json"))) == 1


def test_both_kinds_of_calls_of_the_catalog_are_among_the_points() -> None:
    assert len(COMMITS) >= 6
    assert len(UNDOS) >= 4
