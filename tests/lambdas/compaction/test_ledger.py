"""The ledger of committed objects, and what planning and commit make of it."""

import io
import threading
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import IncompleteReadError
from botocore.response import StreamingBody

from compaction import errors, ledger, packing, runs
from compaction.hours import Window
from compaction.ledger import Entry, Ledger
from compaction.manifests import plan_key
from tests.lake import AT, HOUR, NOW, Lake, in_memory, reading
from tests.memory_aws import Effects

DAY = timedelta(days=1)
EVERYTHING = Window(None, NOW)


def held(lake: Lake, window: Window = EVERYTHING) -> list[tuple[str, str]]:
    return [(entry.key, entry.run_id) for entry in Ledger(lake.store).held(window)]


def test_the_ledger_names_the_objects_of_committed_runs_by_hour_in_order(memory_lake: Lake) -> None:
    late = memory_lake.put("late", [reading()], HOUR - DAY)
    second = memory_lake.put("b", [reading()])
    memory_lake.run("one", task_bytes=1)
    first = memory_lake.put("a", [b"garbage"])
    memory_lake.run("two")
    memory_lake.put("c", [reading()])
    memory_lake.plan("unfinished")

    assert held(memory_lake) == [(late, "one"), (first, "two"), (second, "one")]
    assert held(memory_lake, Window(HOUR, NOW)) == [(first, "two"), (second, "one")]
    assert held(memory_lake, Window(None, HOUR)) == [(late, "one")]
    assert sorted(memory_lake.store.keys("ledger/")) == [
        "ledger/runs/one.json",
        "ledger/runs/two.json",
        "ledger/year=2026/month=11/day=20/hour=09/one.jsonl",
        "ledger/year=2026/month=11/day=21/hour=09/one.jsonl",
        "ledger/year=2026/month=11/day=21/hour=09/two.jsonl",
    ]
    snapshots = {run.run_id: run.snapshot_id for run in runs.committed(memory_lake.glue, memory_lake.s3, "")}
    assert Ledger(memory_lake.store).entry("one") == Entry("one", snapshots["one"], objects=2, hours=2)
    assert Ledger(memory_lake.store).entry("unfinished") is None


@pytest.mark.parametrize("name", ["line\nfeed", 'quote"and\\', "ünïcode-日本", "folder/within", "\U0001f600"])
def test_a_name_is_found_again_whatever_is_in_it(memory_lake: Lake, name: str) -> None:
    memory_lake.put(name, [reading()])
    memory_lake.put("plain", [reading()])
    memory_lake.run("one")

    assert len(held(memory_lake)) == 2
    assert memory_lake.plan("two")["tasks"] == 0


@pytest.mark.parametrize("small_bytes", [10, 1_000_000])
def test_the_lists_of_a_run_over_many_chunks_are_in_order(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch, small_bytes: int
) -> None:
    monkeypatch.setattr(packing, "CHUNK_OBJECTS", 3)
    monkeypatch.setattr(ledger, "_SMALL_BYTES", small_bytes)
    keys = [memory_lake.put(f"{number:02}", [reading(at=AT + number)] * (number * 7 % 5 + 1)) for number in range(11)]
    memory_lake.run("one", task_bytes=1)

    assert [task.chunk for task in memory_lake.tasks("one")] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 2
    assert [key for key, _ in held(memory_lake)] == keys


def test_a_list_that_breaks_off_while_it_is_read_is_not_taken_for_the_whole(
    memory_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that ends early looks like the end of the object, to whoever does not ask for more."""
    memory_lake.put("a", [reading()])
    memory_lake.put("b", [reading()])
    memory_lake.run("one")
    get_object = memory_lake.s3.get_object

    def breaks_off(**request: Any) -> Any:
        answer = get_object(**request)
        if not request["Key"].startswith("ledger/year="):
            return answer
        whole = answer["Body"].read()
        return {"Body": StreamingBody(io.BytesIO(whole[: whole.index(b"\n") + 1]), len(whole))}

    monkeypatch.setattr(memory_lake.s3, "get_object", breaks_off)

    with pytest.raises(IncompleteReadError):
        memory_lake.plan("two")


def without_ledger(lake: Lake) -> None:
    objects = lake.s3.buckets[lake.processed]
    for key in [key for key in objects if key.startswith("ledger/")]:
        del objects[key]


def test_a_table_that_is_older_than_the_ledger_gets_one(memory_lake: Lake) -> None:
    for run_id in ("one", "two", "three"):
        memory_lake.put(run_id, [reading()])
        memory_lake.run(run_id)
    expected = held(memory_lake)
    without_ledger(memory_lake)

    assert memory_lake.plan("four")["tasks"] == 0
    assert held(memory_lake) == expected


def test_when_nothing_is_missing_one_run_is_asked_for(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for run_id in ("one", "two", "three"):
        memory_lake.put(run_id, [reading()])
        memory_lake.run(run_id)
    read = []
    get_object = memory_lake.s3.get_object

    def reading_of(**request: Any) -> Any:
        read.append(request["Key"])
        return get_object(**request)

    monkeypatch.setattr(memory_lake.s3, "get_object", reading_of)
    memory_lake.plan("four")

    assert [key for key in read if key.startswith("ledger/runs/")] == ["ledger/runs/three.json"]


def test_healing_that_breaks_off_leaves_no_gap(memory_lake: Lake) -> None:
    for run_id in ("one", "two", "three"):
        memory_lake.put(run_id, [reading()])
        memory_lake.run(run_id)
    without_ledger(memory_lake)
    effects = memory_lake.s3.effects
    last = len(effects.names) + 3  # the first run's two writes, and the second's first

    def breaks(number: int, effect: Any) -> Any:
        if number >= last:
            raise OSError("reset")
        return effect()

    effects.fault = breaks
    with pytest.raises(OSError, match="reset"):
        memory_lake.plan("four")
    effects.fault = None

    assert Ledger(memory_lake.store).entry("one") is not None
    assert memory_lake.plan("four")["tasks"] == 0


def test_a_committed_run_whose_plan_is_gone_stops_planning_and_commit_by_name(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading()])
    memory_lake.plan("two", start="2026-11-21T09:00Z")
    memory_lake.write("two")
    memory_lake.run("one")
    without_ledger(memory_lake)
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key=plan_key("one"))

    for step in (memory_lake.plan, memory_lake.commit):
        with pytest.raises(
            errors.LedgerIncomplete, match=r"Run one .* Bring back an earlier version of runs/compact/one"
        ):
            step("two" if step == memory_lake.commit else "three")


def test_a_run_that_left_the_table_s_history_is_still_committed(memory_lake: Lake) -> None:
    """Snapshots expire; the report may never have been written."""
    memory_lake.put("a", [reading()])
    report = memory_lake.run("one")
    memory_lake.put("b", [reading("pump-2")])
    memory_lake.run("two")
    first = memory_lake.table().metadata.snapshots[0]
    memory_lake.table().maintenance.expire_snapshots().by_id(first.snapshot_id).commit()
    memory_lake.s3.delete_object(Bucket=memory_lake.processed, Key="runs/compact/one/report.json")

    assert memory_lake.commit("one") == report
    assert memory_lake.plan("three")["tasks"] == 0
    assert len(memory_lake.rows()) == 2


@pytest.mark.parametrize("more_bytes", [0, 1])
def test_an_object_that_changed_since_the_plan_is_not_published(memory_lake: Lake, more_bytes: int) -> None:
    memory_lake.put("a", [reading()])
    key = memory_lake.put("b", [reading()])
    memory_lake.plan("run")
    memory_lake.write("run")
    memory_lake.put_bytes("b", bytes(len(memory_lake.s3.buckets[memory_lake.raw][key].body) + more_bytes))

    with pytest.raises(errors.ObjectChanged, match=r"hour=09/b\.gz is not the object that was planned"):
        memory_lake.commit("run")

    assert len(memory_lake.table().metadata.snapshots) == 0
    assert memory_lake.plan("next")["objects"] == 2


def test_an_object_that_is_gone_since_the_plan_is_not_published(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading()], HOUR - 9 * DAY)
    gone = memory_lake.put("b", [reading()])
    memory_lake.put("c", [reading()])
    memory_lake.plan("run")
    memory_lake.write("run")
    memory_lake.s3.delete_object(Bucket=memory_lake.raw, Key=gone)

    with pytest.raises(errors.ObjectMissing, match=r"hour=09/b\.gz was planned but is gone"):
        memory_lake.commit("run")


def test_an_object_that_is_planned_twice_is_refused(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading()])
    memory_lake.plan("run")
    key = plan_key("run")
    line = memory_lake.store.read(key) or b""
    memory_lake.store.write(key, line + line.replace(b"00000", b"00001"))
    memory_lake.write("run")

    with pytest.raises(errors.ResultMismatch, match=r"a\.gz is planned twice"):
        memory_lake.commit("run")


def test_runs_side_by_side_commit_each_object_once_while_objects_arrive() -> None:
    """Plans overlap as they will; who comes second is refused by name and plans again."""
    lake = Lake(aws=in_memory(Effects()))
    for number in range(4):
        lake.put(f"early-{number}", [reading(at=AT + number), b"garbage"])
    refused: list[str] = []

    def compact(name: int) -> None:
        for turn in range(20):
            run_id = f"run-{name}-{turn}"
            try:
                if lake.run(run_id, task_bytes=100) is None:
                    return
            except (errors.ObjectsAlreadyCommitted, errors.CommitConflict):
                refused.append(run_id)

    threads = [threading.Thread(target=compact, args=[name]) for name in range(3)]
    for thread in threads:
        thread.start()
    for number in range(4):
        lake.put(f"later-{number}", [reading("pump-2", at=AT + number)])
    for thread in threads:
        thread.join()
    compact(9)

    assert sorted(row["source_object"] for row in lake.rows()) == sorted(key for key, _ in held(lake))
    assert len(held(lake)) == 8
    assert not {run_id for _, run_id in held(lake)} & set(refused)
