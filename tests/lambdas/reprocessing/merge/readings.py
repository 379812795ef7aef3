"""Readings for tests as a merge hands them on: tables in order of key, cut at any keys."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from optimization.manifests import Key
from optimization.ranges import KeyRange
from optimization.reading import rows_schema
from sensors.reading import ATTRIBUTES
from sensors.rules import Rule
from sensors.settings import Threshold

COLUMNS = ("temperature", "vibration")
DAY_MS = 86_400_000

RULES = (
    Rule("temperature", "°C", Threshold("warning", above=1.0)),
    Rule("temperature", "°C", Threshold("critical", above=2.0)),
    Rule("vibration", "mm/s", Threshold("warning", below=-1.0)),
    Rule("humidity", "%", Threshold("warning", above=0.0)),  # of `other_metrics`
)


class Held(NamedTuple):
    """What a reading says. Values of `aside` stand in `other_metrics`, whatever columns there are."""

    metrics: Mapping[str, float]
    aside: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = {}
    source: str = "raw-data/a.gz"
    received_at: int = 0


Readings = Mapping[Key, Held]

_values = st.floats(-3, 3, width=16).map(lambda value: value + 0.0)  # no minus zero
_names = st.sampled_from([*COLUMNS, "humidity", "x"])
held = st.builds(
    Held,
    metrics=st.dictionaries(_names, _values, min_size=1),
    aside=st.frozensets(_names),
    attributes=st.dictionaries(st.sampled_from(["location", "sensor_type"]), st.sampled_from(["", "a"])),
    source=st.sampled_from(["raw-data/a.gz", "raw-data/b.gz"]),
    received_at=st.integers(0, 3),
)
keys = st.tuples(st.sampled_from(["a", "a.1", "b", "é"]), st.one_of(st.integers(0, 9), st.integers(DAY_MS, DAY_MS + 3)))
readings = st.dictionaries(keys, held, max_size=25)
cuts = st.lists(keys, max_size=4).map(sorted)


def table(content: Readings) -> pa.Table:
    """The readings as rows of a piece."""
    rows = [_row(key, content[key]) for key in sorted(content)]
    return pa.Table.from_pylist(rows, schema=rows_schema(COLUMNS))


def _row(key: Key, reading: Held) -> dict[str, Any]:
    own = {name: value for name, value in reading.metrics.items() if name in COLUMNS and name not in reading.aside}
    others = sorted((name, value) for name, value in reading.metrics.items() if name not in own)
    return {
        **dict.fromkeys(ATTRIBUTES),
        **reading.attributes,
        **own,
        "device_id": key[0],
        "measured_at": key[1],
        "other_metrics": others or None,
        "received_at": reading.received_at,
        "source_object": reading.source,
    }


def between(content: Readings, bounds: Sequence[Key]) -> Iterator[Readings]:
    """The readings cut at these keys, which are in order."""
    for start, end in zip([None, *bounds], [*bounds, None], strict=True):
        keys = KeyRange(start, end)
        yield {key: content[key] for key in content if keys.meets(key, key)}
