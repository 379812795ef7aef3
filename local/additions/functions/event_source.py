"""How Lambda reads a Kinesis shard for a function: batches, retries, bisecting, checkpoints. Knows no emulator.

The rules are those of the Lambda Developer Guide, "Using Lambda to process records from Amazon Kinesis Data Streams"
and its pages on partial batch responses and on-failure destinations. Where the guide is silent: a partial response
that leaves the whole batch undone is split in halves when bisecting is on, as a function error is.
"""

import dataclasses
import itertools
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from local.additions.functions.batches import INFINITE, PAYLOAD_BYTES, Answer, Part, Policy, Record, completed, lane_of

READ_RECORDS = 2000  # looked at in one read of a shard
IDLE_S = 0.2  # between looks at an empty shard; AWS: once a second
FIRST_RETRY_S = 0.1  # AWS starts slower and waits up to minutes; here a person is watching
LONGEST_RETRY_S = 2.0


class Clock:
    """Time, and the wait that a stop interrupts."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """Sleep, or return at once when stopped."""
        self._stop.wait(seconds)

    def stop(self) -> None:
        """End every wait; lanes finish the invocation that runs and begin no other."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()


class Source(Protocol):
    """One shard, and the function that its records go to."""

    def policy(self) -> Policy:
        """The mapping's parameters as they are now; an update takes effect with the next batch."""

    def read(self, after: int, limit: int) -> Sequence[Record]:
        """Records of the shard with a sequence number greater than `after`, oldest first."""

    def invoke(self, records: Sequence[Record]) -> Answer:
        """Call the function with one batch."""

    def discard(self, part: Part, condition: str) -> None:
        """Send records that are given up to the on-failure destination. Must not raise: the shard goes on."""

    def checkpoint(self, lane: int, sequence: int) -> None:
        """Everything of this lane up to `sequence` is done."""


class Lane:
    """Reads its part of one shard in order, one batch at a time."""

    def __init__(self, source: Source, clock: Clock, after: int, index: int = 0, lanes: int = 1) -> None:
        self._source = source
        self._clock = clock
        self._read_to = after
        self._done_to = after
        self._index = index
        self._lanes = lanes
        self._waiting: list[Record] = []

    def run(self) -> None:
        """Work until the clock is stopped."""
        while not self._clock.stopped:
            if not self.work():
                self._clock.wait(IDLE_S)

    def work(self) -> bool:
        """Gather one batch and see it through; False when there was nothing to do."""
        policy = self._source.policy()
        count = self._gather(policy)
        if not count:
            if not self._waiting:
                self._done(self._read_to)  # only other lanes' records since the last batch
            return False
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._see_through(batch, policy)
        return True

    def _gather(self, policy: Policy) -> int:
        """Wait for a full batch, 6 MB or the end of the batching window; the number of records to send."""
        closes_at: float | None = None
        while not self._clock.stopped:
            count, full = self._batch(policy)
            if full or not count:
                return count
            if closes_at is None:
                closes_at = self._clock.now() + policy.window_s
            remaining_s = closes_at - self._clock.now()
            if remaining_s <= 0:
                return count
            self._clock.wait(min(remaining_s, IDLE_S))
        return 0

    def _batch(self, policy: Policy) -> tuple[int, bool]:
        """How many of the waiting records the next batch takes, and whether it can take no more."""
        while len(self._waiting) < policy.batch_size and self._read():
            pass
        sizes = itertools.accumulate(record.size_bytes for record in self._waiting[: policy.batch_size])
        fitting = sum(size <= PAYLOAD_BYTES for size in sizes)
        count = max(fitting, 1) if self._waiting else 0  # a record of more than 6 MB cannot exist
        return count, count == policy.batch_size or count < len(self._waiting)

    def _read(self) -> bool:
        """Take this lane's share of the next records; False when the shard has no more."""
        records = self._source.read(self._read_to, READ_RECORDS)
        if not records:
            return False
        self._read_to = records[-1].sequence
        self._waiting += [record for record in records if lane_of(record.partition_key, self._lanes) == self._index]
        return True

    def _see_through(self, batch: Sequence[Record], policy: Policy) -> None:
        """Invoke until every record is done or given up; the parts of a split batch keep their order."""
        parts = [Part(batch)]
        while parts and not self._clock.stopped:
            part = self._without_aged(parts.pop(), policy)
            if not part.records:
                continue
            answer = self._source.invoke(part.records)
            done = completed(answer, part.records, policy)
            if done:
                self._done(part.records[done - 1].sequence)
            if done < len(part.records):
                left = Part(part.records[done:], part.failures, part.invocations + (not answer.throttled), answer)
                parts += self._again(left, policy, progressed=done > 0)

    def _again(self, part: Part, policy: Policy, *, progressed: bool) -> list[Part]:
        """What to try next of records that failed, last first. Splitting does not use up a retry."""
        if part.answer and part.answer.throttled:
            self._clock.wait(FIRST_RETRY_S)
            return [part]
        if policy.bisect and progressed:
            return [part]
        if policy.bisect and len(part.records) > 1:
            middle = (len(part.records) + 1) // 2
            halves = part.records[middle:], part.records[:middle]
            return [dataclasses.replace(part, records=half) for half in halves]
        if policy.retries != INFINITE and part.failures >= policy.retries:
            self._give_up(part, "RetryAttemptsExhausted")
            return []
        self._clock.wait(min(FIRST_RETRY_S * 2**part.failures, LONGEST_RETRY_S))
        return [dataclasses.replace(part, failures=part.failures + 1)]

    def _without_aged(self, part: Part, policy: Policy) -> Part:
        """Give up the records that are older than the mapping allows; the rest."""
        if policy.record_age_s == INFINITE:
            return part
        oldest = self._clock.now() - policy.record_age_s
        aged = list(itertools.takewhile(lambda record: record.arrived_at < oldest, part.records))
        if aged:
            self._give_up(dataclasses.replace(part, records=aged), "RecordAgeExceeded")
        return dataclasses.replace(part, records=part.records[len(aged) :])

    def _give_up(self, part: Part, condition: str) -> None:
        self._source.discard(part, condition)
        self._done(part.records[-1].sequence)

    def _done(self, sequence: int) -> None:
        if sequence > self._done_to:
            self._done_to = sequence
            self._source.checkpoint(self._index, sequence)
