"""The hot table's items: a reading as the text of a BatchWriteItem request, and the way back from an item's key.

Real time and a reprocessing write them alike.
"""

import zlib
from functools import lru_cache
from typing import Any, Final

import msgspec

from sensors.reading import Reading
from sensors.settings import HotTable
from sensors.times import from_text, iso_ms

Item = dict[str, dict[str, Any]]
"""An item's attribute values by name: `{"pressure": {"N": "6.1"}}`."""

Identity = tuple[str, int]
"""`device_id` and `measured_at_ms`."""

TIME_KEY: Final = "timestamp"
DAY_S: Final = 86_400


class Items:
    """Writes readings as put requests.

    The text is made directly, because going through attribute-value dicts and a serializer takes several times as
    long. It stays far below the limits: with the longest names and attributes that the contract allows, a put
    request has less than 110 KB of 400, and 25 of them less than 3 MB of 16.
    """

    def __init__(self, table: HotTable) -> None:
        self._table = table
        self._iso_8601 = table.time_format == "iso8601"
        self._retention_s = table.retention_days * DAY_S
        index = table.sensor_type_index
        self._shards = index.shards if index is not None else 0

    def put_request(self, reading: Reading, processed_at: str) -> str:
        """The JSON text of one put request; `processed_at` is ISO-8601."""
        members = "".join([f'{_name(name)}{value!r}"}}' for name, value in reading.metrics.items()])
        if reading.attributes:
            members += self._attributes(reading)
        moment, received_at_ms = reading.measured_at_ms, reading.received_at_ms
        time = f'"S":"{iso_ms(moment)}"' if self._iso_8601 else f'"N":"{_seconds(moment)}"'
        return (
            f'{{"PutRequest":{{"Item":{{"{self._table.device_key}":{{"S":"{reading.device_id}"}},"{TIME_KEY}":{{{time}}}'
            f'{members},"received_at":{{"N":"{received_at_ms}"}},"processed_at":{{"S":"{processed_at}"}}'
            f',"expires_at":{{"N":"{received_at_ms // 1000 + self._retention_s}"}}}}}}}}'
        )

    def item(self, reading: Reading, processed_at: str) -> Item:
        """The same as attribute values, for whoever writes one at a time."""
        item: Item = msgspec.json.decode(self.put_request(reading, processed_at))["PutRequest"]["Item"]
        return item

    def key(self, item: Item) -> Item:
        """The two attributes of an item that are its key."""
        return {name: item[name] for name in (self._table.device_key, TIME_KEY)}

    def kept_from_ms(self, now_s: float) -> int:
        """The first arrival, in epoch milliseconds, whose reading is not past its time."""
        return (int(now_s) + 1 - self._retention_s) * 1000

    def identity(self, item: Item) -> Identity:
        """The reading that an item of an answer, or its key, is of, whatever way DynamoDB writes the number."""
        time = item[TIME_KEY]
        moment_ms = from_text(time["S"]) if self._iso_8601 else round(float(time["N"]) * 1000)
        if moment_ms is None:
            raise ValueError(f"{time} is not the {TIME_KEY} of an item that we wrote")
        return item[self._table.device_key]["S"], moment_ms

    def _attributes(self, reading: Reading) -> str:
        attributes = dict(reading.attributes)
        if self._shards and "sensor_type" in attributes:
            shard = zlib.crc32(reading.device_id.encode("ascii")) % self._shards
            attributes["sensor_type_shard"] = f"{attributes['sensor_type']}#{shard}"
        return "".join([f',"{name}":{{"S":{_text(value)}}}' for name, value in attributes.items()])


def _seconds(moment_ms: int) -> str:
    """Epoch seconds with as many decimals as needed, which is how DynamoDB writes a number too."""
    return repr(moment_ms / 1000) if moment_ms % 1000 else str(moment_ms // 1000)


@lru_cache(maxsize=4096)
def _name(metric: str) -> str:
    """A number attribute up to its digits."""
    return f',{_text(metric)}:{{"N":"'


@lru_cache(maxsize=4096)
def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
