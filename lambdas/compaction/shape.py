"""What the records of a task look like: the fields seen so far, and a decoder made for exactly these."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from sensors.parse import RefusedError, parse
from sensors.reading import ATTRIBUTES, MAX_METRIC_NAME_CHARS, RESERVED_NAMES

IDENTITY: Final = ("device_id", "sensor_id", "topic_device_id")
VALUE: Final = "value"

_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys((*IDENTITY, *ATTRIBUTES), str),
    "timestamp": float | str,
    "received_at": float,
}
_ESCAPED = re.compile(r'[\x00-\x1f"\\]')  # in JSON they stand as escapes, which msgspec refuses to expect in a name
MAX_FIELDS: Final = 96
"""Names that get a column of their own while a block is decoded: of devices that invent names, those beyond stay with
the general decoder."""

Row = tuple[Any, ...]


class Shape:
    """Learns the fields of flat records and decodes records that have no others, and these in the type once seen.

    JSON is read by the parser of `sensors.parse`, told which fields to expect: what it accepts it reads alike.
    """

    def __init__(self) -> None:
        self._types: dict[str, Any] = {}
        self._expect_what_is_known()

    def rows(self, records: Sequence[bytes]) -> tuple[list[Row], list[int]]:
        """A tuple for each record, values in the order of `names`, None where absent; and which were not accepted."""
        try:
            return [*map(astuple, map(self._decode, records))], []
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._one_by_one(records)

    def _one_by_one(self, records: Sequence[bytes]) -> tuple[list[Row], list[int]]:
        decode = self._decode
        rows, refused = [], []
        for number, record in enumerate(records):
            try:
                rows.append(astuple(decode(record)))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                refused.append(number)
        return rows, refused

    def learn(self, record: bytes) -> None:
        """Take up the fields of a record that was not accepted, as far as the columns can hold them."""
        try:
            fields = parse(record)
        except RefusedError:
            return
        new = {name: kind for name, value in fields.items() if name not in self._types and (kind := _type(name, value))}
        if new and len(self._types) + len(new) <= MAX_FIELDS:
            self._types |= new
            self._expect_what_is_known()

    def _expect_what_is_known(self) -> None:
        own = {name: f"field_{number}" for number, name in enumerate(self._types)}
        expected = msgspec.defstruct(
            "Expected",
            [(own[name], kind, None) for name, kind in self._types.items()],
            rename={attribute: name for name, attribute in own.items()},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(expected).decode
        self.names = tuple(self._types)
        free = [name for name in self.names if name not in RESERVED_NAMES]
        self.metrics = tuple(name for name in free if self._types[name] is float and name != VALUE)
        self.ignored = tuple(name for name in free if self._types[name] is not float)


def _type(name: str, value: object) -> Any:
    """The type to expect of a field, None when only the general decoder knows what it means."""
    if name in _TYPES:
        return _TYPES[name]
    if name in RESERVED_NAMES or _ESCAPED.search(name):
        return None
    if type(value) is float or type(value) is int:
        return float if 0 < len(name) <= MAX_METRIC_NAME_CHARS else None
    return type(value) if type(value) in {bool, str} and name != VALUE else None
