"""A table with a past: two schemas added to the first, partitions of days and of hours, duplicates, a rewrite.

What the rows should be is computed from the payloads alone.
"""

import dataclasses
import functools
import itertools
import os
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from tests import lake as lakes
from tests.lake import AT, Lake, reading
from tests.upkeep import Upkeep

DAY, HOUR = 86_400, 3_600
DEVICES = [f"pump-{number}" for number in range(1, 8)]

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class State:
    """The table after a commit: its snapshot, its metadata file, its columns, its rows without their nulls."""

    snapshot_id: int
    metadata_location: str
    columns: list[str]
    rows: list[Row]


@functools.cache
def history() -> tuple[Lake, dict[str, State]]:
    """The lake on the embedded AWS, and the table after each run."""
    with mock.patch.dict(os.environ, lakes.environ()):
        lake, states = Lake(), {}
        rows = _compact(lake, "first", [*_spread(AT), *_spread(AT - DAY), *_odd()])
        states["first"] = _state(lake, rows)
        lake.metrics, lake.partition_by = ("temperature", "vibration", "pressure"), "hour"
        rows = [*rows, *_compact(lake, "hours", _spread(AT + HOUR, pressure=1.5))]
        states["hours"] = _state(lake, rows)
        lake.metrics = ("temperature", "vibration", "pressure", "humidity")
        again = [
            payload | {"received_at": payload["received_at"] + 60_000}
            for payload in [*_spread(AT), *_spread(AT + HOUR)]
        ]
        rows = [*rows, *_compact(lake, "again", [*again, *_spread(AT + 2 * HOUR)])]
        states["again"] = _state(lake, rows)
        for number in itertools.count():
            if Upkeep(lake).run(f"rewrite-{number}") is None:
                break
        states["rewrite"] = _state(lake, _last_received(rows))
    return lake, states


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["device_id"], row["measured_at"], row["received_at"]))


def _spread(start: float, **metrics: float) -> list[dict[str, Any]]:
    """A reading of every device each ten minutes of an hour."""
    return [
        reading(device, start + minute * 60, temperature=number - minute / 8, humidity=minute / 2, **metrics)
        for number, device in enumerate(DEVICES)
        for minute in range(0, 60, 10)
    ]


def _odd() -> list[dict[str, Any]]:
    """Values at the edges of their types, and attributes."""
    return [
        reading("a", AT, temperature=0.0, sensor_type="Fühler", location="Halle 3 'Süd'", facility="工場"),
        reading("z" * 128, AT + 0.001, vibration=1e125, equipment_type='"press"\n'),
        reading("b", 1, temperature=-1e-130, pressure=2) | {"received_at": AT * 1000},
    ]


def _compact(lake: Lake, run_id: str, payloads: list[dict[str, Any]]) -> list[Row]:
    """Compact the payloads in three objects; the rows that come of them."""
    rows = []
    for number in range(3):
        own = payloads[number::3]
        key = lake.put(f"{run_id}-{number}", own)
        rows += [_row(payload, key, lake.metrics) for payload in own]
    lake.run(run_id)
    return rows


def _row(payload: dict[str, Any], source_object: str, declared: tuple[str, ...]) -> Row:
    attributes = ("sensor_type", "location", "facility", "equipment_type")
    known = {"device_id", "timestamp", "topic_device_id", "received_at", *attributes}
    metrics = {name: float(value) for name, value in payload.items() if name not in known}
    others = {name: value for name, value in metrics.items() if name not in declared}
    return {
        "device_id": payload["device_id"],
        "measured_at": datetime.fromtimestamp(payload["timestamp"], UTC),
        "received_at": datetime.fromtimestamp(payload["received_at"] / 1000, UTC),
        "source_object": source_object,
        **{name: payload[name] for name in attributes if name in payload},
        **{name: value for name, value in metrics.items() if name in declared},
        **({"other_metrics": others} if others else {}),
    }


def _last_received(rows: list[Row]) -> list[Row]:
    """One row of each device and time: the last that was received."""
    return list({(row["device_id"], row["measured_at"]): row for row in in_order(rows)}.values())


def _state(lake: Lake, rows: list[Row]) -> State:
    table = lake.table()
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return State(
        snapshot.snapshot_id, table.metadata_location, [field.name for field in table.schema().fields], in_order(rows)
    )
