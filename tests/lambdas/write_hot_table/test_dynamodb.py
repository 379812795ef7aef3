"""The function on the embedded AWS's DynamoDB, and the table in memory that other tests use beside it."""

import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import environment
from reprocessing.hot.table import Access, NewerItem, Pace, content, is_newer
from reprocessing.keys import group_key
from reprocessing.merge_manifests import MergeTask
from sensors.hot_items import TIME_KEY, Items
from sensors.settings import HotTable
from sensors.times import iso_ms
from tests.lake import Lake, client
from tests.lambdas.reprocessing.harness import Clock
from tests.lambdas.write_hot_table.conftest import AT_MS, BY_NUMBER, BY_TEXT, RUN_MS, Hot, in_memory, reading
from tests.memory_aws import Effects
from tests.memory_dynamodb import MemoryDynamoDB
from write_hot_table import handler

KNOWN = {"by number": BY_NUMBER, "by text": BY_TEXT}


class Embedded:
    """A table of the embedded AWS, by the names that a MemoryDynamoDB has for its own."""

    def __init__(self, known: HotTable) -> None:
        self.table = f"hot-{uuid.uuid4().hex[:12]}"
        self.dynamodb = client("dynamodb")
        types = {known.device_key: "S", TIME_KEY: "N" if known.time_format == "epoch_seconds" else "S"}
        roles = zip(types, ("HASH", "RANGE"), strict=True)
        self.dynamodb.create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
            KeySchema=[{"AttributeName": name, "KeyType": role} for name, role in roles],
            BillingMode="PAY_PER_REQUEST",
        )
        self.batch_get_item, self.put_item = self.dynamodb.batch_get_item, self.dynamodb.put_item

    def store(self, item: dict[str, Any]) -> None:
        self.dynamodb.put_item(TableName=self.table, Item=item)

    @property
    def items(self) -> dict[Any, dict[str, Any]]:
        found = self.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        return dict(enumerate(found))


@pytest.fixture(params=KNOWN.values(), ids=KNOWN)
def known(request: pytest.FixtureRequest) -> HotTable:
    found: HotTable = request.param
    return found


@pytest.fixture
def embedded(lake: Lake, known: HotTable, tmp_path: Path) -> Hot:
    table = Embedded(known)
    return Hot(tmp_path, lake.s3, table, known, table.table, lake.processed)


def contents(hot: Hot) -> dict[Any, Any]:
    """What the items say, and who wrote them when, by the reading that they are of."""
    marks = ("processed_at", "reprocessed_by")
    return {
        hot.items.identity(item): (content(item), [item.get(mark) for mark in marks], int(item["expires_at"]["N"]))
        for item in hot.dynamodb.items.values()
    }


def test_the_embedded_table_ends_as_the_one_in_memory(embedded: Hot, known: HotTable, tmp_path: Path) -> None:
    memory = in_memory(tmp_path, known)
    results = []
    for hot in (memory, embedded):
        hot.stage(*[reading(ms=number, temperature=number / 7, location="x") for number in range(120)])
        hot.real_time(*[reading(ms=number, temperature=number / 7, location="x") for number in range(0, 100, 2)])
        hot.real_time(reading(ms=1, temperature=9.0), reading(ms=3, temperature=9.0, after_ms=60))
        results.append(hot.write())

    assert results[0] == results[1]
    assert (results[1].written, results[1].unchanged, results[1].newer) == (69, 50, 1)
    assert contents(embedded) == contents(memory)
    assert len(contents(embedded)) == 120


HELD = {
    "nothing": None,
    "received before": {"after_ms": 40, "processed_ms": RUN_MS + 9},
    "received and processed later": {"after_ms": 60, "processed_ms": RUN_MS + 9},
    "received later, processed before": {"after_ms": 60, "processed_ms": AT_MS},
    "received together, processed before": {"processed_ms": RUN_MS - 1},
    "received together, of this run": {"processed_ms": RUN_MS},
    "received together, processed later": {"processed_ms": RUN_MS + 1},
    "of before items had an arrival": {"processed_ms": RUN_MS + 1, "without": "received_at"},
    "of somebody who does not say when": {"processed_ms": AT_MS, "without": "processed_at"},
}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_reader_condition_and_memory_agree_on_what_is_newer(lake: Lake, held: dict[str, Any] | None) -> None:
    items, clock = Items(BY_NUMBER), Clock()
    memory = MemoryDynamoDB(Effects(), "hot", (BY_NUMBER.device_key, TIME_KEY))
    given = items.item(reading(temperature=1.0), iso_ms(RUN_MS))
    is_kept = []
    for dynamodb in (memory, Embedded(BY_NUMBER)):
        table = Access(
            dynamodb, dynamodb.table, BY_NUMBER.device_key, Pace(100, clock, clock.sleep), lambda: 60, clock.sleep
        )
        if held is not None:
            item = items.item(reading(temperature=2.0, after_ms=held.get("after_ms", 50)), iso_ms(held["processed_ms"]))
            item.pop(held.get("without", ""), None)
            dynamodb.store(item)
        found = table.read([items.key(given)])
        try:
            table.write(given)
        except NewerItem:
            is_kept.append(True)
        else:
            is_kept.append(False)
        is_kept.append(bool(found) and is_newer(found[0], given))
        (stored,) = dynamodb.items.values()
        is_kept.append(stored["temperature"] == {"N": "2"})

    assert len(set(is_kept)) == 1


def test_the_function_takes_a_line_of_the_plan_until_it_is_done(
    deployed: Lake, tmp_path: Path, context: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = environment.settings().hot_table
    table = Embedded(known)
    hot = Hot(tmp_path, deployed.s3, table, known, table.table, deployed.processed)
    hot.stage(*[reading(ms=number) for number in range(60)], reading(ms=99, after_ms=-50 * 86_400_000))
    hot.real_time(reading(ms=0))
    monkeypatch.setattr(handler.time, "time", lambda: RUN_MS / 1000)
    monkeypatch.setenv("READINGS_TABLE", table.table)
    handler._writer.cache_clear()
    task = msgspec.to_builtins(MergeTask("00000-000", group_key("run", "0", 0)))
    event = {"run_id": "run", "merge_id": "0", "task": task}

    context.get_remaining_time_in_millis = lambda: 60_000 if len(table.items) < 5 else handler.RESERVE_S * 1000
    first = handler.handle(event, context)
    context.get_remaining_time_in_millis = lambda: 60_000
    second = handler.handle(event, context)

    assert (first["done"], first["unchanged"], first["expired"]) == (False, 1, 0)
    assert second == {
        "done": True,
        "task_id": "00000-000",
        "written": 59,
        "unchanged": 1,
        "newer": 0,
        "expired": 1,
        "refused": 0,
    }
    assert len(table.items) == 60


def test_the_functions_client_does_not_try_again_by_itself() -> None:
    assert handler._once().retries == {"mode": "standard", "total_max_attempts": 1}  # type: ignore[attr-defined]
