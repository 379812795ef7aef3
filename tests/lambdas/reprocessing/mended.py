"""A system in which a sensor was read as ten times as warm; that is mended, and waits to be reprocessed.

So rows are cold where a run came.
"""

from typing import Any

from reprocessing.report.contents import Report
from reprocessing.request import Request, Scope
from sensors.settings import Metric
from tests.lake import AT, Lake, reading
from tests.lambdas.reprocessing.harness import request
from tests.lambdas.reprocessing.system import System, ms

FAULTY = {"temperature": Metric("°C", scale=10.0)}
MENDED = {"temperature": Metric("°C")}
MIDNIGHT = AT - 9 * 3600
DAY = 86_400

Rows = list[tuple[str, int, float]]
"""Device, seconds since AT, temperature."""


def system(*sent: list[dict[str, Any]], partition_by: str = "day", lake: Lake | None = None) -> System:
    """A system that has stored these objects by the fault, and was mended since."""
    made = System(partition_by, FAULTY, lake)
    for records in sent:
        made.arrive(records)
    made.compact()
    made.deploy(MENDED)
    return made


def sent(device: str, *after_s: int, late_s: int = 0, temperature: float = 2.0) -> list[dict[str, Any]]:
    """A reading of a device at each of these seconds since AT."""
    return [reading(device, AT + at, temperature=temperature, received_at=(AT + at + late_s) * 1000) for at in after_s]


def asked(start_s: float, end_s: float, *devices: str, **changes: Any) -> Request:
    """A request for seconds since AT."""
    scope = Scope(int((AT + start_s) * 1000), int((AT + end_s) * 1000), devices)
    return request(scope, **{"targets": ("table", "hot")} | changes)


def rows(made: System) -> Rows:
    """What the table holds, every row of it."""
    return sorted(
        (row["device_id"], ms(row["measured_at"]) // 1000 - AT, row["temperature"]) for row in made.lake.rows()
    )


def hot(made: System) -> Rows:
    """What the hot table holds."""
    return sorted(
        (device, int(at) - AT, float(item["temperature"]["N"])) for (device, at), item in made.hot_table.items.items()
    )


def counts(report: Report) -> tuple[int, int, int, int, int]:
    """Readings before and after, those that changed, that were added, that vanished."""
    found = report.readings
    return found.before, found.after, found.changed, found.added, found.vanished
