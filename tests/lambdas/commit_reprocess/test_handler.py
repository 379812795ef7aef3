"""The functions `commit_reprocess` and `undo_reprocess`, on the embedded AWS."""

import pytest

from commit_reprocess import handler
from tests.lake import AT, Lake, reading
from tests.lambdas.reprocessing.harness import STARTED_AT, Reprocessing
from undo_reprocess import handler as undo_handler


@pytest.fixture
def configured(deployed: Lake) -> Lake:
    deployed.put("a", [reading("pump-1"), reading("pump-2", at=AT + 1)])
    deployed.run("a")
    return deployed


def arn(name: str) -> str:
    return f"arn:aws:states:eu-central-1:000000000000:execution:reprocess:{name}"


def test_a_run_is_committed_and_undone_and_both_answer_the_same_again(configured: Lake, context: object) -> None:
    configured.put("a", [reading("pump-1", temperature=1.0), reading("pump-2", at=AT + 1)])
    run = Reprocessing(configured).prepare()
    event = {"run_id": "run", "merge_id": run.merge_id, "execution": "run", "execution_arn": arn("run")}

    answers = [handler.handle(event, context) for _ in range(2)]

    assert answers[0] == answers[1]
    assert (answers[0]["rows_replaced"], answers[0]["rows_written"], len(configured.rows())) == (2, 2, 2)

    wanted = {"undo": "run", "note": "a mistake", "by": "me"}
    undo = {"execution": "undo", "execution_arn": arn("undo"), "started_at": STARTED_AT, "input": wanted}
    undone = [undo_handler.handle(undo, context) for _ in range(2)]

    assert undone[0] == undone[1]
    assert (undone[0]["run_id"], undone[0]["undone"]["rows_restored"], len(configured.rows())) == ("run", 2, 2)
