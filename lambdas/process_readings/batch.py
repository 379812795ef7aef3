"""One batch of the stream: decode, store, and say what to set aside, what to alert of and from where to come again.

Knows no AWS client: `Processor.write` stores, and the handler delivers what `Processor.process` returns.
"""

from binascii import a2b_base64
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from alerting import Alert, alerts
from process_readings.writing import Outcome, Puts
from sensors import quarantine
from sensors.counts import Counts, count
from sensors.decode import decode
from sensors.dedupe import last_received
from sensors.hot_items import Identity, Items
from sensors.reading import Reading, Reason, Rejection
from sensors.rules import Rule
from sensors.settings import Decoding

StreamRecord = dict[str, Any]
"""A record as Lambda hands it over; those of a batch are of one shard and in the order of their sequence numbers."""


class TableRefusedError(Exception):
    """The hot table refused every item of a batch: it is not the table that the settings describe."""


class Quarantined(msgspec.Struct, frozen=True):
    """An object to be written to the quarantine."""

    key: str
    body: bytes


class Result(msgspec.Struct, frozen=True):
    """What became of the records before the first that failed, or of all of them when `failed_sequence` is None.

    The records from `failed_sequence` on are delivered again, so that nothing here is about them.
    """

    counts: Counts
    quarantined: Quarantined | None
    alerts: list[Alert]
    failed_sequence: str | None
    failures: list[str]


class Processor(msgspec.Struct, frozen=True):
    """The rules of one system, and the way to its hot table."""

    system: str
    decoding: Decoding
    rules: Sequence[Rule]
    items: Items
    write: Callable[[Puts, Callable[[], float]], Outcome]

    def process(self, records: Sequence[StreamRecord], processed_at: str, time_left_s: Callable[[], float]) -> Result:
        """Decode and store a batch. Raises TableRefusedError, and what `write` raises: the batch then comes again."""
        results = [self._decode(record["kinesis"]) for record in records]
        places = [at for at, result in enumerate(results) if isinstance(result, Reading)]
        readings = [result for result in results if isinstance(result, Reading)]
        kept = {places[position]: readings[position] for position in last_received(readings)}

        outcome = self._store(kept.values(), processed_at, time_left_s)
        for at in [at for at, reading in kept.items() if _identity(reading) in outcome.refused]:
            results[at] = _rejection(kept.pop(at), outcome.refused)
        end = _first_failed(results, outcome) if outcome.failed else len(records)

        settled = results[:end]
        stored = [reading for at, reading in kept.items() if at < end]
        rejected = [(at, result) for at, result in enumerate(settled) if isinstance(result, Rejection)]
        duplicate = sum(isinstance(result, Reading) and at not in kept for at, result in enumerate(settled))
        return Result(
            counts=count(end, stored, duplicate, [rejection for _, rejection in rejected]),
            quarantined=_quarantined(records, rejected) if rejected else None,
            alerts=alerts(self.system, stored, self.rules),
            failed_sequence=records[end]["kinesis"]["sequenceNumber"] if end < len(records) else None,
            failures=sorted(set(outcome.failed.values())),
        )

    def _decode(self, kinesis: dict[str, Any]) -> Reading | Rejection:
        return decode(a2b_base64(kinesis["data"]), int(kinesis["approximateArrivalTimestamp"] * 1000), self.decoding)

    def _store(self, readings: Collection[Reading], processed_at: str, time_left_s: Callable[[], float]) -> Outcome:
        put_request = self.items.put_request
        outcome = self.write({_identity(one): put_request(one, processed_at) for one in readings}, time_left_s)
        if readings and len(outcome.refused) == len(readings):
            raise TableRefusedError(
                f"The hot table refused all {len(readings)} readings of a batch. Compare its keys with the settings. "
                f"It says: {next(iter(outcome.refused.values()))}"
            )
        return outcome


def _identity(reading: Reading) -> Identity:
    return reading.device_id, reading.measured_at_ms


def _rejection(reading: Reading, refused: dict[Identity, str]) -> Rejection:
    """What the decoder found good and the table never takes: set aside, so that it does not hold up its shard."""
    return Rejection(
        Reason.BAD_METRIC, f"the hot table refused it: {refused[_identity(reading)]}", reading.received_at_ms
    )


def _first_failed(results: Sequence[Reading | Rejection], outcome: Outcome) -> int:
    """Place of the first record whose reading was not written, be it as the duplicate of one that was not."""
    return next(
        at for at, result in enumerate(results) if isinstance(result, Reading) and _identity(result) in outcome.failed
    )


def _quarantined(records: Sequence[StreamRecord], rejected: Sequence[tuple[int, Rejection]]) -> Quarantined:
    """The quarantine object of a batch, named by the batch's place so that a repetition overwrites it."""
    shard, _, first = records[0]["eventID"].partition(":")
    name = f"{shard}-{first}-{records[-1]['kinesis']['sequenceNumber']}"
    lines = [
        quarantine.line(rejection, a2b_base64(records[at]["kinesis"]["data"]), "stream", records[at]["eventID"])
        for at, rejection in rejected
    ]
    return Quarantined(quarantine.key([rejection for _, rejection in rejected], "stream", name), quarantine.pack(lines))
