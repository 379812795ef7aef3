"""The function that plans a merge, on the embedded AWS."""

import json
from pathlib import Path

import pytest

import environment
from compaction.errors import ResultMissing
from plan_merge import handler
from reprocessing.fingerprint import fingerprint
from tests.lake import Lake
from tests.lambdas.reprocessing import merges
from tests.lambdas.reprocessing.merges import Merge, Row, Run, request


@pytest.fixture
def configured(deployed: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setattr(merges, "RULES", fingerprint(environment.settings()))
    return deployed


def test_the_function_answers_references_only(configured: Lake, context: object, tmp_path: Path) -> None:
    merges.add(configured, "old", [Row("a"), Row("b")], tmp_path)
    run = Run(configured, request(), tmp_path)
    run.decode([Row("a", temperature=1.0)], rules=merges.RULES)

    answer = handler.handle({"run_id": "run", "attempt": 1}, context)

    assert len(json.dumps(answer)) < 400
    assert (answer["run_id"], answer["attempt"], answer["tasks"]) == ("run", 1, 1)
    assert len(list(configured.store.lines(answer["plan"]["key"]) or ())) == 1
    ((old,),) = [group.old for group in Merge(run, answer["merge_id"]).groups]
    assert old.key.endswith("old.parquet")
    assert handler.handle({"run_id": "run", "attempt": 1}, context) == answer


def test_what_was_decoded_before_there_is_a_table_is_cut_by_its_own_keys(configured: Lake, tmp_path: Path) -> None:
    run = Run(configured, request(), tmp_path)
    run.decode([Row(f"pump-{number:03}") for number in range(100)], rules=merges.RULES)
    (staged,) = run.staged

    assert run.planner(file_bytes=staged.file.bytes // 3).plan("run", 1)["tasks"] == 3


def test_a_run_that_was_never_planned_fails_by_name(configured: Lake, context: object) -> None:
    with pytest.raises(ResultMissing, match="Run none has no plan"):
        handler.handle({"run_id": "none", "attempt": 1}, context)
