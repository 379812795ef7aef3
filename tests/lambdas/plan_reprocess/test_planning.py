"""The run that a request begins or carries on, and its plan, however often and by however many it is asked for."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from compaction.errors import InvalidInput
from compaction.hours import hour_prefix
from reprocessing.errors import RangeHeld
from reprocessing.keys import (
    STAGING_PREFIX,
    claim_key,
    committed_key,
    plan_key,
    report_key,
)
from reprocessing.manifests import Committed
from reprocessing.plan import drafting
from reprocessing.request import Scope
from reprocessing.snapshots import RUN_ID_PROPERTY
from sensors.settings import Decoding
from tests import faults
from tests.lake import HOUR, Lake, in_memory, reading
from tests.lambdas.plan_reprocess.conftest import DAY_MS, SETTINGS, TODAY, Planning, asked
from tests.lambdas.plan_reprocess.test_finding import arrive
from tests.memory_aws import Effects, MemoryS3, Stored

TOMORROW = Scope(TODAY.end_ms, TODAY.end_ms + DAY_MS)
LOOK = asked(mode="dry_run")


def test_the_answer_has_references_and_counts_only(planning: Planning) -> None:
    arrive(planning.lake, "a")
    planning.lake.run("c")

    answer = planning.answer(asked(targets=("table", "hot")))

    size = planning.tasks()[0].objects[0].bytes
    assert answer == {
        "run_id": "run",
        "mode": "apply",
        "tasks": 1,
        "objects": 1,
        "bytes": size,
        "frozen": 0,
        "frozen_bytes": 0,
        "write_hot": True,
        "plan": {"bucket": planning.lake.processed, "key": "runs/reprocess/run/plan.jsonl"},
    }
    assert planning.answer(LOOK, "look")["write_hot"] is False


def test_a_plan_says_what_it_was_made_of(planning: Planning) -> None:
    arrive(planning.lake, "a")
    planning.lake.run("c")

    plan = planning.plan()

    snapshot = planning.lake.table().current_snapshot()
    assert snapshot is not None
    assert plan.snapshot_id == str(snapshot.snapshot_id)
    assert (plan.request, plan.started_at) == (asked(), "2026-11-21T12:00:00.000Z")
    assert len(plan.rules) == 64


def test_whoever_asks_again_gets_the_first_plan(planning: Planning) -> None:
    arrive(planning.lake, "a")
    planning.lake.run("c")
    first = planning.answer(asked())
    objects = dict(planning.lake.s3.buckets[planning.lake.processed])

    arrive(planning.lake, "b")
    planning.lake.run("d")

    assert planning.answer(asked()) == first
    assert planning.names() == ["a"]
    changed = {
        key for key, stored in planning.lake.s3.buckets[planning.lake.processed].items() if objects.get(key) != stored
    }
    assert not [key for key in changed if key.startswith(("runs/reprocess/", "ledger/reprocess/"))]


def test_of_two_that_plan_a_run_at_once_both_get_the_same(planning: Planning) -> None:
    """The second begins and ends while the first is about to write down that it was first, and has seen more."""
    lake = planning.lake
    arrive(lake, "a")
    lake.run("c")
    answers: list[dict[str, Any]] = []

    def overtaken(_: int, effect: faults.Effect) -> Any:
        if lake.s3.effects.names[-1] == f"put {plan_key('run')}":
            lake.s3.effects.fault = None
            arrive(lake, "b")
            lake.run("d")
            answers.append(planning.answer(asked()))
        return effect()

    lake.s3.effects.fault = overtaken
    answers.append(planning.answer(asked()))

    assert answers[0] == answers[1]
    assert planning.names() == ["a", "b"]
    assert answers[0]["objects"] == 2


POINTS = ("claim", "tasks", "missing", "frozen", "plan", "copy", "copy", "copy", "execution", "marker")


@pytest.mark.parametrize("fault", [faults.dies_before, faults.loses_its_answer], ids=lambda one: one.__name__)
@pytest.mark.parametrize("point", range(len(POINTS)))
def test_wherever_planning_breaks_off_it_is_whole_when_it_is_done_again(point: int, fault: faults.Fault) -> None:
    planning = Planning(Lake(aws=in_memory(Effects())))
    lake = planning.lake
    frozen, gone = arrive(lake, "a"), arrive(lake, "gone", device="fan-1")
    lake.run("c")
    lake.s3.freeze(lake.raw, frozen)
    lake.s3.delete_object(Bucket=lake.raw, Key=gone)
    lake.s3.effects.names.clear()

    faults.fail_at(lake, point, fault, lambda: planning.answer(asked()))
    arrive(lake, "b", device="fan-2")
    lake.run("d")
    answer = planning.answer(asked())

    plan = planning.plan()
    assert answer["objects"] == plan.objects == sum(len(task.objects) for task in planning.tasks())
    assert len(planning.missing()) == plan.missing == 1
    assert len(planning.frozen()) == plan.frozen == 1
    assert planning.names() in (["a"], ["a", "b"])
    assert planning.answer(asked()) == answer


def test_the_crash_points_are_all_that_planning_writes(planning: Planning) -> None:
    arrive(planning.lake, "a")
    planning.lake.run("c")
    planning.lake.s3.effects.names.clear()

    planning.answer(asked())

    assert len(planning.lake.s3.effects.names) == len(POINTS)


def finish(lake: Lake, run_id: str) -> None:
    lake.store.write(report_key(run_id), b"{}")


def test_the_same_request_carries_an_unfinished_run_on_whoever_asks_and_why(planning: Planning) -> None:
    planning.answer(asked(note="once", by="ann"))
    planning.states.set("run", "ABORTED")

    answer = planning.answer(asked(note="again", by="bob"), "second")

    assert answer["run_id"] == "run"
    assert planning.answer(asked(note="again", by="bob"), "second") == answer
    assert planning.lake.store.read(claim_key("second")) is not None
    assert planning.lake.store.read(claim_key("run")) is None


@pytest.mark.parametrize(
    "other",
    [
        asked(TOMORROW),
        asked(Scope(TODAY.start_ms, TODAY.end_ms, ("pump-1",))),
        asked(targets=("hot",)),
        asked(mode="dry_run"),
        asked(allow_fewer=True),
        asked(max_rate=1),
        asked(fresh=True),
    ],
)
def test_another_request_begins_another_run(planning: Planning, other: Any) -> None:
    planning.answer(asked())
    planning.states.set("run", "ABORTED")

    assert planning.answer(other, "second")["run_id"] == "second"


def test_what_has_begun_anew_is_carried_on_by_the_next(planning: Planning) -> None:
    planning.answer(LOOK)
    fresh = msgspec.structs.replace(LOOK, fresh=True)

    assert planning.answer(fresh, "second")["run_id"] == "second"
    assert planning.answer(fresh, "second")["run_id"] == "second"
    assert planning.answer(LOOK, "third")["run_id"] == "second"


def test_a_finished_run_is_not_carried_on(planning: Planning) -> None:
    planning.answer(LOOK)
    finish(planning.lake, "run")

    assert planning.answer(LOOK, "second")["run_id"] == "second"
    assert planning.answer(LOOK, "third")["run_id"] == "second"


def test_a_published_run_is_carried_on_unless_a_rollback_took_its_snapshot_out(planning: Planning) -> None:
    lake = planning.lake
    lake.put("a", [reading("pump-1")])
    lake.run("compaction")
    before = lake.table().metadata.current_snapshot_id
    planning.answer(asked())
    planning.states.set("run", "FAILED")
    snapshot_id = lake.lake_table().extend(lake.table(), [], {RUN_ID_PROPERTY: "run"})
    committed = Committed("run", "01", str(before), str(snapshot_id), 0, 0, 0, 0, {})
    lake.store.write(committed_key("run"), msgspec.json.encode(committed))

    assert planning.answer(asked(), "second")["run_id"] == "run"

    planning.states.set("second", "FAILED")
    lake.table().manage_snapshots().rollback_to_snapshot(before).commit()
    assert planning.answer(asked(), "third")["run_id"] == "third"


def test_by_other_rules_another_run_begins(planning: Planning) -> None:
    planning.answer(LOOK)
    planning.settings = msgspec.structs.replace(SETTINGS, decoding=Decoding(late_after_h=25))

    assert planning.answer(LOOK, "second")["run_id"] == "second"


def test_a_run_is_too_old_to_be_carried_on_when_its_files_may_be_deleted(planning: Planning) -> None:
    planning.answer(LOOK)
    planning.lake.s3.now += timedelta(days=SETTINGS.optimization.orphan_days - 1)
    assert planning.answer(LOOK, "second")["run_id"] == "run"

    planning.lake.s3.now += timedelta(seconds=1)

    assert planning.answer(LOOK, "third")["run_id"] == "third"


def test_of_runs_that_apply_changes_one_at_a_time_has_a_range(planning: Planning) -> None:
    planning.answer(asked())

    with pytest.raises(RangeHeld, match="Run run has had"):
        planning.answer(asked(), "same")
    with pytest.raises(RangeHeld, match="Run run has had"):
        planning.answer(asked(targets=("hot",)), "overlapping")

    assert list(planning.lake.store.keys("runs/reprocess/same/")) == []
    planning.answer(asked(TOMORROW), "beside")
    planning.answer(LOOK, "look")
    assert planning.lake.store.read(claim_key("look")) is None


@pytest.mark.parametrize("mode", ["dry_run", "backtest"])
def test_without_apply_nothing_is_written_but_what_the_run_is_known_by(planning: Planning, mode: str) -> None:
    arrive(planning.lake, "a")
    planning.lake.run("c")
    planning.lake.s3.effects.names.clear()

    planning.answer(asked(mode=mode, rules={} if mode == "backtest" else None))

    written = {name.removeprefix("put ") for name in planning.lake.s3.effects.names}
    assert {key for key in written if not key.startswith("runs/reprocess/run/")} == {
        key for key in written if key.startswith("runs/reprocess/requests/")
    }
    assert STAGING_PREFIX not in str(written)


@pytest.mark.parametrize("limit", ["MAX_OBJECTS", "MAX_TASKS"])
def test_what_is_too_much_for_one_run_is_refused_with_its_number(
    planning: Planning, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    for hour, minute in itertools.product(range(2), range(3)):
        arrive(planning.lake, f"{minute}", HOUR - timedelta(hours=hour * 24))
    planning.lake.run("c")
    monkeypatch.setattr(drafting, limit, 1)
    scope = Scope(TODAY.start_ms - DAY_MS, TODAY.end_ms)

    with pytest.raises(InvalidInput, match=r"^from: 6 objects make 2 tasks, and a run takes .*Narrow 'from' and 'to'"):
        planning.answer(asked(scope))

    assert planning.lake.store.read(plan_key("run")) is None


class Month(MemoryS3):
    """An archive of many objects, in pages as S3 lists them."""

    def __init__(self, lake: Lake, objects: int) -> None:
        super().__init__(Effects())
        self.page = 1_000
        self.buckets = lake.s3.buckets
        self.asked_for: list[str] = []
        start = datetime(2026, 3, 1, tzinfo=UTC)
        for number in range(objects):
            key = f"{hour_prefix(start + timedelta(hours=number % 720))}archive-{number:06}.gz"
            self.buckets[lake.raw][key] = Stored(b"%09d" % number, {}, self.now)
        self.raw = lake.raw
        lake.s3 = self

    def head_object(self, *, Bucket: str, Key: str, IfMatch: str | None = None) -> dict[str, Any]:  # noqa: N803
        if Bucket == self.raw:
            self.asked_for.append(Key)
        return super().head_object(Bucket=Bucket, Key=Key, IfMatch=IfMatch)


MARCH = Scope(*(int(datetime(2026, month, 1, tzinfo=UTC).timestamp() * 1000) for month in (3, 4)))


def test_of_ten_thousand_frozen_objects_s3_is_asked_for_none(memory_lake: Lake) -> None:
    month = Month(memory_lake, 10_000)
    keys = sorted(month.buckets[month.raw])
    for number, key in enumerate(keys):
        restored = f'ongoing-request="false", expiry-date="{month.now + timedelta(days=7):%a, %d %b %Y %H:%M:%S GMT}"'
        month.freeze(month.raw, key, restore=restored if number % 10 == 0 else "")
    planning = Planning(memory_lake)

    plan = planning.plan(asked(MARCH, targets=("hot",)))

    assert (plan.objects, plan.frozen, month.asked_for) == (10_000, 9_000, [])


def test_of_a_hundred_thousand_objects_each_is_planned_once_and_the_answer_stays_small(memory_lake: Lake) -> None:
    s3 = Month(memory_lake, 100_000)
    planning = Planning(memory_lake)

    answer = planning.answer(asked(MARCH, mode="dry_run", targets=("table", "hot")))

    tasks = planning.tasks()
    planned = [item.key for task in tasks for item in task.objects]
    assert len(planned) == len(set(planned)) == 100_000
    assert set(planned) == set(s3.buckets[memory_lake.raw])
    assert (answer["objects"], answer["tasks"]) == (100_000, len(tasks))
    assert max(len(task.objects) for task in tasks) <= 500
    fewer = planning.answer(
        asked(Scope(MARCH.start_ms, MARCH.start_ms + 1), mode="dry_run", targets=("table", "hot")), "b"
    )
    assert len(json.dumps(answer)) - len(json.dumps(fewer)) < 20
    assert len(json.dumps(answer)) < 1_000
