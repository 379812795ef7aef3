"""Writing a batch to the hot table: chunks, retries within the deadline, and items that the table refuses."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import count, islice
from typing import Final, Protocol

import msgspec

from backoff import delay_s
from process_readings.wire import PassingError, PutRequests, RefusalError
from sensors.hot_items import Identity, Item

CHUNK: Final = 25  # BatchWriteItem's limit
LANES: Final = 4  # 20 chunks of 8 ms each take 40 ms instead of 160; more lanes gain little and meet throttles sooner

Puts = dict[Identity, str]
"""Put requests by the identity of their reading."""


class Outcome(msgspec.Struct):
    """What was not written, with DynamoDB's words: `failed` may succeed later, `refused` never will."""

    failed: dict[Identity, str] = {}
    refused: dict[Identity, str] = {}


class Table(Protocol):
    """What writes one chunk; `process_readings.wire.Wire` is."""

    def put(self, put_requests: Iterable[str]) -> PutRequests:
        """Write; return what was left unprocessed; raise PassingError, RefusalError, or what no retry helps."""


class Writer:
    """Writes put requests, a few chunks at a time."""

    def __init__(
        self,
        table: Table,
        identity: Callable[[Item], Identity],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table
        self._identity = identity
        self._sleep = sleep
        self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="hot-table")

    def write(self, puts: Puts, time_left_s: Callable[[], float]) -> Outcome:
        """Write everything that can be written while there is time left. Raises WireError."""
        rest = iter(puts.items())
        chunks = list(iter(lambda: dict(islice(rest, CHUNK)), {}))
        if len(chunks) <= 1:
            return self._lane(chunks, time_left_s)
        lanes = [self._pool.submit(self._lane, chunks[lane::LANES], time_left_s) for lane in range(LANES)]
        wait(lanes)  # also when one raises: nothing of this batch may still be under way when the next one starts
        outcome = Outcome()
        for lane in lanes:
            outcome.failed.update(lane.result().failed)
            outcome.refused.update(lane.result().refused)
        return outcome

    def _lane(self, chunks: Sequence[Puts], time_left_s: Callable[[], float]) -> Outcome:
        outcome = Outcome()
        for chunk in chunks:
            self._write(chunk, outcome, time_left_s)
        return outcome

    def _write(self, puts: Puts, outcome: Outcome, time_left_s: Callable[[], float]) -> None:
        why = "no time was left for the first attempt"
        for attempt in count():
            pause_s = delay_s(attempt)
            if pause_s >= time_left_s():
                outcome.failed.update(dict.fromkeys(puts, why))
                return
            self._sleep(pause_s)
            try:
                unprocessed = self._table.put(puts.values())
            except PassingError as error:
                why = str(error)
            except RefusalError as error:
                self._isolate(puts, str(error), outcome, time_left_s)
                return
            else:
                if not unprocessed:
                    return
                why = "left unprocessed by DynamoDB"
                left = [self._identity(put["PutRequest"]["Item"]) for put in unprocessed]
                puts = {identity: puts[identity] for identity in left}

    def _isolate(self, puts: Puts, why: str, outcome: Outcome, time_left_s: Callable[[], float]) -> None:
        """One item makes DynamoDB refuse its whole request: halve until it is alone, and write the others."""
        if len(puts) == 1:
            outcome.refused.update(dict.fromkeys(puts, why))
            return
        items = list(puts.items())
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            self._write(dict(half), outcome, time_left_s)
