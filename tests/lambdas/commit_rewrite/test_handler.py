"""The function `commit_rewrite`, on the embedded AWS."""

import pytest

from commit_rewrite import handler
from optimization.errors import FilesReplaced
from tests.lake import AT, Lake, reading
from tests.lambdas.optimization import by_hand


@pytest.fixture
def configured(deployed: Lake) -> Lake:
    for name in ("a", "b"):
        deployed.put(name, [reading("pump-1"), reading(f"pump-{name}", at=AT + 1)])
        deployed.run(name)
    for run_id in ("run", "other"):
        by_hand.plan(deployed, run_id)
        by_hand.write(deployed, run_id)
    return deployed


def test_the_function_answers_what_it_has_replaced_and_the_same_again(configured: Lake, context: object) -> None:
    answers = [handler.handle({"run_id": "run"}, context) for _ in range(2)]

    assert answers[0] == answers[1]
    wanted = {"files_before": 2, "files_after": 1, "rows_before": 4, "rows_after": 3, "duplicates": 1}
    assert wanted.items() <= answers[0].items()
    assert [row["device_id"] for row in configured.rows()] == ["pump-1", "pump-a", "pump-b"]
    with pytest.raises(FilesReplaced):
        handler.handle({"run_id": "other"}, context)
