"""What holds for every payload: no bytes raise, both ways through the parser agree, readings come back whole."""

import base64
import json
import math

from hypothesis import example, given
from hypothesis import strategies as st

from sensors.decode import decode
from sensors.reading import RESERVED_NAMES, Reading, Reason, Rejection
from sensors.settings import Decoding

ARRIVED_MS = 1_795_251_600_000
DECODING = Decoding()

NAMES = st.sampled_from([*sorted(RESERVED_NAMES), "temperature", "value", "", "\x00", "x" * 256]) | st.text(max_size=8)
NUMBERS = st.integers() | st.floats() | st.integers(min_value=-(10**140), max_value=10**140)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(["pump-1", "2026-11-21T09:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
PAYLOADS = st.dictionaries(NAMES, VALUES, max_size=8).map(lambda fields: json.dumps(fields).encode())
NEARLY_GOOD = st.dictionaries(NAMES, VALUES, max_size=6).map(
    lambda fields: json.dumps({"device_id": "pump-1", "timestamp": 1795251600, **fields}).encode()
)


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    record = bytearray(draw(NEARLY_GOOD))
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(record) - 1))
        record[position : position + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        if not record:
            break
    return bytes(record)


def enveloped(payload: bytes) -> bytes:
    return json.dumps({"payload_b64": base64.b64encode(payload).decode(), "topic_device_id": "pump-1"}).encode()


ANYTHING = st.binary() | PAYLOADS | NEARLY_GOOD | mutilated()


@given(ANYTHING | ANYTHING.map(enveloped))
@example(b"[" * 100_000)
@example(b'{"timestamp": ' + b"9" * 5000 + b"}")
def test_whatever_bytes_a_device_sends_are_a_reading_or_a_rejection(record):
    result = decode(record, ARRIVED_MS, DECODING)

    assert isinstance(result, Reading | Rejection)
    if isinstance(result, Rejection):
        assert result.reason in Reason
        assert result.detail.encode()  # a sentence that any store can hold
        return
    assert 0 < len(result.metrics) <= 64
    assert RESERVED_NAMES.isdisjoint(result.metrics)
    for name, value in result.metrics.items():
        assert 0 < len(name.encode()) <= 255 * 4
        assert type(value) is float
        assert math.isfinite(value)
        assert value == 0 or 1e-130 <= abs(value) < 1e126
    assert 0 <= result.measured_at_ms <= result.received_at_ms + 300_000


@given(NEARLY_GOOD)
def test_a_nested_field_more_changes_nothing_but_the_count_of_ignored_fields(record):
    flat = decode(record, ARRIVED_MS, DECODING)
    nested = decode(record[:-1] + b', "\x7fnested": []}', ARRIVED_MS, DECODING)

    if isinstance(flat, Reading):
        assert isinstance(nested, Reading)
        assert nested.ignored_fields == flat.ignored_fields + 1
        assert (nested.device_id, nested.measured_at_ms, nested.attributes, nested.late) == (
            flat.device_id,
            flat.measured_at_ms,
            flat.attributes,
            flat.late,
        )
        assert repr(nested.metrics) == repr(flat.metrics)
    else:
        assert nested == flat


METRIC_VALUES = (
    st.floats(min_value=1e-130, max_value=9e125) | st.floats(min_value=-9e125, max_value=-1e-130) | st.just(0.0)
)
METRIC_NAMES = st.text(min_size=1, max_size=20).filter(lambda name: name not in {*RESERVED_NAMES, "value"})


@given(
    st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True),
    st.integers(0, ARRIVED_MS),
    st.dictionaries(METRIC_NAMES, METRIC_VALUES, min_size=1, max_size=64),
    st.dictionaries(st.sampled_from(["sensor_type", "location", "facility", "equipment_type"]), st.text(max_size=256)),
)
def test_every_reading_survives_its_way_through_json(device_id, measured_at_ms, metrics, attributes):
    seconds = f"{measured_at_ms // 1000}.{measured_at_ms % 1000:03d}"
    fields = {"device_id": device_id, **metrics, **attributes}
    record = f'{{"timestamp": {seconds}, {json.dumps(fields)[1:]}'.encode()
    result = decode(record, ARRIVED_MS, DECODING)

    assert isinstance(result, Reading), result
    assert (result.device_id, result.measured_at_ms) == (device_id, measured_at_ms)
    assert (result.metrics, result.attributes) == (metrics, attributes)
