"""The crash matrix: a failure before and after every side effect of plan, worker, commit and ledger.

The points are the side effects of an undisturbed run, counted: a new one is covered without a change here.
`pytest --collect-only -q` on this file lists them. After each failure the run is driven on, or another run takes over,
and table, quarantine and ledger are those of the undisturbed run.
"""

import functools
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from compaction import errors
from compaction.hours import Window
from compaction.ledger import Ledger
from tests.faults import (
    copy_of,
    dies_after,
    dies_before,
    fail_at,
    label,
    loses_its_answer,
    never_arrives,
    rows_at_every_effect,
)
from tests.lake import AT, HOUR, Lake, in_memory, reading
from tests.memory_aws import Effects


def first_run() -> Lake:
    """Two arrival hours in two tasks: rows, a duplicate, garbage; there is no table yet."""
    lake = Lake(aws=in_memory(Effects()))
    lake.put("a", [reading(), reading(), b"garbage", reading(at=AT - 86_400)])
    lake.put("b", [reading("pump-2")], HOUR + timedelta(hours=1))
    return lake


def run_after_a_crash() -> Lake:
    """The run before has reached the table, and neither the ledger nor its report."""
    lake = first_run()
    lake.run("before", task_bytes=1)
    objects = lake.s3.buckets[lake.processed]
    for key in [key for key in objects if key.startswith("ledger/") or key.endswith("report.json")]:
        del objects[key]
    lake.put("late", [reading("pump-3", humidity=4)], HOUR - timedelta(days=40))
    lake.metrics = (*lake.metrics, "humidity")
    return lake


def run_over_garbage() -> Lake:
    """Nothing of what the run takes up becomes a row."""
    lake = first_run()
    lake.run("before", task_bytes=1)
    lake.put("garbage", [b"{", b"["])
    return lake


SCENES = (first_run, run_after_a_crash, run_over_garbage)
Scene = Callable[[], Lake]


@functools.cache
def built(scene: Scene) -> Lake:
    return scene()


def start(scene: Scene) -> Lake:
    return copy_of(built(scene))


class Outcome(NamedTuple):
    """What is in the table, in quarantine (each position once), in the ledger, and what the snapshots count."""

    rows: list[dict[str, Any]]
    quarantined: dict[str, str]
    held: list[str]
    counts: Counter[str]


def outcome(lake: Lake) -> Outcome:
    held = [held.key for held in Ledger(lake.store).held(Window(None, HOUR + timedelta(days=1)))]
    return Outcome(lake.rows(), quarantined(lake), held, counted(lake))


def quarantined(lake: Lake) -> dict[str, str]:
    bodies = [gzip.decompress(lake.store.read(key) or b"") for key in lake.store.keys("quarantine/")]
    lines = [json.loads(line) for body in bodies for line in body.splitlines()]
    return {line["position"]: line["payload_b64"] for line in lines}


def counted(lake: Lake) -> Counter[str]:
    counts: Counter[str] = Counter()
    for snapshot in lake.table().metadata.snapshots:
        properties = snapshot.summary.additional_properties if snapshot.summary else {}
        for name in ("objects", "records", "stored", "duplicate", "quarantined"):
            counts[name] += int(properties[f"sensorkeep.{name}"])
    return counts


def drive(lake: Lake, run_id: str = "run") -> None:
    """All steps of a run, as the state machine takes them; done again, they go on where they were."""
    lake.run(run_id, task_bytes=1)


def drive_on(lake: Lake) -> None:
    drive(lake)


def take_over(lake: Lake) -> None:
    """Another run takes what is left; whoever drives the first one on afterwards changes nothing."""
    drive(lake, "another")
    try:
        drive(lake)
    except errors.ObjectsAlreadyCommitted:
        assert "run" not in {held.run_id for held in Ledger(lake.store).held(Window(None, HOUR + timedelta(days=1)))}


DISTURBANCES = (
    (dies_before, take_over),
    (dies_after, take_over),
    (never_arrives, drive_on),
    (loses_its_answer, drive_on),
)


@functools.cache
def undisturbed(scene: Scene) -> tuple[Outcome, list[str]]:
    """What comes of a run that nothing happens to, and its side effects."""
    lake = start(scene)
    drive(lake)
    return outcome(lake), list(lake.s3.effects.names)


def points() -> Iterator[Any]:
    for scene in SCENES:
        for number, name in enumerate(undisturbed(scene)[1]):
            yield pytest.param(scene, number, id=f"{scene.__name__}: {number} {label(name)}")


def test_the_matrix_has_every_kind_of_side_effect() -> None:
    names = [name for scene in SCENES for name in undisturbed(scene)[1]]
    kinds = {"plan.jsonl", "results/", ".parquet", "quarantine/", "ledger/year", "ledger/runs", "report.json"}
    kinds |= {".avro", ".metadata.json", "create table", "update table"}

    assert not [kind for kind in kinds if not any(kind in name for name in names)]
    assert not [name for name in names if name.startswith("delete")]


@pytest.mark.parametrize(("scene", "point"), list(points()))
def test_a_failure_changes_nothing_of_what_comes_out(scene: Scene, point: int) -> None:
    expected, names = undisturbed(scene)
    for fault, go_on in DISTURBANCES:
        lake = start(scene)
        fail_at(lake, point, fault, functools.partial(drive, lake))

        go_on(lake)

        assert outcome(lake) == expected, f"{names[point]} {fault.__name__}, then {go_on.__name__}"
        assert lake.plan("afterwards")["tasks"] == 0


def test_a_reader_sees_a_run_whole_or_not_at_all_whenever_it_looks() -> None:
    lake = start(run_after_a_crash)
    before = lake.rows()
    seen = rows_at_every_effect(lake, functools.partial(drive, lake))

    after = lake.rows()
    assert len(after) > len(before)
    assert [rows for rows in seen if rows not in (before, after)] == []
