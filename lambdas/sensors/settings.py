"""What the functions need of the environment's settings: `settings.json`, which the build puts into every zip."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import force_setattr, replace


class Calibration(msgspec.Struct, frozen=True):
    """What makes the value to store of the value that a device sends: times `scale`, plus `offset`."""

    scale: float
    offset: float


class Decoding(msgspec.Struct, frozen=True):
    """What the decoder accepts beside the contract's fixed limits, and how values are calibrated."""

    late_after_h: int = 24
    future_tolerance_s: int = 300
    calibrations: dict[str, Calibration] = {}


class Threshold(msgspec.Struct, frozen=True):
    """One limit of a metric, in the metric's unit; exactly one of `above` and `below` is set."""

    severity: str
    above: float | None = None
    below: float | None = None


class Metric(msgspec.Struct, frozen=True):
    """A declared metric; `scale` and `offset` are its calibration, which is none at 1 and 0."""

    unit: str
    thresholds: tuple[Threshold, ...] = ()
    scale: float = 1.0
    offset: float = 0.0


class SensorTypeIndex(msgspec.Struct, frozen=True):
    """The index by sensor type, spread over `shards` partitions a type."""

    shards: int


class HotTable(msgspec.Struct, frozen=True):
    """How a reading's identity becomes the key of the hot table, and how long it stays.

    The key names are reserved names of the payload contract, so that no metric can take their place.
    """

    device_key: Literal["device_id", "sensor_id"]
    time_format: Literal["epoch_seconds", "iso8601"]
    retention_days: int
    sensor_type_index: SensorTypeIndex | None = None


class Lake(msgspec.Struct, frozen=True):
    """How the Iceberg table is partitioned by `measured_at`."""

    partition_by: Literal["day", "hour"]


class Compaction(msgspec.Struct, frozen=True):
    """How the archive is cut into tasks and the table into files, and the memory of the function that takes one up."""

    grace_minutes: int
    task_mb: int
    worker_memory_mb: int
    file_mb: int
    bloom_filter: bool
    lookback_days: int | None = None


class Optimization(msgspec.Struct, frozen=True):
    """How long snapshots, and files that none of them names, are kept."""

    keep_snapshots: int
    keep_days: int
    orphan_days: int


class Reprocessing(msgspec.Struct, frozen=True):
    """How fast a reprocessing writes to the hot table, and how it has frozen objects restored.

    `max_rate` is in items a second, of all `hot_writers` together; `concurrency` are tasks that decode or merge.
    """

    hot_writers: int
    max_rate: int
    restore_tier: Literal["Expedited", "Standard", "Bulk"]
    restore_days: int
    concurrency: int = 40


class FunctionSettings(msgspec.Struct, frozen=True):
    """The part of the settings that function code reads; fields it does not know are skipped.

    `decoding` has the calibrations of the metrics that are not stored as they are sent.
    """

    system: str
    suffix: str
    decoding: Decoding
    metrics: dict[str, Metric]
    hot_table: HotTable
    lake: Lake
    compaction: Compaction
    optimization: Optimization
    reprocessing: Reprocessing

    def __post_init__(self) -> None:
        calibrations = {
            name: Calibration(metric.scale, metric.offset)
            for name, metric in self.metrics.items()
            if (metric.scale, metric.offset) != (1.0, 0.0)
        }
        force_setattr(self, "decoding", replace(self.decoding, calibrations=calibrations))


def load(path: Path) -> FunctionSettings:
    """Read `settings.json`. Raises OSError without the file, msgspec.ValidationError naming a field that is wrong."""
    return msgspec.json.decode(path.read_bytes(), type=FunctionSettings)
