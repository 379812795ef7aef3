"""The event source at work in MiniStack: a thread for each concurrent batch of every mapped Kinesis shard.

Takes the place of MiniStack's own Kinesis poller, which retries for ever, knows no partial batch response, and takes
shards in turn.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Iterator

from local.additions.functions.event_source import Clock, Lane
from local.additions.functions.mapped_shard import MappedShard

RECONCILE_S = 0.5  # between looks at which mappings there are

log = logging.getLogger("event_source")


@dataclasses.dataclass
class Worker:
    """A lane and the thread that runs it."""

    clock: Clock
    thread: threading.Thread


class Poller:
    """Keeps one worker for each lane that there should be."""

    def __init__(self) -> None:
        self._workers: dict[tuple[object, ...], Worker] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-source", daemon=True)

    def start(self) -> None:
        """Look after the mappings from now on."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Let every running invocation end, begin no other."""
        self._stopping.set()
        deadline = time.monotonic() + timeout_s
        self._thread.join(timeout_s)
        for worker in self._workers.values():
            worker.clock.stop()
        for worker in self._workers.values():
            worker.thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self._stopping.wait(RECONCILE_S):
            try:
                self._reconcile()
            except Exception:
                log.exception("Looking after the event source mappings failed; trying again")

    def _reconcile(self) -> None:
        """Stop the lanes that nobody wants any more, then start those that are missing."""
        wanted = {key: lane for mapped in mapped_shards() for key, lane in _lanes(mapped)}
        for key in [key for key in self._workers if key not in wanted]:
            self._workers[key].clock.stop()
        ended = [key for key, worker in self._workers.items() if not worker.thread.is_alive()]
        for key in ended:
            del self._workers[key]
        if any(worker.clock.stopped for worker in self._workers.values()):
            return  # a changed mapping starts anew when its last invocation has ended
        for key, (mapped, index) in wanted.items():
            if key not in self._workers:
                self._workers[key] = _start(mapped, index)


def mapped_shards() -> Iterator[MappedShard]:
    """Every shard that an enabled mapping of an existing function reads."""
    from ministack.core.arn import parse_arn
    from ministack.services import kinesis, lambda_svc

    for account, region, mapping in lambda_svc._iter_all_esms():
        arn = parse_arn(mapping.get("EventSourceArn", ""))
        if arn.service != "kinesis" or str(mapping.get("Enabled", True)).lower() == "false":
            continue
        stream = kinesis._streams.get_scoped(arn.account_id, arn.region, arn.resource.removeprefix("stream/"))
        if stream and stream["StreamStatus"] == "ACTIVE":
            for shard_id in list(stream["shards"]):
                yield MappedShard((account, region), mapping, stream, shard_id)


def _lanes(mapped: MappedShard) -> Iterator[tuple[tuple[object, ...], tuple[MappedShard, int]]]:
    for index in range(mapped.lanes):
        yield (mapped.mapping["UUID"], mapped.stream_id, mapped.shard_id, index, mapped.lanes), (mapped, index)


def _start(mapped: MappedShard, index: int) -> Worker:
    from ministack.core.responses import request_scope

    clock = Clock()
    lane = Lane(mapped, clock, mapped.starting_position(index), index, mapped.lanes)

    def run() -> None:
        with request_scope(*mapped.scope):
            lane.run()

    worker = Worker(clock, threading.Thread(target=run, name=f"{mapped.shard_id}/{index}", daemon=True))
    worker.thread.start()
    return worker


def install() -> Poller:
    """Put the poller in the place of MiniStack's; it runs when started."""
    from ministack.services import lambda_svc

    lambda_svc._poll_kinesis = lambda: False
    return Poller()
