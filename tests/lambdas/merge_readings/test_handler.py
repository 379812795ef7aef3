"""The function that merges, on the embedded AWS."""

from pathlib import Path

import msgspec
import pytest

import environment
from merge_readings import handler
from reprocessing.fingerprint import fingerprint
from reprocessing.keys import merged_key
from reprocessing.merge_manifests import MergeResult
from tests.lake import Lake
from tests.lambdas.reprocessing import merges
from tests.lambdas.reprocessing.merges import Row, Run, request


@pytest.fixture
def configured(deployed: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    handler._merger.cache_clear()
    monkeypatch.setattr(merges, "RULES", fingerprint(environment.settings()))
    return deployed


def test_the_function_takes_a_line_of_the_plan_and_answers_counts(
    configured: Lake, context: object, tmp_path: Path
) -> None:
    merges.add(configured, "old", [Row("a"), Row("b")], tmp_path)
    run = Run(configured, request(), tmp_path)
    run.decode([Row("a", temperature=1.0), Row("c")], rules=merges.RULES)
    merge = run.plan()
    (task,) = merge.tasks
    event = {"run_id": "run", "merge_id": merge.merge_id, "task": msgspec.to_builtins(task)}

    answer = handler.handle(event, context)

    assert answer == {"task_id": "00000-000", "replaced": 2, "written": 2, "changed": 1, "files": 1}
    body = configured.store.read(merged_key("run", merge.merge_id, "00000-000")) or b""
    (file,) = msgspec.json.decode(body, type=MergeResult).files
    assert merges.rows_of(configured, file.key) == [Row("a", temperature=1.0), Row("c")]
    assert handler.handle(event, context) == answer
