"""The function that plans the table's upkeep, on the embedded AWS."""

import json

import pytest

from compaction.errors import InvalidInput
from plan_optimization import handler
from tests.lake import AT, Lake, reading


def arrive(lake: Lake) -> None:
    """Two runs of the compaction, with a file of today's and one of yesterday's partition each."""
    for name in ("a", "b"):
        lake.put(name, [reading(), reading(at=AT - 86_400)])
        lake.run(name)


def test_the_function_answers_references_only(deployed: Lake, context: object) -> None:
    arrive(deployed)

    answer = handler.handle({"run_id": "run", "input": {}}, context)

    assert (answer["tasks"], answer["groups"], answer["files"], answer["rows"]) == (2, 2, 4, 4)
    assert len(json.dumps(answer)) < 400
    key = answer["plan"]["key"]
    assert len(list(deployed.store.lines(key) or ())) == 2
    assert handler.handle({"run_id": "run", "input": {}}, context) == answer


def test_the_function_looks_at_the_partitions_of_the_times_it_is_given(deployed: Lake, context: object) -> None:
    arrive(deployed)

    times = {"from": "2026-11-20T23:59Z", "to": "2026-11-21T00:00Z"}
    answer = handler.handle({"run_id": "run", "input": times, "dry_run": True}, context)

    assert [line["partition"] for line in answer["partitions"]] == ["measured_at_day=2026-11-20"]
    assert (answer["run_id"], answer["files"]) == ("run", 2)
    assert list(deployed.store.keys("runs/optimize/")) == []


def test_before_the_first_run_of_the_compaction_there_is_nothing_to_do(deployed: Lake, context: object) -> None:
    assert handler.handle({"run_id": "run", "input": {}}, context)["tasks"] == 0


def test_the_function_refuses_an_input_by_name(deployed: Lake, context: object) -> None:
    with pytest.raises(InvalidInput, match="to"):
        handler.handle({"run_id": "run", "input": {"to": "soon"}}, context)
