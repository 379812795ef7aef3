"""Messages no reading can be made of, each with the reason the system must give.

Two of the decoder's reasons cannot be provoked over MQTT: the topic always names a device (`missing_device_id`), and
AWS IoT refuses messages of more than 128 KiB itself (`too_large`).
"""

import json
from collections.abc import Callable
from typing import NamedTuple

DAY_MS = 86_400_000


class Garbage(NamedTuple):
    """One sort of garbage: how it is made from a device's name and the time in ms."""

    name: str
    reason: str
    make: Callable[[str, int], bytes]


def _fields(**fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


GARBAGE = (
    Garbage("not_json", "not_json", lambda device, _: f"{device}: sensor restarted".encode()),
    Garbage("cut_short", "not_json", lambda device, at: _fields(device_id=device, timestamp=at, temperature=61.5)[:-9]),
    Garbage("not_a_number", "not_json", lambda _, at: f'{{"timestamp":{at},"temperature":NaN}}'.encode()),
    Garbage("invalid_utf8", "not_json", lambda _, at: b'{"timestamp":%d,"note":"\xff\xfe","temperature":1}' % at),
    Garbage("array", "not_an_object", lambda _, at: json.dumps([at, 61.5]).encode()),
    Garbage("bare_number", "not_an_object", lambda _device, _at: b"61.5"),
    Garbage("no_timestamp", "missing_timestamp", lambda device, _: _fields(device_id=device, temperature=61.5)),
    Garbage("time_without_zone", "bad_timestamp", lambda _, __: _fields(timestamp="2026-01-31 08:00:00", vibration=4)),
    Garbage("time_in_words", "bad_timestamp", lambda _, __: _fields(timestamp="yesterday", vibration=4)),
    Garbage("tomorrow", "timestamp_in_future", lambda _, at: _fields(timestamp=at + DAY_MS, temperature=61.5)),
    Garbage("bad_name", "bad_device_id", lambda _, at: _fields(device_id="pump #7", timestamp=at, temperature=61.5)),
    Garbage("stranger", "identity_mismatch", lambda _, at: _fields(device_id="stranger", timestamp=at, pressure=2.1)),
    Garbage("no_metrics", "no_metrics", lambda device, at: _fields(device_id=device, timestamp=at, status="ok")),
    Garbage("huge_value", "bad_metric", lambda _, at: _fields(timestamp=at, temperature=1e200)),
    Garbage(
        "too_many_metrics",
        "too_many_metrics",
        lambda _, at: _fields(timestamp=at, metrics={f"channel_{number}": number for number in range(65)}),
    ),
)
