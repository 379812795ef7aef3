"""A shard in memory with a scripted function behind it, and a clock on which waiting takes no time."""

from collections.abc import Callable, Sequence

from local.additions.functions.batches import Answer, Part, Policy, Record
from local.additions.functions.event_source import Clock, Lane

NOW = 1_800_000_000.0
FAILED = Answer(error="boom")


class JumpingClock(Clock):
    """Waits take no time, they only move the clock; `at` runs something when a moment is reached."""

    def __init__(self) -> None:
        super().__init__()
        self.time = NOW
        self.events: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds
        due = [event for event in self.events if event[0] <= self.time]
        self.events = [event for event in self.events if event[0] > self.time]
        for _, run in due:
            run()

    def at(self, moment: float, run: Callable[[], None]) -> None:
        self.events.append((moment, run))


class Shard:
    """A shard in memory and the function behind it: `function` gets the keys of a batch and answers for it."""

    def __init__(self, policy: Policy, function: Callable[[list[str]], Answer], clock: Clock) -> None:
        self.parameters = policy
        self.function = function
        self.clock = clock
        self.records: list[Record] = []
        self.batches: list[list[str]] = []
        self.discarded: list[tuple[str, list[str], int]] = []
        self.checkpoints: dict[int, int] = {}

    def put(self, *keys: str, data: str = "e30=") -> None:
        for key in keys:
            self.records.append(Record(str(len(self.records) + 1), key, data, self.clock.now()))

    def policy(self) -> Policy:
        return self.parameters

    def read(self, after: int, limit: int) -> Sequence[Record]:
        return self.records[after : after + limit]

    def invoke(self, records: Sequence[Record]) -> Answer:
        keys = [record.partition_key for record in records]
        self.batches.append(keys)
        return self.function(keys)

    def discard(self, part: Part, condition: str) -> None:
        self.discarded.append((condition, [record.partition_key for record in part.records], part.invocations))

    def checkpoint(self, lane: int, sequence: int) -> None:
        assert sequence > self.checkpoints.get(lane, 0), "a checkpoint never goes back"
        self.checkpoints[lane] = sequence

    def drain(self, index: int = 0, lanes: int = 1) -> None:
        lane = Lane(self, self.clock, self.checkpoints.get(index, 0), index, lanes)
        while lane.work():
            pass

    def failing_at(self, *keys: str) -> Callable[[list[str]], Answer]:
        """A function that reports the sequence numbers of these keys as failed."""

        def function(batch: list[str]) -> Answer:
            sequences = {record.partition_key: record.sequence for record in self.records}
            failures = [{"itemIdentifier": str(sequences[key])} for key in batch if key in keys]
            return Answer(body={"batchItemFailures": failures})

        return function


def always(answer: Answer) -> Callable[[list[str]], Answer]:
    return lambda _: answer


def unless(bad: str) -> Callable[[list[str]], Answer]:
    """A function that fails as a whole when `bad` is in the batch."""
    return lambda batch: FAILED if bad in batch else Answer()


def succeed(_: list[str]) -> Answer:
    return Answer()


def shard(clock: Clock, function: Callable[[list[str]], Answer] = succeed, **policy: object) -> Shard:
    return Shard(Policy(**policy), function, clock)  # type: ignore[arg-type]
