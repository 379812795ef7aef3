"""The crash matrix of commit and undo: a failure at every side effect, then the step once more: as if nothing had been.

The points are the side effects of an undisturbed run, counted: a new one is covered without a change here.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from reprocessing.manifests import Committed, LedgerEntry, Undone, committed_key, ledger_key, undone_key
from sensors.settings import Limits
from tests.faults import (
    copy_of,
    dies_before,
    fail_at,
    label,
    loses_its_answer,
    rows_at_every_effect,
)
from tests.lake import AT, Lake, in_memory, reading
from tests.lambdas.optimization.by_hand import live_files
from tests.lambdas.reprocessing.harness import EVERYTHING, Reprocessing, request
from tests.memory_aws import Effects

FAULTS = (dies_before, loses_its_answer)
KINDS = ("archive", "quarantine")
STEPS = ("commit", "undo")


@functools.cache
def ready(kind: str, step: str) -> Reprocessing:
    """A run over the archive, or over the quarantine, before the step."""
    if step == "undo":
        run = ready(kind, "commit")
        run = run.on(copy_of(run.lake))
        run.commit()
        return run
    lake = Lake(aws=in_memory(Effects()))
    ahead = reading("pump-9", temperature=9.0, received_at=(AT - 3600) * 1000)
    for name in ("a", "b"):
        lake.put(name, [reading("pump-1"), ahead, b"garbage"])
        lake.run(name)
    asked = request(EVERYTHING, source=kind)
    return Reprocessing(lake, asked=asked, limits=Limits(future_tolerance_s=7200)).prepare()


def take(run: Reprocessing, step: str) -> None:
    if step == "commit":
        run.commit()
    else:
        run.undo()


class Outcome(NamedTuple):
    """What is in the table, by which files; how many snapshots it took; what quarantine, ledger and run say."""

    rows: list[dict[str, Any]]
    files: list[str]
    snapshots: int
    books: dict[str, bytes | None]
    said: list[Any]


def outcome(lake: Lake) -> Outcome:
    prefixes = ("quarantine/", "ledger/quarantine/", "ledger/reprocess/claims/")
    books = {key: lake.store.read(key) for prefix in prefixes for key in lake.store.keys(prefix)}
    kinds = {committed_key("run"): Committed, undone_key("run"): Undone, ledger_key("run"): LedgerEntry}
    said = [_said(lake, key, kind) for key, kind in kinds.items()]
    return Outcome(lake.rows(), live_files(lake), len(lake.table().metadata.snapshots), books, said)


def _said(lake: Lake, key: str, kind: Any) -> Any:
    """A manifest without the ids of snapshots, which are left to chance."""
    body = lake.store.read(key)
    if body is None:
        return None
    said = msgspec.to_builtins(msgspec.json.decode(body, type=kind))
    for held in (said, said.get("undone") or {}):
        for name in ("snapshot_id", "snapshot_before"):
            held.pop(name, None)
    return said


@functools.cache
def undisturbed(kind: str, step: str) -> tuple[Outcome, tuple[str, ...]]:
    """What comes of a step that nothing happens to, and its side effects."""
    run = ready(kind, step).on(copy_of(ready(kind, step).lake))
    take(run, step)
    return outcome(run.lake), tuple(run.lake.s3.effects.names)


def points() -> Iterator[Any]:
    for kind in KINDS:
        for step in STEPS:
            for number, name in enumerate(undisturbed(kind, step)[1]):
                if kind == "archive" or "ledger/" in name:  # the rest is the same for both
                    yield pytest.param(kind, step, number, id=f"{step} {kind} {number} {label(name)}")


def test_the_matrix_has_every_kind_of_side_effect() -> None:
    names = [name for kind in KINDS for step in STEPS for name in undisturbed(kind, step)[1]]
    kinds = {".avro", ".metadata.json", "update table", "put quarantine/", "put ledger/quarantine/", "committed.json"}
    kinds |= {"put ledger/reprocess/claims", "delete ledger/reprocess/claims", "-undone-", "delete ledger/quarantine/"}
    kinds |= {"delete quarantine/", "put ledger/reprocess/run.json", "undone.json"}

    assert not [kind for kind in kinds if not any(kind in name for name in names)]


@pytest.mark.parametrize(("kind", "step", "point"), list(points()))
def test_a_failure_changes_nothing_of_what_comes_out(kind: str, step: str, point: int) -> None:
    expected, names = undisturbed(kind, step)
    for fault in FAULTS:
        run = ready(kind, step).on(copy_of(ready(kind, step).lake))
        fail_at(run.lake, point, fault, lambda run=run: take(run, step))  # type: ignore[misc]

        take(run, step)

        assert outcome(run.lake) == expected, f"{names[point]} {fault.__name__}"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_sees_the_table_before_or_after_whenever_it_looks(kind: str, step: str) -> None:
    run = ready(kind, step).on(copy_of(ready(kind, step).lake))
    before = run.lake.rows()
    seen = rows_at_every_effect(run.lake, lambda: take(run, step))

    after = run.lake.rows()
    assert after != before
    assert [rows for rows in seen if rows not in (before, after)] == []
