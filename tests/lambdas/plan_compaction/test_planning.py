"""Planning, on the embedded AWS."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from compaction import runs
from compaction.errors import InvalidInput
from plan_compaction import handler
from tests.lake import HOUR, Lake, reading


def keys(lake: Lake, run_id: str) -> list[str]:
    return sorted(planned.key for task in lake.tasks(run_id) for planned in task.objects)


def test_a_plan_names_the_closed_hours_objects_with_their_bytes_and_tags(lake: Lake) -> None:
    early = lake.put("a", [reading()], HOUR - timedelta(days=1))
    late = lake.put("b", [reading()])
    lake.put("open", [reading()], HOUR + timedelta(hours=3))
    lake.s3.put_object(Bucket=lake.raw, Key="raw-data/stray.gz", Body=b"x")

    answer = lake.plan("run")

    assert keys(lake, "run") == [early, late]
    head = lake.s3.head_object(Bucket=lake.raw, Key=late)
    planned = next(item for task in lake.tasks("run") for item in task.objects if item.key == late)
    assert (planned.bytes, f'"{planned.etag}"') == (head["ContentLength"], head["ETag"])
    assert answer == {
        "run_id": "run",
        "tasks": 2,
        "objects": 2,
        "bytes": sum(task.bytes for task in lake.tasks("run")),
        "oldest_hour": (HOUR - timedelta(days=1)).isoformat(),
        "plan": {"bucket": lake.processed, "key": "runs/compact/run/plan.jsonl"},
    }


def test_only_the_hours_asked_for_are_planned_and_an_open_hour_on_request(lake: Lake) -> None:
    hours = {number: lake.put("a", [reading()], HOUR + timedelta(hours=number)) for number in range(-2, 4)}

    lake.plan("some", start="2026-11-21T08:30:00Z", end="2026-11-21T10:00:00Z")
    lake.plan("open", start="2026-11-21T12:00:00Z", end="2026-11-21T13:00:00Z")

    assert keys(lake, "some") == [hours[-1], hours[0]]
    assert keys(lake, "open") == [hours[3]]


def test_a_run_keeps_its_plan_when_it_is_planned_again(lake: Lake) -> None:
    first = lake.put("a", [reading()])
    answer = lake.plan("run")
    lake.put("b", [reading()])

    assert lake.plan("run") == answer
    assert keys(lake, "run") == [first]


def test_of_two_planners_of_one_run_both_answer_the_first_plan(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("a", [reading()])
    lake.plan("run")
    lake.put("b", [reading()])

    with monkeypatch.context() as patch:  # the second looks for a plan before the first has written it
        looked = iter([None])
        read_plan = runs.read_plan
        patch.setattr(runs, "read_plan", lambda *asked: next(looked, read_plan(*asked)))
        answer = lake.plan("run")

    assert answer["objects"] == 1
    assert len(keys(lake, "run")) == 1


def test_where_two_planners_met_the_plan_is_not_taken_for_written(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("a", [reading()])

    def conflict(**_: object) -> None:
        raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")

    with monkeypatch.context() as patch:
        patch.setattr(lake.s3, "put_object", conflict)
        with pytest.raises(ClientError, match="ConditionalRequestConflict"):
            lake.plan("run")

    assert lake.plan("run")["tasks"] == 1


def test_what_a_committed_run_holds_is_not_planned_again_and_what_came_later_is(lake: Lake) -> None:
    lake.put("a", [reading()])
    lake.run("first")
    late = lake.put("late", [reading(at=1)], HOUR - timedelta(days=3))

    lake.plan("second")

    assert keys(lake, "second") == [late]


def test_what_an_unfinished_run_holds_is_planned_again(lake: Lake) -> None:
    key = lake.put("a", [reading()])
    lake.plan("crashed")
    lake.write("crashed")

    lake.plan("next")

    assert keys(lake, "next") == [key]


def test_a_run_that_crashed_between_commit_and_report_counts_as_committed(lake: Lake) -> None:
    lake.put("a", [reading()])
    lake.run("first")
    lake.s3.delete_object(Bucket=lake.processed, Key="runs/compact/first/report.json")

    assert lake.plan("second")["tasks"] == 0


def test_an_archive_without_news_gives_no_plan_and_no_object(lake: Lake) -> None:
    assert lake.plan("run")["tasks"] == 0
    assert list(lake.store.keys("runs/")) == []


def test_tasks_are_cut_by_bytes(lake: Lake) -> None:
    for number in range(6):
        lake.put(f"{number}", [reading(f"pump-{number}", at=index) for index in range(50)])
    size = lake.planner().plan("whole", handler.window_of({}, HOUR + timedelta(hours=5), 16))["bytes"]

    answer = lake.plan("parts", task_bytes=size // 3 + 1)

    assert (answer["tasks"], answer["objects"]) == (3, 6)
    assert [task.task_id for task in lake.tasks("parts")] == ["00000", "00001", "00002"]


@pytest.fixture
def configured(deployed: Lake) -> Lake:
    handler._planner.cache_clear()
    return deployed


def test_the_function_answers_references_only(configured: Lake, context: object) -> None:
    configured.put("a", [reading()], HOUR - timedelta(days=30))

    answer = handler.handle({"run_id": "run", "input": {}}, context)

    assert answer["tasks"] == 1
    assert len(json.dumps(answer)) < 400
    assert handler.handle({"run_id": "run", "input": {}}, context) == answer


def emitted(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]


def test_a_plan_over_every_closed_hour_tells_the_backlog(
    configured: Lake, context: object, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.put("a", [reading()], datetime.now(UTC) - timedelta(hours=30))
    configured.put("b", [reading()], datetime.now(UTC) - timedelta(hours=3))

    planned = handler.handle({"run_id": "run", "input": {}}, context)

    (backlog,) = emitted(capsys)
    assert (backlog["BacklogObjects"], backlog["BacklogBytes"]) == ([2], [planned["bytes"]])
    assert 30 * 3600 <= backlog["BacklogAgeSeconds"][0] <= 31 * 3600 + 60
    assert backlog["service"] == "lake"
    (described,) = backlog["_aws"]["CloudWatchMetrics"]
    assert (described["Namespace"], described["Dimensions"]) == ("Sensors", [["service"]])
    assert {metric["Name"]: metric["Unit"] for metric in described["Metrics"]} == {
        "BacklogObjects": "Count",
        "BacklogBytes": "Bytes",
        "BacklogAgeSeconds": "Seconds",
    }


def test_where_nothing_waits_the_backlog_is_none_and_has_no_age(
    configured: Lake, context: object, capsys: pytest.CaptureFixture[str]
) -> None:
    handler.handle({"run_id": "run", "input": {}}, context)

    (backlog,) = emitted(capsys)
    assert [backlog[name] for name in ("BacklogObjects", "BacklogBytes", "BacklogAgeSeconds")] == [[0], [0], [0.0]]


@pytest.mark.parametrize("event", [{"input": {"from": "2026-11-21T09:00Z"}}, {"input": {}, "dry_run": True}])
def test_a_plan_of_chosen_hours_and_a_dry_run_say_nothing_of_the_backlog(
    configured: Lake, context: object, capsys: pytest.CaptureFixture[str], event: dict[str, Any]
) -> None:
    handler.handle({"run_id": "run", **event}, context)

    assert emitted(capsys) == []


def test_a_plan_whose_backlog_cannot_be_told_is_a_plan(
    configured: Lake, context: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE")
    configured.put("a", [reading()], HOUR - timedelta(days=30))

    assert handler.handle({"run_id": "run", "input": {}}, context)["tasks"] == 1
    assert "metrics not emitted" in caplog.text


def test_a_dry_run_says_the_same_and_what_would_come_of_it_and_plans_nothing(configured: Lake, context: object) -> None:
    configured.put("a", [reading()] * 50, HOUR - timedelta(days=30))

    answer = handler.handle({"run_id": "status", "input": {}, "dry_run": True}, context)

    planned = {name: answer[name] for name in ("tasks", "objects", "bytes", "oldest_hour")}
    assert list(configured.store.keys("runs/")) == []
    assert planned.items() <= handler.handle({"run_id": "run", "input": {}}, context).items()
    assert set(answer["estimated"]) == {"rows", "files", "cost_usd"}
    assert answer["estimated"]["files"] == 1


def test_the_function_looks_back_as_far_as_the_settings_say(
    configured: Lake, context: object, settings_file: str
) -> None:
    path = Path(settings_file)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["compaction"]["lookback_days"] = 2
    path.write_text(json.dumps(content), encoding="utf-8")
    configured.put("a", [reading()])
    handler.handle({"run_id": "one", "input": {}}, context)
    configured.write("one")
    configured.commit("one")
    now = datetime.now(UTC)
    configured.put("old", [reading()], now - timedelta(days=9))
    late = configured.put("late", [reading()], now - timedelta(hours=30))

    handler.handle({"run_id": "two", "input": {}}, context)

    assert keys(configured, "two") == [late]


def test_the_function_refuses_an_input_by_name(configured: Lake, context: object) -> None:
    with pytest.raises(InvalidInput, match="from"):
        handler.handle({"run_id": "run", "input": {"from": "soon"}}, context)
