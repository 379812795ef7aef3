"""One table of DynamoDB in memory, as much of the client as a reprocessing uses, with a place to make any write fail.

Numbers come back as DynamoDB writes them, and conditions are read and judged, not guessed.
"""
# ruff: noqa: N803 - arguments have the names that the client gives them

import copy
import re
import threading
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from tests.memory_aws import Effects

_TOKENS = re.compile(r"attribute_not_exists|AND|OR|[#:]?[A-Za-z_]+|<=|<|=|[()]")
_MOST_KEYS = 100  # of one BatchGetItem

Item = dict[str, Any]
Place = tuple[str, str]


class MemoryDynamoDB:
    """Consistent reads and conditional puts of one table.

    `before_put` sees each item before its condition is judged; `faults` answer one read each; `most` is how many keys
    a read gets through before it leaves the others unprocessed.
    """

    def __init__(self, effects: Effects, table: str, key_names: tuple[str, str]) -> None:
        self.effects = effects
        self.table = table
        self.key_names = key_names
        self.items: dict[Place, Item] = {}
        self.before_put: Callable[[Item], None] = lambda _item: None
        self.faults: deque[Exception] = deque()
        self.most = _MOST_KEYS
        self.reads = 0
        self._lock = threading.Lock()

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        ((table, request),) = RequestItems.items()
        keys = request["Keys"]
        places = [self.place(key) for key in keys]
        assert table == self.table
        assert request["ConsistentRead"] is True
        assert all(set(key) == set(self.key_names) for key in keys)
        assert 1 <= len(keys) <= _MOST_KEYS
        assert len(set(places)) == len(keys)
        self.reads += 1
        if self.faults:
            raise self.faults.popleft()
        found = [copy.deepcopy(self.items[place]) for place in places[: self.most] if place in self.items]
        left = {table: {"Keys": keys[self.most :], "ConsistentRead": True}} if keys[self.most :] else {}
        return {"Responses": {table: found[::-1]}, "UnprocessedKeys": left}  # in no order that one could rely on

    def put_item(
        self,
        *,
        TableName: str,
        Item: Item,
        ConditionExpression: str,
        ExpressionAttributeNames: dict[str, str],
        ExpressionAttributeValues: dict[str, Any],
    ) -> None:
        assert TableName == self.table

        def put() -> None:
            self.before_put(Item)
            held = self.items.get(self.place(Item), {})
            if not holds(ConditionExpression, held, ExpressionAttributeNames, ExpressionAttributeValues):
                raise failure("ConditionalCheckFailedException")
            self.store(Item)

        with self._lock:
            self.effects.make(f"put item {'/'.join(self.place(Item))}", put)

    def store(self, item: Item) -> None:
        """What a put without a condition does."""
        self.items[self.place(item)] = {name: _stored(value) for name, value in item.items()}

    def place(self, item: Item) -> Place:
        """An item's key as text, its number in DynamoDB's form."""
        device, moment = (_stored(item[name]) for name in self.key_names)
        return device["S"], next(iter(moment.values()))


def failure(code: str, status: int = 400) -> ClientError:
    """What the client raises when DynamoDB says no."""
    answer: Any = {"Error": {"Code": code, "Message": f"{code}!"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutItem")


def holds(expression: str, item: Item, names: dict[str, str], values: dict[str, Any]) -> bool:
    """Whether a condition of `attribute_not_exists`, comparisons, AND, OR and brackets holds for an item."""
    tokens = deque(_TOKENS.findall(expression))
    assert "".join(tokens) == re.sub(r"\s", "", expression), "a condition that is not understood"

    def operand(token: str) -> Any:
        return values[token] if token.startswith(":") else item.get(names.get(token, token))

    def disjunction() -> bool:
        result = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.popleft()
            result = conjunction() or result
        return result

    def conjunction() -> bool:
        result = comparison()
        while tokens and tokens[0] == "AND":
            tokens.popleft()
            result = comparison() and result
        return result

    def comparison() -> bool:
        token = tokens.popleft()
        if token == "(":
            result = disjunction()
            assert tokens.popleft() == ")"
            return result
        if token == "attribute_not_exists":
            _, name, _ = (tokens.popleft() for _ in "(x)")
            return operand(name) is None
        sign, other = tokens.popleft(), tokens.popleft()
        return _compare(operand(token), sign, operand(other))

    result = disjunction()
    assert not tokens
    return result


def _compare(left: Any, sign: str, right: Any) -> bool:
    if left is None or right is None or left.keys() != right.keys():
        return False
    kind = next(iter(left))
    first, second = (Decimal(value[kind]) if kind == "N" else value[kind] for value in (left, right))
    return bool({"<": first < second, "<=": first <= second, "=": first == second}[sign])


def _stored(value: dict[str, Any]) -> dict[str, Any]:
    if "N" not in value:
        return dict(value)
    number = Decimal(value["N"])
    return {"N": format(number.normalize(), "f") if number else "0"}
