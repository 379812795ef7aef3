"""Each path through the state machine `reprocess`, its functions played by the test."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.stepfunctions.interpreter import Answer, FunctionError, Run, run

LARGEST_STATE = 32 * 1024
LONGEST_HISTORY = 5_000
PLAN, MERGE = "runs/reprocess/run/plan.jsonl", "runs/reprocess/run/merges/1/plan.jsonl"
DECODED = ["Undo A Run?", "Plan Reprocessing", "Anything Frozen?", "Anything To Decode?", "Decode All Objects"]
MERGED = ["Plan Merge", "Anything To Merge?", "Merge All Readings", "Commit Reprocessing"]
ENDED = ["Anything For The Hot Table?", "Report Reprocessing"]

ASKED = {"from": "2026-03-01"}

Start = Callable[..., Run]


def planned(**changed: Any) -> dict[str, Any]:
    plan = {"bucket": "processed", "key": PLAN}
    counts = {"tasks": 2, "objects": 5, "bytes": 500, "frozen": 0, "frozen_bytes": 0}
    return {"run_id": "run", "mode": "apply", **counts, "write_hot": True, "plan": plan, **changed}


def merge(event: dict[str, Any], tasks: int = 3) -> dict[str, Any]:
    """What the merge's plan answers; its name tells which attempt it was made for."""
    plan = {"bucket": "processed", "key": MERGE}
    name = f"{event['attempt']}-77"
    return {"run_id": event["run_id"], "merge_id": name, "attempt": event["attempt"], "tasks": tasks, "plan": plan}


def always(answer: object) -> Answer:
    return lambda event: answer


def failing(error: str) -> Answer:
    def fail(event: dict[str, Any]) -> None:
        raise FunctionError(error)

    return fail


def in_turn(*answers: Any) -> Answer:
    """One answer a call; an error's name is raised."""
    left: Iterator[Any] = iter(answers)

    def answer(event: dict[str, Any]) -> Any:
        given = next(left)
        if isinstance(given, str):
            raise FunctionError(given)
        return given

    return answer


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run the machine with functions that do their work, but for those that are given."""
    report = {"run_id": "run", "mode": "apply", "outcome": "applied"}

    def begin(run_input: object = None, **functions: Answer) -> Run:
        played = {
            "PlanReprocess": always(planned()),
            "RestoreObjects": always({"waiting": 0, "restored": 1, "wait_s": 0}),
            "DecodeObjects": always({"stored": 1}),
            "PlanMerge": merge,
            "MergeReadings": always({"written": 1}),
            "CommitReprocess": always({"run_id": "run"}),
            "WriteHotTable": always({"done": True}),
            "ReportReprocess": always(report),
            "UndoReprocess": always({"run_id": "run", "undone": True}),
        } | functions
        lines = "\n".join(f'{{"task_id": "{number:05}"}}' for number in range(3))
        return run(monkeypatch, "reprocess", played, {PLAN: lines, MERGE: lines}.__getitem__, run_input or ASKED)

    return begin


def test_a_run_decodes_merges_commits_writes_the_hot_table_and_ends_with_its_report(start: Start) -> None:
    done = start()

    assert done.status == "SUCCEEDED"
    assert done.visited == [*DECODED, *MERGED, ENDED[0], "Write All To Hot Table", ENDED[1]]
    assert done.output["outcome"] == "applied"
    assert {len(done.calls[name]) for name in ("DecodeObjects", "MergeReadings", "WriteHotTable")} == {3}
    assert done.calls["MergeReadings"][0] == {"run_id": "run", "merge_id": "1-77", "task": {"task_id": "00000"}}
    assert done.calls["WriteHotTable"][0] == done.calls["MergeReadings"][0]
    assert done.largest < LARGEST_STATE


def test_the_plan_is_given_the_input_and_who_asks_when(start: Start) -> None:
    (event,) = start({"from": "2026-03-01", "devices": ["pump-*"]}).calls["PlanReprocess"]

    assert event["input"] == {"from": "2026-03-01", "devices": ["pump-*"]}
    assert event["execution"] == "run"
    assert event["execution_arn"].endswith(":execution:reprocess:run")
    assert event["started_at"].startswith("2026-11-21T12:00:00")


def test_a_run_that_another_execution_began_keeps_its_name(start: Start) -> None:
    done = start(PlanReprocess=always(planned(run_id="earlier")))

    assert {event["run_id"] for name in ("PlanMerge", "ReportReprocess") for event in done.calls[name]} == {"earlier"}
    assert done.calls["ReportReprocess"][0]["execution_arn"].endswith(":execution:reprocess:run")


@pytest.mark.parametrize("mode", ["dry_run", "backtest"])
def test_what_applies_nothing_writes_no_hot_table(start: Start, mode: str) -> None:
    done = start(PlanReprocess=always(planned(mode=mode, write_hot=False)))

    assert done.visited == [*DECODED, *MERGED, *ENDED]


def test_without_objects_and_without_files_only_the_books_are_kept(start: Start) -> None:
    done = start(PlanReprocess=always(planned(tasks=0)), PlanMerge=lambda event: merge(event, tasks=0))

    assert done.status == "SUCCEEDED"
    assert [name for name in done.visited if name.startswith(("Decode", "Merge", "Write"))] == []
    assert done.visited[-2:] == ENDED


def test_frozen_objects_are_waited_for_as_long_as_the_function_says(start: Start) -> None:
    looks = in_turn({"waiting": 2, "wait_s": 1800}, {"waiting": 1, "wait_s": 600}, {"waiting": 0, "wait_s": 0})

    done = start(PlanReprocess=always(planned(frozen=2)), RestoreObjects=looks)

    assert done.status == "SUCCEEDED"
    assert done.waits == [1800, 600]
    assert [event["run_id"] for event in done.calls["RestoreObjects"]] == ["run"] * 3


def test_a_dry_run_restores_nothing(start: Start) -> None:
    done = start(PlanReprocess=always(planned(mode="dry_run", frozen=2, write_hot=False)))

    assert done.status == "SUCCEEDED"
    assert "RestoreObjects" not in done.calls


def test_objects_that_never_come_out_of_the_ice_end_the_run_before_its_history_is_full(start: Start) -> None:
    done = start(PlanReprocess=always(planned(frozen=2)), RestoreObjects=always({"waiting": 1, "wait_s": 1800}))

    assert (done.status, done.error, done.visited[-1]) == ("FAILED", "RestoredTooSlowly", "Restored Too Slowly")
    assert len(done.calls["RestoreObjects"]) == 150
    assert done.events < LONGEST_HISTORY


def test_files_that_others_replace_are_merged_again_without_decoding(start: Start) -> None:
    done = start(CommitReprocess=in_turn("FilesReplaced", "FilesReplaced", {"run_id": "run"}))

    assert done.status == "SUCCEEDED"
    assert [event["attempt"] for event in done.calls["PlanMerge"]] == [1, 2, 3]
    assert [event["merge_id"] for event in done.calls["CommitReprocess"]] == ["1-77", "2-77", "3-77"]
    assert (len(done.calls["DecodeObjects"]), len(done.calls["MergeReadings"])) == (3, 9)
    assert {event["merge_id"] for event in done.calls["WriteHotTable"]} == {"3-77"}
    assert "refused" not in done.calls["ReportReprocess"][0]


def test_five_merges_that_others_overtake_are_enough(start: Start) -> None:
    done = start(CommitReprocess=failing("FilesReplaced"))

    assert (done.status, done.error, done.visited[-1]) == ("FAILED", "FilesReplaced", "Table Changes Too Often")
    assert len(done.calls["PlanMerge"]) == 5
    assert "ReportReprocess" not in done.calls


def test_a_run_that_would_lose_readings_is_reported_and_refused(start: Start) -> None:
    done = start(CommitReprocess=failing("FewerReadings"))

    assert (done.status, done.error) == ("FAILED", "FewerReadings")
    assert done.visited[-2:] == ["Report Refusal", "Fewer Readings"]
    (event,) = done.calls["ReportReprocess"]
    assert event["refused"]["Error"] == "FewerReadings"
    assert json.loads(event["refused"]["Cause"])["errorMessage"] == "said by the function"
    assert "WriteHotTable" not in done.calls


@pytest.mark.parametrize("error", ["FileMismatch", "CountsDoNotBalance", "RulesChanged", "RunTooOld"])
def test_results_that_cannot_be_trusted_are_not_published(start: Start, error: str) -> None:
    done = start(CommitReprocess=failing(error))

    assert (done.status, done.error, done.visited[-1]) == ("FAILED", error, "Nothing Published")


@pytest.mark.parametrize(
    ("function", "error", "state"),
    [
        ("PlanReprocess", "RangeHeld", "Plan Reprocessing"),
        ("RestoreObjects", "RestoreRefused", "Restore Frozen Objects"),
        ("DecodeObjects", "ObjectMissing", "Decode All Objects"),
        ("PlanMerge", "RowsDeleted", "Plan Merge"),
        ("MergeReadings", "DiskFull", "Merge All Readings"),
        ("CommitReprocess", "RangeHeld", "Commit Reprocessing"),
        ("WriteHotTable", "ResultMissing", "Write All To Hot Table"),
    ],
)
def test_what_can_be_mended_fails_in_its_own_state_so_that_a_redrive_goes_on_there(
    start: Start, function: str, error: str, state: str
) -> None:
    frozen = always(planned(frozen=1))

    done = start(**{"PlanReprocess": frozen, function: failing(error)})

    assert (done.status, done.visited[-1]) == ("FAILED", state)
    assert done.error == ("States.ExceedToleratedFailureThreshold" if " All " in state else error)


@pytest.mark.parametrize("run_input", [{"from": "soon"}, {"undo": 1}, ["an", "array"]])
def test_an_input_that_cannot_be_used_ends_in_a_failure_with_its_name(start: Start, run_input: object) -> None:
    done = start(run_input, PlanReprocess=failing("InvalidInput"), UndoReprocess=failing("InvalidInput"))

    assert (done.status, done.error, done.visited[-1]) == ("FAILED", "InvalidInput", "Input Refused")


def test_a_run_is_undone_and_nothing_else(start: Start) -> None:
    done = start({"undo": "earlier", "note": "wrong range"})

    assert done.output == {"run_id": "run", "undone": True}
    assert done.visited == ["Undo A Run?", "Undo Run"]
    assert list(done.calls) == ["UndoReprocess"]
    assert done.calls["UndoReprocess"][0]["input"] == {"undo": "earlier", "note": "wrong range"}


def test_a_run_that_cannot_be_undone_leaves_the_table_and_says_so(start: Start) -> None:
    done = start({"undo": "earlier"}, UndoReprocess=failing("CannotUndo"))

    assert (done.status, done.error, done.visited[-1]) == ("FAILED", "CannotUndo", "Nothing Undone")


def test_a_task_of_the_hot_table_is_called_until_it_is_done(start: Start) -> None:
    answers = [{"done": number == 9} for number in range(10)] + [{"done": True}] * 2

    done = start(WriteHotTable=in_turn(*answers))

    assert done.status == "SUCCEEDED"
    assert [event["task"]["task_id"] for event in done.calls["WriteHotTable"]] == ["00000"] * 10 + ["00001", "00002"]


def test_a_task_of_the_hot_table_that_never_ends_is_given_up(start: Start) -> None:
    done = start(WriteHotTable=always({"done": False}))

    assert (done.status, done.visited[-1]) == ("FAILED", "Write All To Hot Table")
    assert len(done.calls["WriteHotTable"]) == 3_000
