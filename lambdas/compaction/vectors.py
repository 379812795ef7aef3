"""The decoder's rules on columns: ordinary records of a block at once, every other one pointed out.

`sensors.decode` is the reference. Nothing is rejected here: a row that might be anything but a plain reading is left
to it, and `tests/lambdas/compaction/test_vectors.py` holds that the others come out exactly as it decodes them.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from compaction.identities import Identities
from compaction.shape import IDENTITY, MAX_FIELDS, VALUE, Row, Shape
from sensors.decode import METRIC_LIMIT, SMALLEST_METRIC
from sensors.reading import ATTRIBUTES, MAX_ATTRIBUTE_CHARS, MAX_METRIC_NAME_CHARS, MAX_METRICS, RESERVED_NAMES
from sensors.settings import Calibration, Decoding
from sensors.times import MAX_MS, SMALLEST_MS, from_text

_ISO_MS: Final = r"^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$"

# Scalars of Arrow's: where pandas is not installed, pyarrow takes longer to make one than to compare a block with it.
_ZERO: Final = pa.scalar(0.0)
_THOUSAND: Final = pa.scalar(1000.0)
_SMALLEST_MS: Final = pa.scalar(float(SMALLEST_MS))
_MAX_MS: Final = pa.scalar(float(MAX_MS))
_SMALLEST_METRIC: Final = pa.scalar(SMALLEST_METRIC)
_METRIC_LIMIT: Final = pa.scalar(METRIC_LIMIT)
_NO: Final = pa.scalar(False)
_NONE: Final = pa.scalar(0, pa.int32())

Columns = dict[str, pa.Array]


class Decoded(NamedTuple):
    """The columns (see `compaction.columns`) of the rows that are plain readings, and the numbers of the others."""

    columns: Columns
    left: list[int]


class VectorDecoder:
    """Turns rows of a shape into columns."""

    def __init__(self, metrics: Sequence[str], decoding: Decoding) -> None:
        self._declared = tuple(metrics)
        self._ahead_ms = pa.scalar(decoding.future_tolerance_s * 1000, pa.int64())
        self._late_ms = pa.scalar(-decoding.late_after_h * 3_600_000, pa.int64())
        self._calibrations = decoding.calibrations
        self._identities = Identities()

    def decode(self, rows: Sequence[Row], shape: Shape, arrived_at_ms: pa.Int64Array) -> Decoded:
        """Decode rows that the shape has accepted, each of which arrived when the store got it at its own time."""
        values = dict(zip(shape.names, zip(*rows, strict=True), strict=True)) if rows else {}
        named = [values[name] for name in IDENTITY if name in values]
        if not named or "timestamp" not in values:
            return Decoded({}, list(range(len(rows))))
        checks: list[pa.BooleanArray] = []
        columns = self._times(values, arrived_at_ms, checks)
        columns["device_id"] = self._identities.resolve(named, checks)
        columns |= _attributes(values, checks)
        metrics = _metrics(values, shape, checks)
        if self._calibrations:
            _calibrate(metrics, self._calibrations, checks)
        columns |= {name: metrics[name] for name in self._declared if name in metrics}
        others = sorted(metrics.keys() - set(self._declared))
        columns["_ignored_fields"] = _ignored(values, shape, len(rows))
        if others:
            columns["other_metrics"] = other_metrics({name: metrics[name] for name in others})
        if not checks:
            return Decoded(columns, [])
        plain = pc.fill_null(reduce(pc.and_, checks), False)
        left = pc.indices_nonzero(pc.invert(plain)).to_pylist()
        return Decoded({name: column.filter(plain) for name, column in columns.items()}, left)

    def _times(self, values: Mapping[str, Any], arrived_at_ms: pa.Int64Array, checks: list[pa.BooleanArray]) -> Columns:
        measured_at = _moments(values["timestamp"])
        received_at = self._received_at(values, arrived_at_ms, checks)
        ahead = pc.subtract(measured_at, received_at)
        _require(pc.less_equal(ahead, self._ahead_ms), checks)
        return {"measured_at": measured_at, "received_at": received_at, "_late": pc.less_equal(ahead, self._late_ms)}

    def _received_at(
        self, values: Mapping[str, Any], arrived_at_ms: pa.Int64Array, checks: list[pa.BooleanArray]
    ) -> pa.Int64Array:
        if "received_at" not in values:
            return arrived_at_ms
        said = pa.array(values["received_at"], pa.float64())
        moments = _milliseconds(said)
        if not moments.null_count and pc.min(moments).as_py() > 0:
            return moments
        checks.append(pc.or_kleene(pc.is_null(said), pc.greater(moments, 0)))
        return pc.coalesce(moments, arrived_at_ms)


def _require(holds: pa.BooleanArray, checks: list[pa.BooleanArray]) -> None:
    if not pc.all(holds, skip_nulls=False).as_py():
        checks.append(holds)


def _moments(timestamps: Sequence[Any]) -> pa.Int64Array:
    """Milliseconds of numbers or texts, null where a moment is neither."""
    try:
        return _milliseconds(pa.array(timestamps, pa.float64()))
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # a text is among them
        pass
    try:
        texts = pa.array(timestamps, pa.string())
        if pc.all(pc.match_substring_regex(texts, _ISO_MS), skip_nulls=False).as_py():
            moments = pc.cast(texts, pa.timestamp("ms", "UTC")).cast(pa.int64())
            return pc.if_else(_between(moments, 0, MAX_MS), moments, None)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers too, or a 30th of February
        pass
    numbers = _milliseconds(pa.array([None if type(one) is str else one for one in timestamps], pa.float64()))
    read = [from_text(one) if type(one) is str else None for one in timestamps]
    return pc.coalesce(numbers, pa.array(read, pa.int64()))


def _milliseconds(numbers: pa.DoubleArray) -> pa.Int64Array:
    """`sensors.times.from_number` of each."""
    bounds = pc.min_max(numbers).as_py()
    milliseconds = numbers
    if bounds["min"] is not None and not SMALLEST_MS <= bounds["min"] <= bounds["max"] <= MAX_MS:
        is_milliseconds = pc.greater_equal(numbers, _SMALLEST_MS)
        within = pc.and_(pc.greater_equal(numbers, _ZERO), pc.less_equal(numbers, _MAX_MS))
        milliseconds = pc.if_else(is_milliseconds, numbers, pc.multiply(numbers, _THOUSAND))
        milliseconds = pc.if_else(within, milliseconds, None)
    return pc.round(milliseconds, round_mode="half_to_even").cast(pa.int64())


def _between(values: pa.Array, least: float, most: float) -> pa.BooleanArray:
    return pc.and_(pc.greater_equal(values, least), pc.less_equal(values, most))


def _attributes(values: Mapping[str, Any], checks: list[pa.BooleanArray]) -> Columns:
    columns = {name: pa.array(values[name], pa.string()) for name in ATTRIBUTES if name in values}
    for column in columns.values():
        if (pc.max(pc.binary_length(column)).as_py() or 0) > MAX_ATTRIBUTE_CHARS:
            _require(pc.fill_null(pc.less_equal(pc.utf8_length(column), MAX_ATTRIBUTE_CHARS), True), checks)
    return columns


def _metrics(values: Mapping[str, Any], shape: Shape, checks: list[pa.BooleanArray]) -> Columns:
    """The metrics that any row has, zero for minus zero."""
    columns = {name: pa.array(values[name], pa.float64()) for name in shape.metrics}
    columns = {name: column for name, column in columns.items() if column.null_count < len(column)}
    if VALUE in values:
        _add_values(columns, pa.array(values[VALUE], pa.float64()), values.get("sensor_type"), checks)
    rows = len(values["timestamp"])
    if not columns:
        checks.append(pa.repeat(_NO, rows))
        return columns
    together = pc.add(pa.concat_arrays(columns.values()), _ZERO)
    bounds = pc.min_max(pc.abs(together)).as_py()
    if not SMALLEST_METRIC <= bounds["min"] <= bounds["max"] < METRIC_LIMIT:
        storable = _storable(together)
        for number in range(len(columns)):
            _require(storable.slice(number * rows, rows), checks)
    columns = {name: together.slice(number * rows, rows) for number, name in enumerate(columns)}
    if len(columns) > MAX_METRICS or all(column.null_count for column in columns.values()):
        held = reduce(pc.add, (pc.is_valid(column).cast(pa.int32()) for column in columns.values()))
        _require(_between(held, 1, MAX_METRICS), checks)
    return columns


def _storable(values: pa.DoubleArray) -> pa.BooleanArray:
    magnitudes = pc.abs(values)
    within = pc.and_(pc.greater_equal(magnitudes, _SMALLEST_METRIC), pc.less(magnitudes, _METRIC_LIMIT))
    return pc.fill_null(pc.or_(within, pc.equal(values, _ZERO)), True)


def _calibrate(metrics: Columns, calibrations: Mapping[str, Calibration], checks: list[pa.BooleanArray]) -> None:
    for name, by in calibrations.items():
        if name in metrics:
            calibrated = pc.add(pc.multiply(metrics[name], pa.scalar(by.scale)), pa.scalar(by.offset))
            metrics[name] = pc.add(calibrated, _ZERO)
            _require(_storable(metrics[name]), checks)


def _add_values(
    columns: Columns, value: pa.DoubleArray, sensor_types: Sequence[str | None] | None, checks: list[pa.BooleanArray]
) -> None:
    """`value` is the metric that `sensor_type` names, and one called `value` where nothing names it."""
    if value.null_count == len(value):
        return
    names = pa.array(sensor_types or [None] * len(value), pa.string())
    used = pc.unique(names.filter(pc.is_valid(value)))
    if len(used) > MAX_FIELDS:
        used = used[:MAX_FIELDS]
        checks.append(pc.or_(pc.is_null(value), pc.is_in(names, used)))
    for name in used.to_pylist():
        metric = VALUE if name is None else name
        named = pc.is_null(names) if name is None else pc.fill_null(pc.equal(names, name), False)
        mine = pc.if_else(named, value, None)
        if metric in RESERVED_NAMES or not 0 < len(metric) <= MAX_METRIC_NAME_CHARS:
            checks.append(pc.is_null(mine))
        elif metric in columns:
            checks.append(pc.or_(pc.is_null(mine), pc.is_null(columns[metric])))
            columns[metric] = pc.coalesce(columns[metric], mine)
        else:
            columns[metric] = mine


def _ignored(values: Mapping[str, Any], shape: Shape, rows: int) -> pa.Int32Array:
    ignored = pa.repeat(_NONE, rows)
    for name in shape.ignored:
        ignored = pc.add(ignored, pa.array([value is not None for value in values[name]], pa.bool_()).cast(pa.int32()))
    return ignored


def other_metrics(columns: Columns) -> pa.MapArray:
    """One map a row from columns in order of name; null where a row has none of them."""
    names, width = pa.array([*columns], pa.string()), len(columns)
    rows = len(next(iter(columns.values())))
    place = _places(rows * width)
    wide = pa.scalar(width, pa.int64())
    row = pc.divide(place, wide)
    column = pc.subtract(place, pc.multiply(row, wide))
    values = pa.concat_arrays(columns.values())
    if width > 1:
        values = values.take(pc.add(pc.multiply(column, pa.scalar(rows, pa.int64())), row))
    if not values.null_count:
        offsets = pc.multiply(_places(rows + 1), wide).cast(pa.int32())
        return pa.MapArray.from_arrays(offsets, names.take(column), values)
    held = pc.is_valid(values)
    last = pc.add(pc.multiply(_places(rows), wide), pa.scalar(width - 1, pa.int64()))
    ends = pc.cumulative_sum(held.cast(pa.int32())).take(last)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    empty = pc.equal(offsets[1:], offsets[:-1])
    return pa.MapArray.from_arrays(offsets, names.take(column.filter(held)), values.filter(held), mask=empty)


@lru_cache(maxsize=8)
def _up_to(power: int) -> pa.Int64Array:
    return pa.array(range(2**power), pa.int64())


def _places(count: int) -> pa.Int64Array:
    return _up_to(count.bit_length()).slice(0, count)
