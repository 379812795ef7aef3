"""The function `rewrite_parquet`, on the embedded AWS."""

import msgspec
import pytest
from botocore.exceptions import ClientError

from rewrite_parquet import handler
from tests.lake import AT, Lake, reading
from tests.lambdas.optimization import by_hand


@pytest.fixture
def configured(deployed: Lake) -> Lake:
    handler._rewriter.cache_clear()
    for name in ("a", "b"):
        deployed.put(name, [reading("pump-1"), reading(f"pump-{name}", at=AT + 1)])
        deployed.run(name)
    return deployed


def test_the_function_takes_a_line_of_the_plan_and_answers_counts(configured: Lake, context: object) -> None:
    first, second = by_hand.plan(configured, "run", cuts=[("pump-1", AT * 1000 + 1)])

    answers = [
        handler.handle({"run_id": "run", "task": msgspec.to_builtins(task)}, context) for task in (first, second)
    ]

    assert answers == [
        {"task_id": "00000-000", "rows": 1, "duplicates": 1, "files": 1},
        {"task_id": "00000-001", "rows": 2, "duplicates": 0, "files": 1},
    ]
    assert by_hand.commit(configured, "run").rows_after == len(configured.rows()) == 3


def test_the_s3_in_memory_answers_ranges_as_the_embedded_one_does(configured: Lake, memory_lake: Lake) -> None:
    key = by_hand.live_files(configured)[0]
    body = configured.store.read(key) or b""
    memory_lake.store.write(key, body)
    size = len(body)

    for lake in (configured, memory_lake):
        request = {"Bucket": lake.processed, "Key": key}
        part = lake.s3.get_object(**request, Range="bytes=2-9")
        beyond = lake.s3.get_object(**request, Range=f"bytes={size - 4}-{size + 10}")
        with pytest.raises(ClientError, match="InvalidRange"):
            lake.s3.get_object(**request, Range=f"bytes={size}-{size}")

        assert (part["ContentRange"], part["Body"].read()) == (f"bytes 2-9/{size}", body[2:10])
        assert (beyond["ContentRange"], beyond["Body"].read()) == (f"bytes {size - 4}-{size - 1}/{size}", b"PAR1")
