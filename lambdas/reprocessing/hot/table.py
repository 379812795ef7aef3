"""The hot table as a reprocessing sees it: items read by key, and written unless they hold something newer.

What passes by itself is tried again while there is time; a write, and each repetition of it, waits for its turn.
"""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's name

from backoff import delay_s
from compaction.store import error_code
from sensors.hot_items import Item

KEYS: Final = 100  # BatchGetItem's limit

# DynamoDB Developer Guide, "Error handling with DynamoDB", as in `process_readings.wire`; with every status of 500 on
_PASSING: Final = frozenset({"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"})
_BOOKKEEPING: Final = ("processed_at", "reprocessed_by", "expires_at")

# An item without `received_at` is from before items had it.
_NOT_NEWER: Final = (
    "attribute_not_exists(#device) OR attribute_not_exists(received_at) OR received_at < :received_at "
    "OR (received_at = :received_at AND processed_at <= :processed_at)"
)

Answer = TypeVar("Answer")


class TimeIsUp(Exception):  # noqa: N818 - no error of anybody's
    """The rest is for another invocation; the message says what held up this one."""


class NewerItem(Exception):  # noqa: N818 - an outcome
    """The item holds a version from later."""


class RefusedItem(Exception):  # noqa: N818 - an outcome
    """DynamoDB does not take this item, and never will; the message has its words."""


class Pace:
    """Gives turns, each at least `1 / rate` seconds after the last, the first that long after the beginning.

    So that no window, not even the first second, has more than `rate` times its length, rounded up; and no more when
    another invocation goes on where this one ends.
    """

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._interval_s = 1 / rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = clock() + self._interval_s

    def turn(self, time_left_s: Callable[[], float]) -> bool:
        """Wait for the next turn; False, at once, when it would come after the time that is left."""
        with self._lock:
            wait_s = self._next - self._clock()
            if wait_s >= time_left_s():
                return False
            while wait_s > 0:  # a sleep may end a little early
                self._sleep(wait_s)
                wait_s = self._next - self._clock()
            self._next = self._clock() + self._interval_s
            return True


class Access:
    """One invocation's access; safe to use from several threads at once.

    `dynamodb` is a client that does not try again by itself, or writes would be more than there were turns for.
    """

    def __init__(
        self,
        dynamodb: Any,
        name: str,
        device_key: str,
        pace: Pace,
        time_left_s: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._device_key = device_key
        self._pace = pace
        self._time_left_s = time_left_s
        self._sleep = sleep

    def read(self, keys: Iterable[Item]) -> list[Item]:
        """The items of at most KEYS distinct keys, as they are now. Raises TimeIsUp, ClientError."""
        found: list[Item] = []
        wanted = list(keys)
        attempt = 0
        while wanted:
            answer = self._patiently(partial(self._get, wanted), attempt)
            found += answer["Responses"].get(self._name, [])
            wanted = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            attempt += 1
        return found

    def write(self, item: Item) -> None:
        """Put an item that is not there, or not newer. Raises NewerItem, RefusedItem, TimeIsUp, ClientError."""
        try:
            self._patiently(lambda: self._put(item))
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                raise NewerItem from None
            if error_code(error) == "ValidationException":
                raise RefusedItem(str(error)) from None
            raise

    def _get(self, keys: list[Item]) -> dict[str, Any]:
        request = {self._name: {"Keys": keys, "ConsistentRead": True}}
        answer: dict[str, Any] = self._dynamodb.batch_get_item(RequestItems=request)
        return answer

    def _put(self, item: Item) -> None:
        if not self._pace.turn(self._time_left_s):
            raise TimeIsUp("the rate leaves no time for another item")
        self._dynamodb.put_item(
            TableName=self._name,
            Item=item,
            ConditionExpression=_NOT_NEWER,
            ExpressionAttributeNames={"#device": self._device_key},
            ExpressionAttributeValues={f":{name}": item[name] for name in ("received_at", "processed_at")},
        )

    def _patiently(self, call: Callable[[], Answer], first_attempt: int = 0) -> Answer:
        why = "DynamoDB left keys unprocessed" if first_attempt else "no time was left for the first attempt"
        for attempt in count(first_attempt):
            pause_s = delay_s(attempt)
            if pause_s >= self._time_left_s():
                raise TimeIsUp(why)
            self._sleep(pause_s)
            try:
                return call()
            except (ConnectionError, HTTPClientError) as error:  # whatever kept an answer away
                why = str(error)
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if status < 500 and error_code(error) not in _PASSING:
                    raise
                why = str(error)
        raise AssertionError("count() has no end")


def content(item: Item) -> dict[str, float | str]:
    """What an item says of its reading, whatever way DynamoDB writes its numbers: all but by whom and until when.

    The key's time is one of them.
    """
    values = {name: next(iter(value.items())) for name, value in item.items() if name not in _BOOKKEEPING}
    return {name: float(value) if kind == "N" else str(value) for name, (kind, value) in values.items()}


def is_newer(item: Item, than: Item) -> bool:
    """Whether an item would be kept by the condition under which another is put."""
    if "received_at" not in item:
        return False
    held, given = (float(one["received_at"]["N"]) for one in (item, than))
    if held == given and "processed_at" in item:
        return bool(item["processed_at"]["S"] > than["processed_at"]["S"])
    return held >= given
