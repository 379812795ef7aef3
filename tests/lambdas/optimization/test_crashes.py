"""The crash matrix of `optimize`: a failure before and after every side effect of plan, rewriting, commit and upkeep.

The points are the side effects of an undisturbed run, counted: a new one is covered without a change here.
`pytest --collect-only -q` on this file lists them. After each failure the execution is redriven, or another one takes
over, and table, accounting and ledger are those of the undisturbed run.
"""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from compaction.errors import FileMismatch
from compaction.hours import Window
from compaction.ledger import Ledger
from optimization.errors import FilesReplaced
from optimization.manifests import LEDGER_PREFIX, Report
from optimization.reachable import reachable
from tests.faults import (
    Died,
    copy_of,
    dies_after,
    dies_before,
    fail_at,
    label,
    loses_its_answer,
    never_arrives,
    rows_at_every_effect,
)
from tests.lake import AT, ORPHAN_DAYS, Lake, in_memory, reading
from tests.lambdas.optimization import upkeep
from tests.lambdas.optimization.by_hand import live_files
from tests.lambdas.optimization.execution import Execution
from tests.lambdas.optimization.upkeep import DAY, keep_time, strew
from tests.memory_aws import Effects

SMALL_FILES = 5300
"""Bytes of a file in these tests: 240 rows are two tasks, a few are one."""


def begin(lake: Lake, run_id: str) -> Execution:
    return Execution(lake, run_id, SMALL_FILES)


@functools.cache
def disorder() -> Lake:
    """Two days of files that overlap, one day for two tasks, with duplicates; an old snapshot and an old orphan.

    The last run is not in the ledger.
    """
    lake = Lake(aws=in_memory(Effects()))
    with pytest.MonkeyPatch.context() as patch:
        keep_time(lake, patch)
        many = [reading(f"pump-{number:03}", at=AT + number / 10, x=number * 1.1) for number in range(240)]
        lake.put("a", [*many[::2], reading("pump-1", at=AT - 86_400)])
        lake.run("a")
        strew(lake, "data/orphan.parquet")
        lake.s3.now += (ORPHAN_DAYS + 1) * DAY
        lake.put("b", [*many[1::2], *many[:10], reading("pump-0", at=AT - 86_400)])
        lake.run("b")
        lake.put("c", [*many[:5], b"garbage", reading("pump-1", at=AT - 86_400, temperature=9, received_at=AT * 1000)])
        lake.run("c")
        lake.s3.delete_object(Bucket=lake.processed, Key="ledger/runs/c.json")
    return lake


def start(patch: pytest.MonkeyPatch) -> Lake:
    lake = copy_of(disorder())
    keep_time(lake, patch)
    return lake


class Outcome(NamedTuple):
    """What is in the table, how it lies there and what its snapshots count; what ledger and reports say."""

    rows: list[dict[str, Any]]
    files: Counter[tuple[str, int]]
    totals: Counter[str]
    rewritten: Counter[str]
    held: list[str]


def outcome(lake: Lake) -> Outcome:
    entries = [(key.split("/")[-2], len(lake.store.read(key) or b"")) for key in live_files(lake)]
    held = [held.key for held in Ledger(lake.store).held(Window(None, lake.now()))]
    return Outcome(lake.rows(), Counter(entries), totals(lake), rewritten(lake), held)


def totals(lake: Lake) -> Counter[str]:
    """Of the newest snapshot; how many snapshots there are, and how many rows they say to have left out."""
    summaries = [snapshot.summary for snapshot in lake.table().metadata.snapshots if snapshot.summary]
    newest = summaries[-1].additional_properties
    counts = Counter({name: int(value) for name, value in newest.items() if name.startswith("total-")})
    counts["snapshots"] = len(summaries)
    counts["duplicates"] = sum(int(one["sensorkeep.duplicates"] or 0) for one in summaries)
    return counts


def rewritten(lake: Lake) -> Counter[str]:
    """What all runs together have reported."""
    counts: Counter[str] = Counter()
    for key in lake.store.keys(LEDGER_PREFIX):
        report = msgspec.json.decode(lake.store.read(key) or b"", type=Report)
        counts.update(msgspec.to_builtins(report.rewritten) if report.rewritten else {})
    del counts["snapshot_id"]
    return counts


def redriven(execution: Execution) -> None:
    execution.drive()


def taken_over(execution: Execution) -> None:
    """Another execution does what is left; whoever redrives the first one afterwards changes nothing."""
    begin(execution.lake, "another").drive()
    with contextlib.suppress(FilesReplaced, FileMismatch):
        execution.drive()


DISTURBANCES = (
    (dies_before, taken_over),
    (never_arrives, redriven),
    (loses_its_answer, redriven),
)
"""Whoever dies after a side effect leaves what the one leaves who dies before the next."""

STEPS = 5


@functools.cache
def undisturbed() -> tuple[Outcome, list[str], list[Execution]]:
    """What comes of a run that nothing happens to, its side effects, and the run before each step and at the end."""
    with pytest.MonkeyPatch.context() as patch:
        execution = begin(start(patch), "run")
        reached = [saved(execution)]
        for step in range(STEPS):
            execution.drive(step + 1)
            reached.append(saved(execution))
    return outcome(execution.lake), list(execution.lake.s3.effects.names), reached


def saved(execution: Execution) -> Execution:
    """A copy of an execution and its lake, with the side effects that there were."""
    lake = copy_of(execution.lake)
    lake.s3.effects.names += execution.lake.s3.effects.names
    return execution.on(lake)


def resumed(patch: pytest.MonkeyPatch, point: int) -> Execution:
    """The run as it was before the step that has this side effect, or at its end."""
    execution = saved([one for one in undisturbed()[2] if len(one.lake.s3.effects.names) <= point][-1])
    keep_time(execution.lake, patch)
    return execution


def points() -> Iterator[Any]:
    for number, name in enumerate(undisturbed()[1]):
        yield pytest.param(number, id=f"{number} {label(name)}")


def test_the_matrix_has_every_kind_of_side_effect() -> None:
    expected, names, _ = undisturbed()
    kinds = {"groups/", "plan.jsonl", "-rewritten.parquet", "results/00001-001", ".avro", ".metadata.json"}
    kinds |= {"update table", "ledger/runs/", "expired.json", "orphans.jsonl", "delete", "ledger/optimize/", "report"}

    assert not [kind for kind in kinds if not any(kind in name for name in names)]
    assert (len(disorder().rows()), len(expected.rows)) == (253, 242)


@pytest.mark.parametrize("point", list(points()))
def test_a_failure_changes_nothing_of_what_comes_out(monkeypatch: pytest.MonkeyPatch, point: int) -> None:
    expected, names, _ = undisturbed()
    for fault, go_on in DISTURBANCES:
        execution = resumed(monkeypatch, point)
        fail_at(execution.lake, point, fault, execution.drive)

        go_on(execution)

        assert outcome(execution.lake) == expected, f"{names[point]} {fault.__name__}, then {go_on.__name__}"


@pytest.mark.parametrize("go_on", [redriven, taken_over])
def test_a_failure_after_the_last_side_effect_changes_nothing_either(
    monkeypatch: pytest.MonkeyPatch, go_on: Callable[[Execution], None]
) -> None:
    expected, names, _ = undisturbed()
    execution = resumed(monkeypatch, len(names))

    go_on(execution)

    assert outcome(execution.lake) == expected


def test_what_runs_have_left_behind_wherever_they_died_is_swept_up(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, names, _ = undisturbed()
    lake = start(monkeypatch)
    for point in range(len(names)):
        lake.s3.effects.names.clear()
        lake.s3.effects.fault = lambda number, effect, point=point: dies_after(effect) if number == point else effect()
        with contextlib.suppress(Died):
            begin(lake, f"run-{point}").drive()
    lake.s3.effects.fault = None

    left = unnamed(lake)

    lake.s3.now += (ORPHAN_DAYS + 1) * DAY
    begin(lake, "sweeps").drive()

    assert len(left) > len(names)
    assert unnamed(lake).isdisjoint(left)
    assert outcome(lake)[:2] == expected[:2]


def unnamed(lake: Lake) -> set[str]:
    """Files of the table that none of its snapshots names."""
    named = reachable(lake.table())
    return {key for key in upkeep.files(lake) if f"s3://{lake.processed}/{key}" not in named}


def test_a_reader_sees_the_table_before_or_after_whenever_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = start(monkeypatch)
    before = lake.rows()
    seen = rows_at_every_effect(lake, begin(lake, "run").drive)

    after = lake.rows()
    assert len(after) < len(before)
    assert [rows for rows in seen if rows not in (before, after)] == []
