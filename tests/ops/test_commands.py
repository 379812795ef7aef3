"""The command line against a stack on the embedded AWS."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from compaction.hours import Window
from ops import query
from ops.__main__ import main
from tests.lake import AT, HOUR, Lake, reading
from tests.ops.deployment import Deployment

PAST = HOUR - timedelta(days=400)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_compact_follows_a_run_to_its_figures_and_status_and_query_see_them(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.lake.put("a", [reading(), reading(), b"garbage", reading("pump-2", at=AT + 1)], PAST)

    code, before = call(capsys, "status")
    assert (code, before["archive"]["closed"]["objects"], before["table"]) == (0, 1, None)
    assert before["archive"]["oldest_hour"] == PAST.isoformat()
    assert before["stream"] == {"name": deployment.name, "status": "ACTIVE", "shards": 2}

    code, would = call(capsys, "compact", "--dry-run")
    assert (code, would["objects"], would["tasks"], would["estimated"]["files"]) == (0, 1, 1, 1)
    assert would == before["archive"]["closed"]

    code, report = call(capsys, "compact", "--follow")
    assert (code, report["status"], report["committed"]) == (0, "SUCCEEDED", True)
    assert [report[name] for name in ("records", "stored", "duplicate", "quarantined")] == [4, 2, 1, 1]

    code, after = call(capsys, "status")
    assert (after["archive"]["closed"]["objects"], after["table"]["rows"], after["table"]["snapshots"]) == (0, 2, 1)
    (last,) = after["runs"]["compact"]
    assert (last["run_id"], last["did"]["stored"]) == (report["run_id"], 2)

    code, answer = call(capsys, "query", "select device_id, measured_at from readings order by device_id")
    assert answer["columns"] == ["device_id", "measured_at"]
    assert answer["rows"] == [["pump-1", "2026-11-21T09:00:00Z"], ["pump-2", "2026-11-21T09:00:01Z"]]


def test_the_same_reads_well_on_a_terminal(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    deployment.lake.put("a", [reading(humidity=1), b"garbage"], PAST)

    assert [main(["compact", "--follow"]), main(["compact", "--follow"]), main(["status"])] == [0, 0, 0]
    assert main(["query", "select count(*) as n from readings"]) == 0

    shown = capsys.readouterr().out
    for text in (
        "1 object,",
        "not_json 1",
        "Nothing to do",
        "1 row in 1 file",
        "1 partition",
        "read 1 of 1 file",
    ):
        assert text in shown


def test_optimize_says_what_it_would_do_as_status_does_and_does_it(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    for run_id in ("one", "two"):
        deployment.lake.put(run_id, [reading(), reading(run_id)], PAST)
        assert deployment.lake.run(run_id)

    code, would = call(capsys, "optimize", "--dry-run")
    assert (code, would["rewrite"]["tasks"], would["rewrite"]["files"]) == (0, 1, 2)
    assert (would["expire"]["expired"], would["sweep"]["files"]) == (0, 0)

    _, found = call(capsys, "status")
    (partition,) = found["table"]["some_partitions"]
    assert (partition["files"], partition["rows"], partition["rewrite"]) == (2, 4, "overlapping")
    assert found["table"]["optimize"] == would["rewrite"]

    code, report = call(capsys, "optimize", "--follow")
    assert (code, report["status"], report["rewritten"]["files_after"]) == (0, "SUCCEEDED", 1)
    assert report["rewritten"]["duplicates"] == 1


def test_rows_that_are_too_wide_are_shown_value_by_value(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["device_id", *(f"metric_{number}" for number in range(20))]
    values = ["[pump]", *(float(number) for number in range(19)), None]

    query._show(query.Answer(names, [values], True, 1, 1, names))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("row 1 ")
    assert lines[1:3] == ["device_id  [pump]", "metric_0   0.0"]
    assert not any(line.startswith("metric_19") for line in lines), "what is null is left out"


def test_what_looks_like_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    query._show(query.Answer(["device_id"], [["[pump]"], ["[/b]"]], True, 1, 1, ["device_id"]))

    assert "│ [pump]    │\n│ [/b]      │" in capsys.readouterr().out


def test_a_reader_that_has_read_enough_ends_a_command_quietly(deployment: Deployment) -> None:
    deployment.lake.put("a", [reading()], PAST)
    deployment.lake.run("run")
    many = "select repeat('x', 1000) from readings, range(1000)"
    with subprocess.Popen(
        [sys.executable, "-m", "ops", "query", many, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.read(1)
        command.stdout.close()

        assert command.stderr.read() == b""


def test_a_query_before_the_first_run_says_how_to_make_the_table(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["query", "select * from readings"]) == 1
    assert "There is no table yet" in capsys.readouterr().err


def test_compact_without_follow_answers_at_once_and_the_run_goes_on(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    code, started = call(capsys, "compact")

    assert (code, started["status"]) == (0, "RUNNING")
    assert started["execution_arn"].endswith(started["run_id"])


def test_hours_that_are_still_open_are_shown_apart_and_compacted_on_request(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    deployment.lake.put("now", [reading(at=now.timestamp() - 60)], now)

    _, found = call(capsys, "status")
    assert (found["archive"]["closed"]["objects"], found["archive"]["open"]["objects"]) == (0, 1)

    code, report = call(capsys, "compact", "--follow", "--to", (now + timedelta(hours=1)).isoformat())
    assert (code, report["stored"]) == (0, 1)


def test_a_failed_task_ends_with_its_error_its_object_and_what_to_do(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = deployment.lake.put("a", [reading()], PAST)
    break_the_plan(deployment.lake, monkeypatch)

    assert main(["compact", "--follow"]) == 1

    said = capsys.readouterr().err
    assert "ObjectChanged" in said
    assert key in said
    assert "start a new run" in said
    assert "Traceback" not in said


def break_the_plan(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next run find a plan of its own that names an entity tag of the past."""

    class Stopped:
        @staticmethod
        def now(_: object) -> datetime:
            return HOUR

    monkeypatch.setattr("ops.running.datetime", Stopped)
    monkeypatch.setattr("ops.running.secrets.token_hex", lambda _: "fixed")
    run_id = f"manual-{HOUR:%Y%m%dT%H%M%SZ}-fixed"
    lake.planner().plan(run_id, Window(None, HOUR))
    (task,) = lake.tasks(run_id)
    line = {"task_id": task.task_id, "objects": [{"key": task.objects[0].key, "bytes": 1, "etag": "0" * 32}]}
    lake.store.write(f"runs/compact/{run_id}/plan.jsonl", json.dumps(line).encode() + b"\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compact", "--from", "soon"], "--from: 'soon' is not an ISO-8601 time"),
        (["compact", "--from", "2026-11-22", "--to", "2026-11-21"], "--from: .* is not before 'to'"),
        (["optimize", "--to", "soon"], "--to: 'soon' is not an ISO-8601 time"),
        (["query", "delete from readings"], "Give one SELECT"),
        (["query", "select 1; select 2"], "Give one SELECT"),
        (["query", "selec"], "Give one SELECT|not SQL"),
        (["query", "select 1", "--limit", "-1"], "--limit -1 is no number of rows"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert re.search(message, said)
    assert "Traceback" not in said
