"""Which objects a reprocessing takes up, and which it does not."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction.errors import InvalidInput, LedgerIncomplete
from compaction.manifests import plan_key as compact_plan_key
from reprocessing.request import Scope
from reprocessing.scope import has_device
from tests.lake import AT, HOUR, Lake, in_memory, reading
from tests.lambdas.plan_reprocess.conftest import DAY_MS, TODAY, Planning, asked
from tests.lambdas.plan_reprocess.conftest import name as name_of
from tests.memory_aws import Effects

YESTERDAY = Scope(TODAY.start_ms - DAY_MS, TODAY.start_ms)
THREE_DAYS_AGO = Scope(TODAY.start_ms - 3 * DAY_MS, TODAY.start_ms - 2 * DAY_MS)
HOUR_OF_AT = Scope(AT * 1000, AT * 1000 + 3_600_000)
DAY = timedelta(days=1)
HOUR_LONG = timedelta(hours=1)


def arrive(lake: Lake, name: str, hour: datetime = HOUR, *, days_late: float = 0, device: str = "pump-1") -> str:
    """An object of one reading, measured as long before it arrived."""
    return lake.put(name, [reading(device, hour.timestamp() - days_late * 86_400)], hour)


def test_the_plan_covers_the_hours_that_can_hold_the_range(planning: Planning) -> None:
    """A clock may be five minutes ahead, Firehose waits fifteen, and a reading may be 24 hours late."""
    for name, hour in {"before": -2, "ahead": -1, "same": 0, "late": 24, "after": 25}.items():
        arrive(planning.lake, name, HOUR + timedelta(hours=hour))
    planning.lake.run("c", to="2026-11-23T00:00Z")

    plan = planning.plan(asked(HOUR_OF_AT))

    assert planning.names() == ["ahead", "late", "same"]
    assert (plan.objects, plan.outside, plan.missing, plan.waiting) == (3, 0, 0, 0)
    assert plan.bytes == sum(planned.bytes for task in planning.tasks() for planned in task.objects)


def test_an_object_that_a_row_comes_from_is_planned_however_late_it_was(planning: Planning) -> None:
    arrive(planning.lake, "much-later", days_late=3)
    arrive(planning.lake, "neighbour")
    arrive(planning.lake, "in-time", HOUR - 3 * DAY)
    arrive(planning.lake, "much-earlier", HOUR - 6 * DAY, days_late=-0.001)
    planning.lake.run("c")

    plan = planning.plan(asked(THREE_DAYS_AGO))

    assert planning.names() == ["in-time", "much-later"]
    assert (plan.objects, plan.outside) == (2, 1)
    assert planning.names(to_table=False) == []


def test_rows_of_other_devices_and_times_name_no_objects_of_the_plan(planning: Planning) -> None:
    lake = planning.lake
    lake.put("both", [reading("pump-1", AT - 3 * 86_400), reading("fan-1", AT - 3 * 86_400)])
    arrive(lake, "pump", days_late=3)
    arrive(lake, "fan", days_late=3.01, device="fan-1")
    arrive(lake, "another-day", days_late=5, device="fan-1")
    lake.run("c")

    planning.plan(asked(Scope(*(THREE_DAYS_AGO.start_ms, THREE_DAYS_AGO.end_ms), ("fan-*",))))

    assert planning.names() == ["both", "fan"]


def test_objects_that_rows_name_and_the_archive_has_lost_are_written_down(planning: Planning) -> None:
    lake = planning.lake
    gone = [arrive(lake, "inside", device="fan-1"), arrive(lake, "outside", HOUR + 3 * DAY, days_late=3)]
    arrive(lake, "there")
    lake.run("c", to="2026-11-25T00:00Z")
    for key in gone:
        lake.s3.delete_object(Bucket=lake.raw, Key=key)

    plan = planning.plan()

    assert planning.names() == ["there"]
    assert planning.missing() == ["inside", "outside"]
    assert (plan.missing, plan.outside, plan.objects) == (2, 0, 1)


@pytest.mark.parametrize(
    ("changes", "decoded", "to_hot_alone"),
    [
        ({}, ["committed"], []),
        ({"targets": ("table", "hot")}, ["committed", "waiting"], ["waiting"]),
        ({"mode": "backtest"}, ["committed", "waiting"], ["waiting"]),
    ],
)
def test_what_waits_for_compaction_is_for_the_hot_table_alone(
    planning: Planning, changes: dict[str, Any], decoded: list[str], to_hot_alone: list[str]
) -> None:
    arrive(planning.lake, "committed")
    planning.lake.run("c")
    arrive(planning.lake, "waiting")

    plan = planning.plan(asked(**changes))

    assert planning.names() == decoded
    assert planning.names(to_table=False) == to_hot_alone
    assert (plan.waiting, plan.objects) == (1, len(decoded))


def test_before_the_first_compaction_everything_waits(planning: Planning) -> None:
    arrive(planning.lake, "a")

    plan = planning.plan(asked(targets=("hot",)))

    assert planning.names(to_table=False) == ["a"]
    assert plan.snapshot_id is None


def test_an_object_that_the_ledger_does_not_name_yet_is_in_the_table_all_the_same(planning: Planning) -> None:
    """A crash may leave out the lists of the last commit; its rows may be of other times, so that none tells."""
    lake = planning.lake
    arrive(lake, "old", HOUR - timedelta(hours=1))
    lake.run("c")
    arrive(lake, "new", days_late=9)
    lake.run("d")
    for key in [key for key in lake.store.keys("ledger/") if "d.json" in key]:
        lake.s3.delete_object(Bucket=lake.processed, Key=key)
    before = list(lake.store.keys("ledger/"))

    planning.plan(asked(mode="dry_run", targets=("table", "hot")))

    assert planning.names(to_table=True) == ["new", "old"]
    assert list(lake.store.keys("ledger/")) == before
    lake.s3.delete_object(Bucket=lake.processed, Key=compact_plan_key("d"))
    with pytest.raises(LedgerIncomplete, match="Run d is in the table"):
        planning.plan(asked(mode="dry_run", targets=("hot",)), "later")


def test_frozen_objects_are_told_apart_and_restored_copies_are_used(planning: Planning) -> None:
    lake = planning.lake
    keys = {name: arrive(lake, name) for name in ("warm", "glacier", "deep", "restored", "restoring", "instant")}
    keys["outside"] = arrive(lake, "outside", HOUR + 3 * DAY, days_late=3)
    lake.run("c", to="2026-11-25T00:00Z")
    for name in ("glacier", "outside"):
        lake.s3.freeze(lake.raw, keys[name])
    lake.s3.freeze(lake.raw, keys["deep"], "DEEP_ARCHIVE")
    lake.s3.freeze(lake.raw, keys["instant"], "GLACIER_IR")
    lake.s3.freeze(lake.raw, keys["restoring"], restore='ongoing-request="true"')
    until = 'ongoing-request="false", expiry-date="Fri, 27 Nov 2026 00:00:00 GMT"'
    lake.s3.freeze(lake.raw, keys["restored"], restore=until)

    plan = planning.plan()
    looked = planning.plan(asked(mode="dry_run"), "look")

    assert planning.names() == sorted(keys)
    assert planning.frozen() == planning.frozen("look") == ["deep", "glacier", "restoring", "outside"]
    assert planning.names("look") == ["instant", "restored", "warm"]
    sizes = {name: len(lake.s3.buckets[lake.raw][key].body) for name, key in keys.items()}
    for one in (plan, looked):
        assert (one.objects, one.frozen, one.deep, one.outside) == (7, 4, 1, 1)
        assert one.bytes == sum(sizes.values())
        assert one.frozen_bytes == sum(sizes[name] for name in planning.frozen())
        assert one.deep_bytes == sizes["deep"]


def test_a_copy_that_may_be_gone_before_it_is_read_is_restored_again_but_read_by_a_dry_run(planning: Planning) -> None:
    lake = planning.lake
    for name, left in {"ends": timedelta(hours=25), "lasts": timedelta(hours=25, seconds=1)}.items():
        until = f'ongoing-request="false", expiry-date="{lake.s3.now + left:%a, %d %b %Y %H:%M:%S GMT}"'
        lake.s3.freeze(lake.raw, arrive(lake, name), restore=until)
    lake.run("c")

    planning.plan()
    planning.plan(asked(mode="dry_run"), "look")

    assert planning.frozen() == ["ends"]
    assert planning.names("look") == ["ends", "lasts"]


def set_aside(lake: Lake, reason: str, day: str, name: str) -> None:
    key = f"quarantine/reason={reason}/{day}/{name}.jsonl.gz"
    lake.s3.put_object(Bucket=lake.processed, Key=key, Body=b"lines")


def test_the_quarantine_is_taken_up_by_reason_and_day(planning: Planning) -> None:
    days = [f"year=2026/month=11/day={day:02}" for day in range(18, 26)]
    for day in days:
        for reason in ("bad_metric", "not_json", "mixed"):
            set_aside(planning.lake, reason, day, f"{reason}-{day[-2:]}")

    plan = planning.plan(asked(source="quarantine", reasons=("bad_metric",)))
    planning.plan(asked(source="quarantine", mode="dry_run"), "all")

    expected = [f"{reason}-{day}" for reason in ("bad_metric", "mixed") for day in range(19, 25)]
    assert planning.names() == expected
    assert plan.objects == len(expected)
    assert plan.tasks == 1
    assert planning.names("all") == sorted([*expected, *(f"not_json-{day}" for day in range(19, 25))])


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (("table",), ["compact-a", "else", "reprocess-a"]),
        (("hot",), ["else", "stream-a"]),
        (("table", "hot"), ["compact-a", "else", "reprocess-a", "stream-a"]),
    ],
)
def test_of_the_quarantine_only_what_may_be_for_a_target_is_taken_up(
    planning: Planning, targets: tuple[str, ...], expected: list[str]
) -> None:
    for name in ("compact-a", "else", "reprocess-a", "stream-a"):
        set_aside(planning.lake, "mixed", "year=2026/month=11/day=21", name)

    planning.plan(asked(source="quarantine", targets=targets))

    assert planning.names() == expected


def fail(lake: Lake, run: str, *tasks: dict[str, Any]) -> None:
    """What a map leaves behind."""
    children = [{"Name": "x", "Status": "FAILED", "Input": json.dumps({"run_id": run, "task": task})} for task in tasks]
    for file, content in {"FAILED_0.json": children, "SUCCEEDED_0.json": "never read", "manifest.json": {}}.items():
        key = f"runs/{run}/map/0a1b/{file}"
        lake.s3.put_object(Bucket=lake.processed, Key=key, Body=json.dumps(content).encode())


def task_of(*keys: str) -> dict[str, Any]:
    return {"task_id": "00000", "objects": [{"key": key, "bytes": 1, "etag": "old"} for key in keys]}


@pytest.mark.parametrize("machine", ["compact", "reprocess"])
def test_the_failed_tasks_of_a_run_are_taken_up_as_they_are_now(planning: Planning, machine: str) -> None:
    lake = planning.lake
    keys = [arrive(lake, name) for name in ("a", "b", "c")]
    lake.run("before", to="2026-11-21T10:00Z")
    keys.append(arrive(lake, "waiting", HOUR + DAY))
    lake.s3.delete_object(Bucket=lake.raw, Key=keys[1])
    merging = {"task_id": "1", "group": "runs/x", "start": None, "end": None}
    fail(lake, f"{machine}/it", task_of(*keys[:2], "quarantine/x.gz"), task_of(keys[3]), merging)

    plan = planning.plan(asked(failed_tasks_of="it", targets=("hot", "table")))

    assert planning.names(to_table=True) == ["a"]
    assert planning.names(to_table=False) == ["waiting"]
    assert planning.missing() == ["b"]
    assert (plan.objects, plan.outside) == (2, 0)
    assert {planned.etag for task in planning.tasks() for planned in task.objects} != {"old"}


def test_a_run_without_failed_tasks_is_refused(planning: Planning) -> None:
    fail(planning.lake, "compact/it")

    for run in ("it", "nobody"):
        with pytest.raises(InvalidInput, match=f"failed_tasks_of: no task .* in a run {run} of compact or reprocess"):
            planning.plan(asked(failed_tasks_of=run))


def test_a_range_without_anything_has_an_empty_plan(planning: Planning) -> None:
    arrive(planning.lake, "a")
    planning.lake.run("c")

    plan = planning.plan(asked(Scope(0, 1)))

    assert (plan.tasks, plan.objects, plan.bytes, planning.tasks(), planning.missing()) == (0, 0, 0, [], [])


arrivals = st.lists(
    st.tuples(
        st.integers(-60, 12), st.sampled_from([0, 0.5, 1, 1.5, 3]), st.sampled_from(["pump-1", "pump-2", "fan-1"])
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=10, deadline=None)
@given(arrivals, st.integers(-60, 10), st.integers(1, 40), st.sampled_from([(), ("pump-*",), ("fan-1", "pump-2")]))
def test_whatever_has_arrived_the_plan_is_the_hours_and_what_rows_come_from(
    given_arrivals: list[tuple[int, float, str]], first_hour: int, hours: int, devices: tuple[str, ...]
) -> None:
    planning = Planning(Lake(aws=in_memory(Effects())))
    lake = planning.lake
    for number, (hour, days_late, device) in enumerate(given_arrivals):
        arrive(lake, f"{number}", HOUR + timedelta(hours=hour), days_late=days_late, device=device)
    lake.run("c", to="2026-11-22T00:00Z")
    start = HOUR + timedelta(hours=first_hour)
    end = start + timedelta(hours=hours)
    scope = Scope(int(start.timestamp() * 1000), int(end.timestamp() * 1000), devices)

    plan = planning.plan(asked(scope))

    rows = lake.rows()
    of_scope = [row for row in rows if start <= row["measured_at"] < end and has_device(scope, row["device_id"])]
    arrived = {f"{number}": HOUR + timedelta(hours=hour) for number, (hour, _, _) in enumerate(given_arrivals)}
    expected = {one for one, hour in arrived.items() if start - HOUR_LONG <= hour < end + DAY}
    expected |= (named := {name_of(row["source_object"]) for row in of_scope})
    assert planning.names() == sorted(expected)
    assert plan.outside == len({one for one in named if not start - HOUR_LONG <= arrived[one] < end + DAY})
