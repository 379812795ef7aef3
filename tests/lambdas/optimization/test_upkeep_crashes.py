"""The crash matrix of expiry and sweep: a failure before and after every side effect, and others at work just then.

The points are the side effects of an undisturbed run, counted: a new one is covered without a change here.
"""

import functools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from compaction.hours import Window
from compaction.ledger import Ledger
from optimization import sweeping
from optimization.manifests import ledger_key, report_key
from tests.faults import (
    copy_of,
    dies_after,
    dies_before,
    fail_at,
    is_refused_for_now,
    label,
    loses_its_answer,
    never_arrives,
    rows_at_every_effect,
)
from tests.lake import AT, HOUR, ORPHAN_DAYS, Lake, in_memory, reading
from tests.lambdas.optimization.upkeep import DAY, expirer, files, grow, ids, keep_time, strew, sweeper
from tests.memory_aws import Effect, Effects

NEW = reading("pump-9", at=AT + 99)


DISTURBANCES = (
    (dies_before, ("another", "upkeep")),
    (dies_after, ("another", "upkeep")),
    (dies_after, ("upkeep",)),
    (never_arrives, ("upkeep",)),
    (loses_its_answer, ("upkeep",)),
    (is_refused_for_now, ("upkeep",)),
)


@functools.cache
def built() -> Lake:
    """Three runs, the last not in the ledger; orphans for two requests; a run that is staged."""
    lake = Lake(aws=in_memory(Effects()))
    with pytest.MonkeyPatch.context() as patch:
        keep_time(lake, patch)
        grow(lake, 0, 1, 2)
        lake.table().delete(f"measured_at = '{lake.rows()[0]['measured_at'].isoformat()}'")
        strew(lake, "data/a", "data/b", "metadata/c")
        lake.s3.now += (ORPHAN_DAYS + 1) * DAY
        lake.put("new", [NEW])
        lake.plan("new")
        lake.write("new")
        lake.s3.delete_object(Bucket=lake.processed, Key="ledger/runs/run-2.json")
    return lake


def start() -> Lake:
    return copy_of(built())


@pytest.fixture(autouse=True)
def small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 2)


def drive(lake: Lake, run_id: str = "upkeep") -> None:
    """Both steps, as the state machine takes them; done again, they go on where they were."""
    expired = expirer(lake).expire(run_id)
    sweeper(lake).close(run_id, None, expired)


class Outcome(NamedTuple):
    """What is in the table and in its place, but for the metadata of attempts; what the ledger knows."""

    rows: list[dict[str, Any]]
    snapshots: list[int]
    files: set[str]
    held: list[str]


def outcome(lake: Lake) -> Outcome:
    held = [held.key for held in Ledger(lake.store).held(Window(None, HOUR + 9 * DAY))]
    kept = {key for key in files(lake) if not key.endswith(".metadata.json")}
    return Outcome(lake.rows(), ids(lake), kept, held)


def said(lake: Lake) -> dict[str, Any]:
    """The report, which is the ledger's line; how much is too young to be deleted depends on the attempts."""
    body = lake.store.read(report_key("upkeep")) or b""
    assert lake.store.read(ledger_key("upkeep")) == body
    report: dict[str, Any] = json.loads(body)
    del report["swept"]["waiting_files"], report["swept"]["waiting_bytes"]
    return report


@functools.cache
def undisturbed() -> tuple[Outcome, dict[str, Any], tuple[str, ...]]:
    """What comes of a run that nothing happens to, and its side effects."""
    lake = start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping, "BATCH", 2)
        drive(lake)
    return outcome(lake), said(lake), tuple(lake.s3.effects.names)


def points() -> Iterator[Any]:
    for number, name in enumerate(undisturbed()[2]):
        yield pytest.param(number, id=f"{number} {label(name)}")


def test_the_matrix_has_every_kind_of_side_effect() -> None:
    expected, report, names = undisturbed()
    kinds = {"ledger/runs/run-2", "expired.json", ".metadata.json", "update table", "orphans.jsonl", "delete 2"}
    kinds |= {"delete 1", "ledger/optimize", "report.json"}

    assert [kind for kind in kinds if not any(kind in name for name in names)] == []
    assert (report["expired"], report["swept"]["files"]) == ({"expired": 2, "kept": 2}, 5)
    assert len(expected.rows) == 2


@pytest.mark.parametrize("point", list(points()))
def test_a_failure_changes_nothing_of_what_comes_out(point: int) -> None:
    expected, report, names = undisturbed()
    for fault, run_ids in DISTURBANCES:
        lake = start()
        fail_at(lake, point, fault, functools.partial(drive, lake))

        for run_id in run_ids:
            drive(lake, run_id)

        assert outcome(lake) == expected, f"{names[point]} {fault.__name__}, then {run_ids}"
        assert "another" in run_ids or said(lake) == report, f"{names[point]} {fault.__name__}"


@pytest.mark.parametrize("point", list(points()))
def test_a_run_that_commits_at_that_moment_is_in_the_table_with_all_its_files(point: int) -> None:
    lake = start()
    rows = lake.rows()

    def commit(number: int, effect: Effect) -> Any:
        if number == point:
            lake.s3.effects.fault = None
            lake.commit("new")
        return effect()

    lake.s3.effects.fault = commit
    drive(lake)

    assert len(lake.rows()) == len(rows) + 1
    assert lake.run("afterwards") is None
    lake.s3.now += 2 * DAY
    drive(lake, "tomorrow")
    assert len(lake.rows()) == len(rows) + 1


def test_a_reader_sees_the_same_rows_all_the_time() -> None:
    lake = start()
    before = lake.rows()
    seen = rows_at_every_effect(lake, lambda: drive(lake))

    assert len(seen) >= 9
    assert [rows for rows in seen if rows != before] == []
