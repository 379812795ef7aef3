"""A week of readings: recorded ones where recordings are at hand, else those of the simulated fleet."""

import base64
import gzip
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from compaction.hours import floor_hour, hour_prefix
from local.demo import RECORDED
from local.fleet import generate, replay

DAYS = 7
DEVICES = 10
EVERY = timedelta(hours=2)
"""A coarse sampling, of recordings that have a row a second: the whole week is 840 readings."""
READINGS = int(timedelta(days=DAYS) / EVERY)
DELAY = timedelta(seconds=2)
LATE = timedelta(hours=30)
"""Of the last day's, so late arrive in an hour in which nobody looks for the week."""
BATCH = 500


class Sent(NamedTuple):
    """A record as the topic rule puts it on the stream, and when it arrives there."""

    arrived: datetime
    record: bytes


def week(start: datetime) -> list[Sent]:
    """What the devices send in the seven days from `start` on, in order of arrival.

    One reading of a device a day arrives late, and each day something arrives that is none.
    """
    sent = [Sent(start + timedelta(days=day, hours=5), b"not a reading") for day in range(DAYS)]
    for device, readings in _values().items():
        for number, fields in enumerate(readings):
            measured = start + number * EVERY
            arrived = measured + (LATE if measured.hour == 22 else DELAY)
            stamps = {"timestamp": _ms(measured), "received_at": _ms(arrived), "topic_device_id": device}
            sent.append(Sent(arrived, json.dumps({**fields, **stamps}).encode()))
    return sorted(sent)


def archived(sent: list[Sent]) -> Iterator[tuple[str, bytes]]:
    """Keys and bodies of the objects that Firehose makes of them, one an hour of arrival."""
    for hour, group in itertools.groupby(sent, key=lambda one: floor_hour(one.arrived)):
        body = b"".join(one.record + b"\n" for one in group)
        yield f"{hour_prefix(hour)}archive-1-{hour:%Y-%m-%d-%H}.gz", gzip.compress(body)


def batches(sent: list[Sent]) -> Iterator[dict[str, Any]]:
    """The same as the events with which Lambda calls the function that reads the stream."""
    for first in range(0, len(sent), BATCH):
        yield {
            "Records": [
                {
                    "eventID": f"shardId-000000000000:{number}",
                    "kinesis": {
                        "sequenceNumber": str(number),
                        "data": base64.b64encode(one.record).decode(),
                        "approximateArrivalTimestamp": one.arrived.timestamp(),
                    },
                }
                for number, one in enumerate(sent[first : first + BATCH], first)
            ]
        }


def _values() -> dict[str, list[dict[str, Any]]]:
    """As many readings of each device as the week has; their times are those of the recording or of the fleet."""
    values = defaultdict(list)
    for message in _recorded() if RECORDED.is_dir() else _generated():
        values[message.device_id].append(json.loads(message.payload))
    return {device: found[:: len(found) // READINGS][:READINGS] for device, found in values.items()}


def _recorded() -> Iterator[replay.Message]:
    recordings = replay.open_recordings(replay.find(RECORDED / "skab")[:DEVICES])
    return replay.messages(recordings, replay.Report(), _ms(datetime.now(UTC)))


def _generated() -> Iterator[generate.Message]:
    plan = generate.Plan(DEVICES, rate=DEVICES / EVERY.total_seconds(), duration_s=DAYS * 86_400, seed=5)
    return generate.messages(plan, start_ms=0)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
