"""What one run takes of what waits, and what is settled once it is committed."""

from datetime import datetime, timedelta

import pytest

from compaction import planning, runs
from compaction.hours import Window
from tests.lake import HOUR, NOW, Lake, reading

DAY = timedelta(days=1)
CLOSED = Window(None, HOUR + timedelta(hours=3), every_closed=True)


def planned(lake: Lake, run_id: str) -> list[str]:
    return sorted(item.key for task in lake.tasks(run_id) for item in task.objects)


def test_a_scheduled_run_looks_back_from_what_is_settled(memory_lake: Lake) -> None:
    planner = memory_lake.planner(lookback=2 * DAY)
    memory_lake.put("a", [reading()])
    assert planner.plan("one", CLOSED)["objects"] == 1, "nothing is settled yet: the whole archive"
    memory_lake.write("one")
    memory_lake.commit("one")
    old = memory_lake.put("old", [reading()], HOUR - 3 * DAY)
    late = memory_lake.put("late", [reading()], HOUR - DAY)

    planner.plan("two", CLOSED)
    planner.plan("chosen", Window(HOUR - 4 * DAY, NOW))
    memory_lake.planner().plan("all", CLOSED)

    assert planned(memory_lake, "two") == [late]
    assert planned(memory_lake, "chosen") == [old, late]
    assert planned(memory_lake, "all") == [old, late]


def test_nothing_is_settled_by_a_run_that_failed_or_took_chosen_hours(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading()])
    memory_lake.plan("failed")
    memory_lake.run("chosen", start="2026-11-21T09:00Z")

    assert runs.settled_until(runs.committed(memory_lake.glue, memory_lake.s3, "")) is None


def test_a_plan_that_is_asked_for_later_settles_what_it_settled_at_first(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading()])
    planner = memory_lake.planner()
    planner.plan("one", CLOSED)
    planner.plan("one", Window(None, CLOSED.end + DAY, every_closed=True))
    memory_lake.run("one")

    assert runs.settled_until(runs.committed(memory_lake.glue, memory_lake.s3, "")) == CLOSED.end


def test_what_is_too_much_for_one_run_is_left_to_the_next(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_OBJECTS", 2)
    hours = [HOUR - DAY, HOUR, HOUR + timedelta(hours=1)]
    keys = [memory_lake.put("a", [reading()], hour) for hour in hours]

    def settled() -> datetime | None:
        return runs.settled_until(runs.committed(memory_lake.glue, memory_lake.s3, ""))

    memory_lake.run("one")
    assert planned(memory_lake, "one") == keys[:2]
    assert settled() == hours[2]
    memory_lake.run("two")
    assert planned(memory_lake, "two") == keys[2:]
    assert settled() == CLOSED.end


def test_a_run_takes_no_more_bytes_than_its_commit_can_publish(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MAX_TASKS", 2)
    keys = [memory_lake.put("a", [reading()], HOUR + timedelta(hours=number)) for number in range(3)]
    size = max(len(memory_lake.s3.buckets[memory_lake.raw][key].body) for key in keys)

    memory_lake.run("one", task_bytes=size)

    assert planned(memory_lake, "one") == keys[:2]
    assert runs.settled_until(runs.committed(memory_lake.glue, memory_lake.s3, "")) == HOUR + timedelta(hours=2)
    assert memory_lake.planner(size).dry_run(CLOSED)[0].objects == 1


def test_an_object_that_is_too_large_for_a_run_is_a_run_of_its_own(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MAX_TASKS", 2)
    keys = [memory_lake.put(f"{number}", [reading()]) for number in range(2)]

    for number, key in enumerate(keys):
        memory_lake.run(f"{number}", task_bytes=1)
        assert planned(memory_lake, f"{number}") == [key]
