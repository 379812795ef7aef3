"""The payload contract, rule by rule: what becomes a reading, and with which reason everything else is refused."""

import base64
import json
from typing import Any

import pytest

from sensors.decode import decode
from sensors.parse import MAX_RECORD_BYTES
from sensors.reading import MAX_PAYLOAD_BYTES, Reading, Reason, Rejection
from sensors.settings import Calibration, Decoding

ARRIVED_MS = 1_795_251_600_000  # 2026-11-21T09:00:00Z
DECODING = Decoding(late_after_h=24, future_tolerance_s=300)
PUMP = {"device_id": "pump-1", "timestamp": ARRIVED_MS}


def decoded(payload: object, arrived_at_ms: int = ARRIVED_MS) -> Reading | Rejection:
    record = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(record, arrived_at_ms, DECODING)


def reading(payload: object) -> Reading:
    result = decoded(payload)
    assert isinstance(result, Reading), result
    return result


def reason(payload: object) -> Reason:
    result = decoded(payload)
    assert isinstance(result, Rejection), result
    return result.reason


def envelope(payload: bytes, **fields: Any) -> dict[str, Any]:
    return {"payload_b64": base64.b64encode(payload).decode(), "topic_device_id": "pump-1", **fields}


def test_a_reading_holds_identity_metrics_attributes_and_arrival():
    record = {**PUMP, "temperature": 21.5, "vibration": 3, "location": "hall 3", "received_at": ARRIVED_MS + 7}

    assert reading(record) == Reading(
        device_id="pump-1",
        measured_at_ms=ARRIVED_MS,
        metrics={"temperature": 21.5, "vibration": 3.0},
        attributes={"location": "hall 3"},
        received_at_ms=ARRIVED_MS + 7,
        ignored_fields=0,
        late=False,
    )


def test_a_stored_number_is_always_a_float():
    assert type(reading({**PUMP, "temperature": 3}).metrics["temperature"]) is float
    assert type(reading({**PUMP, "temperature": 3, "nested": {}}).metrics["temperature"]) is float


@pytest.mark.promise("manufacturing", "zero is a value")
@pytest.mark.parametrize("zero", [b"0", b"0.0", b"-0.0", b"0e9", b"1e-999"])
def test_zero_is_a_value(zero):
    record = b'{"device_id": "p", "timestamp": 1795251600, "temperature": %s}' % zero

    assert str(reading(record).metrics) == "{'temperature': 0.0}"


@pytest.mark.parametrize(
    ("timestamp", "measured_at_ms"),
    [
        (0, 0),
        (1795251600, ARRIVED_MS),
        (1795251600.25, ARRIVED_MS + 250),
        (1795251600000, ARRIVED_MS),
        (1795251599999.6, ARRIVED_MS),
        (1763718000.123, 1763718000123),
        (100_000_000_000, 100_000_000_000),  # the smallest number that means milliseconds
        ("2026-11-21T09:00:00Z", ARRIVED_MS),
        ("2026-11-21T09:00:00.250Z", ARRIVED_MS + 250),
        ("2026-11-21T10:00:00+01:00", ARRIVED_MS),
        ("2026-11-21 03:30:00,5-0530", ARRIVED_MS + 500),
        ("2026-11-21T10:00+01", ARRIVED_MS),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_a_timestamp_is_epoch_seconds_or_milliseconds_or_iso_8601_with_an_offset(timestamp, measured_at_ms):
    assert reading({**PUMP, "timestamp": timestamp, "temperature": 1}).measured_at_ms == measured_at_ms


@pytest.mark.parametrize(
    "timestamp",
    [
        -1,
        99_999_999_999_999_999,
        10**30,
        True,
        None,
        "",
        "yesterday",
        "1795251600",
        "2026-11-21T09:00:00",
        "2026-11-21",
        "2026-13-21T09:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T09:00:60Z",
        "2026-11-21x09:00:00Z",
        "٢٠٢٦-11-21T09:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.9999Z",
        "1969-12-31T23:59:59Z",
        {"seconds": 1},
        [1795251600],
    ],
)
def test_any_other_timestamp_is_bad(timestamp):
    assert reason({**PUMP, "timestamp": timestamp, "temperature": 1}) == Reason.BAD_TIMESTAMP


def test_an_infinite_timestamp_is_bad():
    assert reason(b'{"device_id": "p", "timestamp": 1e999, "temperature": 1}') == Reason.BAD_TIMESTAMP


def test_a_timestamp_may_be_five_minutes_ahead_of_arrival_and_no_more():
    at_the_limit = {**PUMP, "timestamp": ARRIVED_MS + 300_000, "temperature": 1}
    past_it = {**PUMP, "timestamp": ARRIVED_MS + 300_001, "temperature": 1}

    assert reading(at_the_limit).measured_at_ms == ARRIVED_MS + 300_000
    assert reason(past_it) == Reason.TIMESTAMP_IN_FUTURE


def test_the_arrival_that_the_rule_wrote_counts_before_the_streams_own():
    arrived = ARRIVED_MS + 3_600_000
    record = {**PUMP, "timestamp": arrived, "temperature": 1}

    assert reason(record) == Reason.TIMESTAMP_IN_FUTURE
    assert reading({**record, "received_at": arrived}).received_at_ms == arrived


@pytest.mark.parametrize("received_at", ["now", None, True, -5, 10**30, {}])
def test_an_arrival_that_makes_no_sense_gives_way_to_the_streams_own(received_at):
    result = reading({**PUMP, "temperature": 1, "received_at": received_at})

    assert (result.received_at_ms, result.ignored_fields) == (ARRIVED_MS, 0)


def test_any_age_is_stored_and_counted_as_late_from_the_limit_on():
    day_ms = 24 * 3_600_000

    assert not reading({**PUMP, "timestamp": ARRIVED_MS - day_ms + 1, "temperature": 1}).late
    assert reading({**PUMP, "timestamp": ARRIVED_MS - day_ms, "temperature": 1}).late
    assert reading({**PUMP, "timestamp": 0, "temperature": 1}).late


@pytest.mark.parametrize(
    "names",
    [
        {"device_id": "a"},
        {"sensor_id": "a"},
        {"topic_device_id": "a"},
        {"device_id": "a", "topic_device_id": "a"},
        {"sensor_id": "a", "topic_device_id": "a"},
        {"device_id": "a", "sensor_id": "a", "topic_device_id": "a"},
    ],
)
def test_the_device_is_named_by_the_payload_or_else_the_topic(names):
    assert reading({**names, "timestamp": ARRIVED_MS, "temperature": 1}).device_id == "a"


@pytest.mark.promise("manufacturing", "no unknown device")
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({}, Reason.MISSING_DEVICE_ID),
        ({"device_id": ""}, Reason.BAD_DEVICE_ID),
        ({"device_id": "a b"}, Reason.BAD_DEVICE_ID),
        ({"device_id": "a\n"}, Reason.BAD_DEVICE_ID),
        ({"device_id": "ä"}, Reason.BAD_DEVICE_ID),
        ({"device_id": "x" * 129}, Reason.BAD_DEVICE_ID),
        ({"device_id": 5}, Reason.BAD_DEVICE_ID),
        ({"device_id": None, "topic_device_id": "a"}, Reason.BAD_DEVICE_ID),
        ({"device_id": ["a"]}, Reason.BAD_DEVICE_ID),
        ({"topic_device_id": "a b"}, Reason.BAD_DEVICE_ID),
        ({"device_id": "a", "topic_device_id": "b"}, Reason.IDENTITY_MISMATCH),
        ({"sensor_id": "a", "topic_device_id": "b"}, Reason.IDENTITY_MISMATCH),
        ({"device_id": "a", "sensor_id": "b"}, Reason.IDENTITY_MISMATCH),
        ({"device_id": "a", "sensor_id": None}, Reason.IDENTITY_MISMATCH),
        ({"device_id": "a", "topic_device_id": 1}, Reason.IDENTITY_MISMATCH),
    ],
)
def test_a_device_that_is_not_named_once_and_well_is_refused(names, expected):
    assert reason({**names, "timestamp": ARRIVED_MS, "temperature": 1}) == expected


def test_a_device_id_has_up_to_128_characters_of_a_small_alphabet():
    name = "Az09._:-" * 16

    assert reading({**PUMP, "device_id": name, "temperature": 1}).device_id == name


@pytest.mark.parametrize(
    ("fields", "metrics"),
    [
        ({"metrics": {"temperature": 1, "flow": 2}}, {"temperature": 1.0, "flow": 2.0}),
        ({"metrics": {"temperature": 1}, "flow": 2}, {"temperature": 1.0, "flow": 2.0}),
        ({"metrics": {"temperature": 1}, "temperature": 1.0}, {"temperature": 1.0}),
        ({"sensor_type": "temperature", "value": 0}, {"temperature": 0.0}),
        ({"sensor_type": "temperature", "value": 4, "battery": 3.1}, {"temperature": 4.0, "battery": 3.1}),
        ({"sensor_type": "temperature", "temperature": 4}, {"temperature": 4.0}),
        ({"value": 4}, {"value": 4.0}),
        ({"value": 4, "sensor_type": 7}, {"value": 4.0}),
        ({"temperature": 2**70}, {"temperature": float(2**70)}),
        ({"x" * 255: 1}, {"x" * 255: 1.0}),
        ({f"m{n}": n for n in range(64)}, {f"m{n}": float(n) for n in range(64)}),
        ({"temperature": 1e-130, "flow": -9.99e125}, {"temperature": 1e-130, "flow": -9.99e125}),
    ],
)
def test_metrics_come_in_three_forms(fields, metrics):
    assert reading({**PUMP, **fields}).metrics == metrics


def test_the_sensor_type_that_names_a_value_stays_an_attribute():
    assert reading({**PUMP, "sensor_type": "temperature", "value": 4}).attributes == {"sensor_type": "temperature"}


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1e126},
        {"temperature": -1e126},
        {"temperature": 1e-131},
        {"temperature": 10**126},
        {"temperature": 10**400},
        {"": 1},
        {"x" * 256: 1},
        {"metrics": {"temperature": 1e200}},
        {"metrics": {"device_id": 5}},
        {"metrics": {"expires_at": 5}},
        {"metrics": {"temperature": 1}, "temperature": 2},
        {"sensor_type": "", "value": 1},
        {"sensor_type": "timestamp", "value": 1},
        {"sensor_type": "x" * 256, "value": 1},
        {"sensor_type": "temperature", "value": 1, "temperature": 2},
    ],
)
def test_a_metric_that_no_store_can_hold_or_that_has_two_meanings_is_bad(fields):
    assert reason({**PUMP, "flow": 1, **fields}) == Reason.BAD_METRIC


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000])
def test_a_metric_that_is_not_finite_is_bad(number):
    assert reason(b'{"device_id": "p", "timestamp": 1795251600, "a": 1, "b": %s}' % number) == Reason.BAD_METRIC


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"metrics": {}},
        {"metrics": 5},
        {"temperature": "21.5"},
        {"temperature": True},
        {"temperature": None},
        {"location": 5},
        {"expires_at": 5},
        {"sensor_type": "temperature", "value": "high"},
    ],
)
def test_a_payload_without_a_number_has_no_metrics(fields):
    assert reason({**PUMP, **fields}) == Reason.NO_METRICS


def test_more_than_64_metrics_are_too_many():
    assert reason({**PUMP, **{f"m{n}": n for n in range(65)}}) == Reason.TOO_MANY_METRICS
    assert reason({**PUMP, "one": 1, "metrics": {f"m{n}": n for n in range(64)}}) == Reason.TOO_MANY_METRICS


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"note": "warm"}, 1),
        ({"ok": True, "fault": False, "next": None}, 3),
        ({"nested": {"a": 1}, "list": [1, 2]}, 2),
        ({"metrics": {"flow": 1, "note": "x", "ok": True}}, 2),
        ({"metrics": "none"}, 1),
        ({"location": 5, "facility": "x" * 257}, 2),
        ({"expires_at": 5, "processed_at": "x", "reprocessed_by": "x", "payload_b64": "e30="}, 4),
        ({"sensor_type": "flow", "value": "high"}, 1),
        ({"location": "x" * 256, "equipment_type": "", "topic_device_id": "pump-1", "received_at": ARRIVED_MS}, 0),
    ],
)
def test_what_is_not_of_the_contract_is_ignored_and_counted(fields, ignored):
    result = reading({**PUMP, "temperature": 1, **fields})

    assert (result.ignored_fields, result.metrics["temperature"]) == (ignored, 1.0)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b" ",
        b"\x00",
        b"\xff\xfe",
        b"hello",
        b"{",
        b'{"a": 1,}',
        b'{"a": 1} {"a": 2}',
        b'{"device_id": "a", "timestamp": 1795251600, "temperature": NaN}',
        b'{"device_id": "a", "timestamp": 1795251600, "temperature": Infinity}',
        b'{"device_id": "a", "timestamp": 1795251600, "temperature": 01}',
        b'{"device_id": "\xff", "timestamp": 1795251600, "temperature": 1}',
        b'{"device_id": "a", "timestamp": 1795251600, "temperature": 1, "note": "\\ud800"}',
        b'{"device_id": "a", "timestamp": 1795251600, "temperature": 1, "note": "\xed\xa0\x80"}',
        b"\xef\xbb\xbf" + json.dumps({**PUMP, "temperature": 1}).encode(),
        json.dumps({**PUMP, "temperature": 1}).encode("utf-16"),
        b"[" * 100_000,
        b"[" * 65 + b"]" * 65,
        b'{"device_id": "a", "timestamp": 1795251600, "temperature": 1, "nested": ' + b"[" * 64 + b"]" * 64 + b"}",
    ],
)
def test_what_is_not_json_is_refused_as_such(record):
    assert reason(record) == Reason.NOT_JSON


def test_64_levels_are_not_too_deep():
    record = json.dumps({**PUMP, "temperature": 1})[:-1].encode() + b', "nested": ' + b"[" * 63 + b"]" * 63 + b"}"

    assert reading(record).ignored_fields == 1


@pytest.mark.parametrize("record", [b"5", b"-0.5", b'"text"', b"true", b"null", b"[]", b'[{"timestamp": 1}]', b"1e999"])
def test_json_that_is_not_an_object_is_refused_as_such(record):
    assert reason(record) == Reason.NOT_AN_OBJECT


def test_of_a_key_that_stands_twice_the_last_value_counts():
    record = b'{"device_id": "a", "device_id": "b", "timestamp": 1795251600, "temperature": 1, "temperature": 2}'

    assert (reading(record).device_id, reading(record).metrics) == ("b", {"temperature": 2.0})
    assert reading(record[:-1] + b', "nested": []}').metrics == {"temperature": 2.0}


def test_a_payload_without_a_timestamp_is_refused_as_such():
    assert reason({"device_id": "pump-1", "temperature": 1}) == Reason.MISSING_TIMESTAMP
    assert reason({"device_id": "pump-1", "payload_b64": 5}) == Reason.MISSING_TIMESTAMP


def padded(size_bytes: int) -> bytes:
    start = b'{"device_id": "pump-1", "timestamp": 1795251600, "temperature": 1, "note": "'
    return start + b"x" * (size_bytes - len(start) - 2) + b'"}'


def test_a_payload_of_128_kib_is_a_reading_and_one_byte_more_is_too_large():
    assert reading(padded(MAX_PAYLOAD_BYTES)).metrics == {"temperature": 1.0}
    assert reason(padded(MAX_PAYLOAD_BYTES + 1)) == Reason.TOO_LARGE


def test_the_fields_that_the_rule_adds_do_not_count_towards_the_limit():
    added = b',"topic_device_id":"pump-1","received_at":%d}' % ARRIVED_MS

    assert reading(padded(MAX_PAYLOAD_BYTES)[:-1] + added).device_id == "pump-1"
    assert reason(padded(MAX_PAYLOAD_BYTES + 1)[:-1] + added) == Reason.TOO_LARGE


def test_in_an_envelope_the_payload_inside_is_measured():
    assert reading(envelope(padded(MAX_PAYLOAD_BYTES))).device_id == "pump-1"
    assert reason(envelope(padded(MAX_PAYLOAD_BYTES + 1))) == Reason.TOO_LARGE


@pytest.mark.parametrize("size_bytes", [MAX_PAYLOAD_BYTES + 1, MAX_RECORD_BYTES + 1, 1_000_000])
def test_something_large_that_is_not_json_is_too_large(size_bytes):
    assert reason(b"x" * size_bytes) == Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"not json", Reason.NOT_JSON),
        (b"\xff\xfe\x00", Reason.NOT_JSON),
        (b"", Reason.NOT_JSON),
        (b"[1, 2]", Reason.NOT_AN_OBJECT),
        (b"{}", Reason.MISSING_TIMESTAMP),
        (b'{"temperature": 1}', Reason.MISSING_TIMESTAMP),
        (b'{"payload_b64": "e30="}', Reason.MISSING_TIMESTAMP),
        (b'{"device_id": "pump-2"}', Reason.IDENTITY_MISMATCH),
        (b'{"topic_device_id": "pump-2", "received_at": 0}', Reason.MISSING_TIMESTAMP),
    ],
)
def test_an_envelope_is_judged_by_the_payload_inside(payload, expected):
    assert reason(envelope(payload)) == expected


def test_an_envelope_tells_when_its_payload_arrived():
    result = decoded(envelope(b"not json", received_at=ARRIVED_MS - 5))

    assert isinstance(result, Rejection)
    assert result.received_at_ms == ARRIVED_MS - 5


def test_a_payload_in_an_envelope_cannot_speak_for_the_rule():
    inner = {**PUMP, "temperature": 1, "topic_device_id": "pump-2", "received_at": 1}
    result = reading(envelope(json.dumps(inner).encode(), received_at=ARRIVED_MS + 1))

    assert (result.device_id, result.received_at_ms, result.ignored_fields) == ("pump-1", ARRIVED_MS + 1, 0)


@pytest.mark.parametrize("text", ["%%%", "e30", "e30=e30=", "ä"])
def test_an_envelope_whose_payload_is_not_base64_is_not_json(text):
    assert reason({"payload_b64": text, "topic_device_id": "pump-1"}) == Reason.NOT_JSON


def test_every_rejection_says_why_in_words():
    assert decoded({**PUMP, "timestamp": ARRIVED_MS + 400_000, "a": 1}) == Rejection(
        Reason.TIMESTAMP_IN_FUTURE, "100000 ms past what clocks may differ", ARRIVED_MS
    )


def calibrated(payload: dict[str, object], scale: float, offset: float) -> Reading | Rejection:
    decoding = Decoding(calibrations={"temperature": Calibration(scale, offset)})
    return decode(json.dumps({**PUMP, **payload}).encode(), ARRIVED_MS, decoding)


@pytest.mark.parametrize(
    "payload",
    [
        {"temperature": 20, "vibration": 3},
        {"metrics": {"temperature": 20}, "vibration": 3},
        {"temperature": 20, "metrics": {"temperature": 20.0, "vibration": 3}},
        {"sensor_type": "temperature", "value": 20, "vibration": 3},
    ],
)
def test_a_calibrated_metric_is_stored_scaled_and_shifted_in_whatever_form_it_came(payload):
    result = calibrated(payload, 1.8, 32.0)

    assert isinstance(result, Reading), result
    assert result.metrics == {"temperature": 68.0, "vibration": 3.0}


@pytest.mark.parametrize(("sent", "scale", "offset"), [(0, -1.0, 0.0), (20, 0.1, -2.0), (0, -1.0, -0.0)])
def test_zero_after_calibration_is_a_value_without_a_sign(sent, scale, offset):
    result = calibrated({"temperature": sent}, scale, offset)

    assert isinstance(result, Reading), result
    assert repr(result.metrics["temperature"]) == "0.0"


@pytest.mark.parametrize(
    ("sent", "scale", "offset", "words"),
    [
        (2e125, 10.0, 0.0, "temperature, 2e+125 x 10.0 + 0.0, is not finite"),
        (2e125, 1e300, -5.0, "temperature, 2e+125 x 1e+300 + -5.0, is not finite"),
        (1e-100, 1e-100, 0.0, "temperature, 1e-100 x 1e-100 + 0.0, is not finite, or of a magnitude outside 1e-130"),
    ],
)
def test_a_value_that_cannot_be_stored_once_calibrated_is_rejected_with_its_sum(sent, scale, offset, words):
    result = calibrated({"temperature": sent}, scale, offset)

    assert isinstance(result, Rejection)
    assert result.reason == Reason.BAD_METRIC
    assert words in result.detail


def test_what_the_contract_refuses_no_calibration_mends():
    assert calibrated({"temperature": 1e130}, 1e-10, 0.0).reason == Reason.BAD_METRIC
    assert calibrated({"temperature": 1, "metrics": {"temperature": 2}}, 1e-300, 5.0).reason == Reason.BAD_METRIC
