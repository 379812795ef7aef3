"""The crash matrix of `reprocess`: a failure before and after every side effect of whole runs, from plan to report.

The points are the side effects of an undisturbed run, counted: a new one is covered without a change here.
`pytest --collect-only -q` on this file lists them. After each failure the execution is redriven, or a new one with the
same input carries the run on, and table, hot table, quarantine, ledger and report are those of the undisturbed run.
"""

import contextlib
import functools
import gzip
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from compaction.hours import Window
from compaction.ledger import Ledger
from reprocessing.keys import (
    CLAIMS_PREFIX,
    LEDGER_PREFIX,
    RESOLVED_PREFIX,
    RUNS_PREFIX,
    executions_prefix,
)
from tests.faults import Died, dies_after, dies_before, fail_at, label, loses_its_answer, rows_at_every_effect
from tests.lake import Lake
from tests.lambdas.reprocessing import scenes
from tests.lambdas.reprocessing.execution import Execution, Site

Scene = Callable[[], Execution]

SCENES: dict[Scene, str] = {
    scenes.archive: "",
    scenes.drain: "staging/|decoded/|update table|ledger/|committed|hot/|put item|report",
    scenes.fewer: "report",
    scenes.unchanged: "merges/01|committed|report",
    scenes.beside_compact: "merges/01|update table|committed",
    scenes.beside_optimize: "merges/02|update table|committed",
    scenes.undo_archive: "",
    scenes.undo_drain: "ledger/quarantine|undone",
    scenes.undo_older: "update table|undone",
}
"""Which side effects are points, by parts of their names: the others of a scene are those of the first of its kind."""

_OF_ONE_EXECUTION = frozenset(
    {"run_id", "execution", "executions", "started_at", "at", "snapshot_id", "snapshot_before", "merge_id"}
)


class Outcome(NamedTuple):
    """What readers find, by how many snapshots; what was set aside and resolved; what ledgers and reports say."""

    rows: list[dict[str, Any]]
    snapshots: int
    hot: dict[Any, dict[str, Any]]
    quarantined: dict[str, str]
    resolved: set[tuple[str, str]]
    held: list[str]
    claims: list[str]
    said: list[Any]
    alerts: set[str]


def outcome(site: Site) -> Outcome:
    lake = site.lake
    held = [held.key for held in Ledger(lake.store).held(Window(None, lake.now()))]
    said = [*_said(lake, LEDGER_PREFIX, ".json"), *_said(lake, RUNS_PREFIX, "/report.json")]
    return Outcome(
        rows=lake.rows(),
        snapshots=len(lake.table().metadata.snapshots),
        hot={place: _without(item, "processed_at", "reprocessed_by") for place, item in site.hot.items.items()},
        quarantined=quarantined(lake),
        resolved=resolved(lake),
        held=held,
        claims=list(lake.store.keys(CLAIMS_PREFIX)),
        said=[*said, *_said(lake, RUNS_PREFIX, "/undone.json")],
        alerts={message["alert_id"] for message in site.topic.messages},
    )


def quarantined(lake: Lake) -> dict[str, str]:
    """Payloads by position: a position counts once."""
    bodies = [gzip.decompress(lake.store.read(key) or b"") for key in lake.store.keys("quarantine/")]
    lines = [msgspec.json.decode(line) for body in bodies for line in body.splitlines()]
    return {line["position"]: line["payload_b64"] for line in lines}


def resolved(lake: Lake) -> set[tuple[str, str]]:
    """The marked lines, by quarantine object."""
    keys = list(lake.store.keys(RESOLVED_PREFIX))
    return {(key.rpartition("/")[0], msgspec.json.decode(line)) for key in keys for line in lake.store.lines(key) or ()}


def _said(lake: Lake, prefix: str, suffix: str) -> Iterator[Any]:
    """What ledger and manifests say, but for what every execution, or run, has of its own."""
    for key in lake.store.keys(prefix):
        if key.endswith(suffix) and not key.startswith(CLAIMS_PREFIX):
            said = _without(msgspec.json.decode(lake.store.read(key) or b""), *_OF_ONE_EXECUTION)
            yield {name: _without(value, *_OF_ONE_EXECUTION) for name, value in said.items()}


def _without(value: Any, *names: str) -> Any:
    return {name: one for name, one in value.items() if name not in names} if isinstance(value, dict) else value


class Undisturbed(NamedTuple):
    """What comes of a run that nothing happens to, its side effects, and the run before each state and at the end."""

    outcome: Outcome
    names: list[str]
    reached: list[Execution]


@functools.cache
def undisturbed(scene: Scene) -> Undisturbed:
    execution = scene()
    site = execution.site
    site.lake.s3.effects.names.clear()
    reached = []
    while execution.state is not None:
        site.enter(execution.state)
        reached.append(saved(execution))
        execution.step()
    return Undisturbed(outcome(site), list(site.lake.s3.effects.names), [*reached, saved(execution)])


def saved(execution: Execution) -> Execution:
    """A copy of an execution and its site, with the side effects that there were."""
    site = execution.site.copy()
    site.lake.s3.effects.names += execution.site.lake.s3.effects.names
    return execution.on(site)


def resumed(scene: Scene, point: int) -> Execution:
    """The run as it was before the state that has this side effect."""
    return saved([one for one in undisturbed(scene).reached if len(one.site.lake.s3.effects.names) <= point][-1])


def meets(execution: Execution, reached: list[Execution]) -> bool:
    """Take the states that are left, or those until all is as the undisturbed run had it: what follows is the same."""
    while execution.state is not None:
        held = _held(execution.site)
        if any(execution.place == one.place and held == _held(one.site) for one in reached):
            return True
        execution.step()
    return False


def _held(site: Site) -> tuple[Any, ...]:
    """All that an execution can find, but which executions there were, and whose the claims are."""
    processed, archived = (site.lake.s3.buckets[bucket] for bucket in (site.lake.processed, site.lake.raw))
    claims = sum(key.startswith(CLAIMS_PREFIX) for key in processed)
    objects = {key: one for key, one in processed.items() if not _of_an_execution(key)}
    return claims, objects, archived, site.lake.glue.tables, site.hot.items, site.topic.messages, site.meanwhile


def _of_an_execution(key: str) -> bool:
    return key.startswith((CLAIMS_PREFIX, executions_prefix("run")))


def redriven(execution: Execution, reached: list[Execution]) -> bool:
    return meets(execution, reached)


def taken_over(execution: Execution, reached: list[Execution]) -> bool:
    """A new execution goes on with what the dead one has done; whoever redrives that one later changes nothing."""
    execution.site.states.set(execution.name, "ABORTED")
    another = scenes.begin(execution.site, "another", execution)
    if meets(another, reached):
        return True
    if another.run.run_id == execution.run.run_id:
        execution.drive()
    return False


DISTURBANCES = ((dies_before, taken_over), (loses_its_answer, redriven))
"""Whoever dies after a side effect leaves what the one leaves who dies before the next."""


def points() -> Iterator[Any]:
    for scene, wanted in SCENES.items():
        for number, name in enumerate(undisturbed(scene).names):
            if re.search(wanted, name):
                yield pytest.param(scene, number, id=f"{scene.__name__}: {number} {label(name)}")


def test_the_matrix_has_every_kind_of_side_effect() -> None:
    names = [name for scene in SCENES for name in undisturbed(scene).names]
    kinds = {"/drafts/", "plan.json", "requests/", "put ledger/reprocess/claims", "restore ", "restoring.json"}
    kinds |= {"put staging/", "resolved/", "decoded/", "groups/", "merges/01", "merges/02", "-reprocessed.parquet"}
    kinds |= {".avro", ".metadata.json", "update table", "put quarantine/", "put ledger/quarantine/", "committed.json"}
    kinds |= {"put item", "hot/", "publish to ", "report.html", "put ledger/reprocess/run", "report.json"}
    kinds |= {"-undone-", "delete ledger/quarantine/", "delete quarantine/", "undone.json", "delete ledger/reprocess"}

    assert not [kind for kind in kinds if not any(kind in name for name in names)]


def test_the_runs_have_something_to_lose() -> None:
    archive, drain, fewer = (undisturbed(scene).outcome for scene in (scenes.archive, scenes.drain, scenes.fewer))
    compacted, undone = (undisturbed(scene).outcome for scene in (scenes.beside_compact, scenes.undo_archive))
    older, unchanged = (undisturbed(scene).outcome for scene in (scenes.undo_older, scenes.unchanged))

    assert [len(one.rows) for one in (fewer, undone, drain, archive, compacted)] == [6, 6, 7, 7, 8]
    assert (older.rows, unchanged.rows) == (undone.rows, fewer.rows)
    assert [archive.snapshots - one.snapshots for one in (unchanged, undone, older)] == [1, -1, -3]
    assert [len(one.hot) for one in (fewer, drain, archive)] == [0, 4, 7]
    assert [len(one.resolved) for one in (archive, drain)] == [0, 2]
    assert [len(one.quarantined) for one in (undone, archive, drain)] == [2, 3, 4]
    assert [len(one.alerts) for one in (archive, drain)] == [2, 0]
    assert {one["outcome"] for one in fewer.said} == {"refused"}


@pytest.mark.parametrize(("scene", "point"), list(points()))
def test_a_failure_changes_nothing_of_what_comes_out(scene: Scene, point: int) -> None:
    expected, names, reached = undisturbed(scene)
    for fault, go_on in DISTURBANCES:
        execution = resumed(scene, point)
        fail_at(execution.site.lake, point, fault, execution.drive)

        is_met = go_on(execution, reached)

        assert is_met or outcome(execution.site) == expected, f"{names[point]} {fault.__name__}, then {go_on.__name__}"


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene not in (scenes.fewer, scenes.unchanged)])
def test_a_reader_sees_the_table_before_or_after_whenever_it_looks(scene: Scene) -> None:
    execution = resumed(scene, undisturbed(scene).names.index("update table"))
    before = execution.site.lake.rows()

    seen = rows_at_every_effect(execution.site.lake, execution.drive)

    assert [rows for rows, _ in itertools.groupby([before, *seen])] == [before, execution.site.lake.rows()]


@pytest.mark.parametrize("scene", [scenes.archive, scenes.beside_optimize, scenes.undo_archive])
def test_whoever_takes_over_may_die_as_well_each_a_little_later(scene: Scene) -> None:
    execution = resumed(scene, 0)
    site, effects = execution.site, execution.site.lake.s3.effects
    for point in itertools.count():
        effects.names.clear()
        effects.fault = lambda number, effect, point=point: dies_after(effect) if number == point else effect()
        with contextlib.suppress(Died):
            execution.drive()
        if execution.state is None:
            break
        site.states.set(execution.name, "ABORTED")
        execution = scenes.begin(site, f"execution-{point}", execution)

    assert point > 5
    assert outcome(site) == undisturbed(scene).outcome
