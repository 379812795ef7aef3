"""Reading by the block means exactly what the one decoder means, record by record."""

import base64
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction.shape import Shape
from compaction.vectors import VectorDecoder
from sensors.reading import RESERVED_NAMES
from sensors.settings import Calibration, Decoding
from tests.lambdas.compaction.intake_harness import (
    ARRIVED_MS,
    DECODING,
    METRICS,
    by_the_decoder,
    through_the_intake,
)

DEVICES = st.sampled_from(["pump-1", "pump-2", "a", "x" * 128, "x" * 129, "", "bad id", "ü"])
NUMBERS = (
    st.sampled_from(
        [
            0,
            -0.0,
            1,
            -1,
            2**53 + 1,
            2**63,
            2**64,
            -(2**63) - 1,
            1e-131,
            1e-130,
            -1e-131,
            9.99e125,
            1e126,
            -1e126,
            5e-324,
        ]
    )
    | st.integers(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**40), 10**40)
)
MOMENTS = (
    st.sampled_from(
        [
            ARRIVED_MS,
            ARRIVED_MS / 1000,
            ARRIVED_MS + 300_000,
            ARRIVED_MS + 300_001,
            ARRIVED_MS - 86_400_000,
            ARRIVED_MS - 86_399_999,
            99_999_999_999,
            100_000_000_000,
            99_999_999_999.5,
            0,
            -0.0,
            -1,
            0.0004,
            0.0005,
            0.0015,
            253_402_300_799_999,
            253_402_300_800_000,
            1e300,
            ARRIVED_MS + 0.5,
            ARRIVED_MS + 1.5,
            2**63,
        ]
    )
    | st.floats(0, 2e12)
    | st.integers(0, ARRIVED_MS)
)
TEXT_MOMENTS = st.sampled_from(
    [
        "2026-11-21T08:59:59.123Z",
        "2026-11-21T08:59:59.999Z",
        "2026-11-21T08:59:59Z",
        "2026-02-30T08:59:59.123Z",
        "2026-11-21T24:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "0000-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
        "2026-11-21 09:59:59,5+01",
        "2026-11-21T08:59:59.1234567Z",
        "2026-11-21T08:59:59.123Z ",
        "2026-11-21",
        "",
    ]
) | st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
TEXTS = st.sampled_from(["hall", "", "temperature", "value", "timestamp", "x" * 256, "ü" * 256, "x" * 257]) | st.text(
    max_size=5
)
ODD = (
    st.none()
    | st.booleans()
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), NUMBERS, max_size=2)
)


def field(ordinary: st.SearchStrategy, other: st.SearchStrategy) -> st.SearchStrategy:
    """Mostly what belongs there, at times something else."""
    return st.one_of(*[ordinary] * 8, other, ODD)


OPTIONAL = {
    "topic_device_id": field(DEVICES, NUMBERS),
    "sensor_id": field(DEVICES, NUMBERS),
    "received_at": field(MOMENTS, TEXTS),
    "temperature": field(NUMBERS, TEXTS),
    "vibration": field(NUMBERS, TEXTS),
    "flow": field(NUMBERS, TEXTS),
    "välue": field(NUMBERS, TEXTS),
    "value": field(NUMBERS, TEXTS),
    "sensor_type": field(TEXTS, NUMBERS),
    "location": field(TEXTS, NUMBERS),
    "note": field(TEXTS, NUMBERS),
    "on": field(st.booleans(), TEXTS),
    "metrics": st.dictionaries(st.text(max_size=3), NUMBERS, max_size=2),
    "expires_at": NUMBERS,
    "": NUMBERS,
    "x" * 256: NUMBERS,
}
RECORDS = st.fixed_dictionaries(
    {"device_id": field(DEVICES, NUMBERS), "timestamp": field(MOMENTS | TEXT_MOMENTS, TEXTS)}, optional=OPTIONAL
).map(lambda fields: json.dumps(fields).encode())
USUAL = st.builds(
    lambda device, at, values: json.dumps(
        {"device_id": device, "topic_device_id": device, "timestamp": at, **values}
    ).encode(),
    st.sampled_from(["pump-1", "pump-2"]),
    st.integers(ARRIVED_MS - 10**8, ARRIVED_MS),
    st.fixed_dictionaries({"temperature": NUMBERS}, optional={"flow": NUMBERS, "location": TEXTS, "note": TEXTS}),
)


# As text: what no encoder of Python's writes, but a device may.
LITERALS = st.sampled_from(
    [
        *(
            "0",
            "-0",
            "-0.0",
            "1",
            "2.5",
            "-3.25",
            "1E5",
            "1e+5",
            "0.00001e-126",
            "1e400",
            "-1e400",
            "1e-400",
            "01",
            "1.",
        ),
        *(".5", "+1", "1e", "0x1", "18446744073709551616", "9" * 400, "9" * 4301, "0." + "1" * 400, "1" + "0" * 126),
        *(
            "NaN",
            "Infinity",
            "-Infinity",
            "null",
            "true",
            "false",
            "[]",
            "{}",
            '{"a":1}',
            '[{"a":1}]',
            "[" * 70 + "]" * 70,
        ),
        *('""', '"1"', '"a"', '"flow"', '"device_id"', '"a\\/b"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\t"'),
        *(f'"{"x" * 255}"', f'"{"ü" * 256}"', f'"{"x" * 257}"', f'"{"😀" * 256}"'),
    ]
)
LITERAL_MOMENTS = st.sampled_from(
    [
        *(f"{ARRIVED_MS}", f"{ARRIVED_MS}.5", f"{ARRIVED_MS}.4999999", f"{ARRIVED_MS}e0", "1.7952516E9", "17952516e2"),
        *("99999999999.9995", "99999999999.9994", "253402300799999.5", "253402300799999.4", "-0", "1e-5", "0.0015"),
        *(
            '"2026-11-21T08:59:59.123Z"',
            '"2026-11-21T08:59:59.123z"',
            '"2026-11-21T08:59:59.123Z\\n"',
            '"\uff12026-11-21T08:59:59.123Z"',
        ),
        *('"2024-02-29T00:00:00.000Z"', '"2023-02-29T00:00:00.000Z"', '"2026-11-21T08:59:59\\u002e123Z"'),
    ]
)
FREE_NAMES = st.sampled_from(
    [
        *(
            "temperature",
            "vibration",
            "flow",
            "x",
            "value",
            "Temperature",
            "temp\\u0065rature",
            "välue",
            "a\\/b",
            "a/b",
        ),
        *(
            "measured_at",
            "source_object",
            "other_metrics",
            "source",
            "late",
            "ignored_fields",
            "field_0",
            "\\ud800",
            "",
        ),
        *("__class__", "\x7f", "\\ud83d\\ude00", "ü" * 255, "k" * 256, *sorted(RESERVED_NAMES)),
    ]
)
LITERAL_FIELDS = st.one_of(
    st.tuples(FREE_NAMES, LITERALS),
    st.tuples(st.sampled_from(["sensor_type", "location"]), LITERALS),
    st.tuples(st.just("received_at"), LITERAL_MOMENTS | LITERALS),
)


@st.composite
def literal(draw: st.DrawFn) -> bytes:
    """Fields written out, in any order and more than once; the device and the time may be missing."""
    identity = ("device_id", "sensor_id", "topic_device_id")
    device = draw(st.sampled_from(['"a"', '"a"', '"\\u0061"', '"ü"', '"a\\n"', "null", "5"]))
    members = [(name, device) for name in identity if draw(st.integers(0, 2)) == 0]
    members += draw(st.lists(st.tuples(st.just("timestamp"), LITERAL_MOMENTS | LITERALS), max_size=1))
    members += draw(st.lists(LITERAL_FIELDS, max_size=5))
    if draw(st.booleans()):
        members = draw(st.permutations(members))
    return ("{" + ",".join(f'"{name}":{value}' for name, value in members) + "}").encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    record = bytearray(draw(USUAL | RECORDS))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(record)))
        record[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from(
                [b"", b'"', b"\\", b"}", b"{", b",", b"\xff", b"\xc3", b"\0", b"\r", b"e9", b"9" * 30, b"null"]
            )
        )
    return bytes(record)


KNOWN_DAMAGE = [
    b"",
    b" ",
    b"\r",
    b"\xef\xbb\xbf{}",
    b"not json",
    b"null",
    b"[]",
    b"{}",
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":NaN}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":1e999}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":-0}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":01}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":1,"temperature":2}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":"a","temperature":2}',
    b'{"device_id":"pump-1","device_id":"pump-2","timestamp":1795251600,"temperature":2}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temp\\u0065rature":2}',
    b'{"device_id":"pump-1","timestamp":1795251600,"a\\tb":1,"c\\"d":2,"e\\\\f":3}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":2,"location":"\\ud800"}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":2,"location":"\\ud83d\\ude00"}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":2,"location":"\xff"}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":2,"location":"\xed\xa0\x80"}',
    b' \t{"device_id":"pump-1","timestamp":1795251600,"temperature":2} \r',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":' + b"9" * 5000 + b"}",
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":2}x',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":2,"sensor_type":"temperature","value":3}',
    b'{"device_id":"pump-1","timestamp":1795251600,"temperature":2,"sensor_type":"temperature","value":2}',
    b'{"device_id":"pump-1","timestamp":1795251600,"sensor_type":"location","value":2}',
    b'{"device_id":"pump-1","timestamp":1795251599000.5,"temperature":2}',
    b'{"device_id":"pump-1","timestamp":1795251599001.5,"temperature":2}',
    b'{"device_id":"pump-1","timestamp":17952516' + b"0" * 400 + b',"temperature":2}',
    b'{"payload_b64":"'
    + base64.b64encode(b'{"timestamp":1795251600,"temperature":3}')
    + b'","topic_device_id":"pump-1"}',
    json.dumps({"device_id": "pump-1", "timestamp": 1795251600, "temperature": 2, "note": "x" * 140_000}).encode(),
    json.dumps({"device_id": "pump-1", "timestamp": 1795251600, **{f"m{n}": n for n in range(64)}}).encode(),
    json.dumps({"device_id": "pump-1", "timestamp": 1795251600, **{f"m{n}": n for n in range(65)}}).encode(),
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(USUAL, USUAL, RECORDS, literal(), literal(), damaged(), st.sampled_from(KNOWN_DAMAGE)), max_size=12
    ),
    st.booleans(),
)
def test_a_block_comes_out_as_its_records_do_one_by_one(records: list[bytes], taught: bool) -> None:
    lines = [line for record in records for line in record.split(b"\n") if b"}{" not in line.replace(b" ", b"")]
    lessons = b"\n".join(sorted(lines)) if taught else b""

    found = through_the_intake(b"\n".join(lines), lessons.removeprefix(b"\xef\xbb\xbf"))

    if lines and lines[0].startswith(b"\xef\xbb\xbf"):
        lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
    expected = by_the_decoder(lines)
    assert found.rows == expected.rows
    assert found.rejects == expected.rejects
    assert found.records == expected.records


FACTORS = st.sampled_from([1.0, -1.0, 0.1, 1.8, 1e-130, 1e300, -5e-324]) | st.floats(-1e6, 1e6)
OFFSETS = st.sampled_from([0.0, -0.0, 32.0, -273.15, -1e126]) | st.floats(-1e6, 1e6)
CALIBRATIONS = st.dictionaries(
    st.sampled_from(["temperature", "vibration", "flow", "value", "absent"]),
    st.builds(Calibration, FACTORS, OFFSETS),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(USUAL, USUAL, USUAL, RECORDS, literal()), max_size=12), CALIBRATIONS)
def test_a_block_is_calibrated_to_the_bit_as_its_records_are(
    records: list[bytes], calibrations: dict[str, Calibration]
) -> None:
    decoding = Decoding(calibrations=calibrations)
    lines = [line for record in records for line in record.split(b"\n") if b"}{" not in line.replace(b" ", b"")]
    body = b"\n".join(lines)

    assert through_the_intake(body, body, decoding) == by_the_decoder(lines, decoding)


def test_calibrated_readings_stay_in_columns_and_those_that_no_number_holds_are_left() -> None:
    usual = {"device_id": "a", "timestamp": 5, "flow": 1}
    records = [json.dumps({**usual, "temperature": sent}) for sent in (1.5, 0.0, -0.0, 2e125, -20.0)]
    records.append(json.dumps(usual))
    shape, vectors = Shape(), VectorDecoder(METRICS, Decoding(calibrations={"temperature": Calibration(1.8, 36.0)}))
    shape.learn(records[0].encode())

    rows, _ = shape.rows([record.encode() for record in records])
    decoded = vectors.decode(rows, shape, pa.array([ARRIVED_MS] * len(rows)))

    assert decoded.left == []
    assert decoded.columns["temperature"].to_pylist() == [1.5 * 1.8 + 36.0, 36.0, 36.0, 2e125 * 1.8, 0.0, None]
    vectors = VectorDecoder(METRICS, Decoding(calibrations={"temperature": Calibration(10.0, 0.0)}))
    assert vectors.decode(rows, shape, pa.array([ARRIVED_MS] * len(rows))).left == [3]


@pytest.mark.parametrize("damage", KNOWN_DAMAGE, ids=range(len(KNOWN_DAMAGE)))
def test_a_damaged_record_among_ordinary_ones_is_judged_as_on_its_own(damage: bytes) -> None:
    usual = [b'{"device_id":"pump-1","timestamp":%d,"temperature":1.5}' % (ARRIVED_MS - n) for n in range(20)]
    lines = [*usual[:10], damage, *usual[10:]]

    assert through_the_intake(b"\n".join(lines), b"\n".join([damage, *usual])) == by_the_decoder(lines)


def test_records_of_which_none_has_named_a_device_are_set_aside_however_many_there_are() -> None:
    lines = [b'{"timestamp":1795251600,"temperature":%d}' % number for number in range(20)]

    assert through_the_intake(b"\n".join(lines), lines[0]) == by_the_decoder(lines)


def test_ordinary_records_never_reach_the_general_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        json.dumps({"device_id": "pump-1", "timestamp": at, "temperature": 1, "flow": 2, "location": "hall"}).encode()
        for at in (ARRIVED_MS, ARRIVED_MS / 1000, "2026-11-21T08:59:59.123Z")
    ]
    records.append(json.dumps({"sensor_id": "a", "timestamp": 5, "sensor_type": "flow", "value": 2}).encode())
    shape, vectors = Shape(), VectorDecoder(METRICS, DECODING)
    for record in records:
        shape.learn(record)

    rows, refused = shape.rows(records)
    decoded = vectors.decode(rows, shape, pa.array([ARRIVED_MS] * len(rows)))

    assert (refused, decoded.left) == ([], [])
    assert decoded.columns["measured_at"].to_pylist() == [ARRIVED_MS, ARRIVED_MS, ARRIVED_MS - 877, 5000]
    assert decoded.columns["other_metrics"].to_pylist() == [[("flow", 2.0)]] * 4


def test_a_device_that_invents_names_without_end_is_read_all_the_same() -> None:
    lines = [b'{"device_id":"a","timestamp":%d,"m%d":1}' % (number, number) for number in range(3000)]

    assert through_the_intake(b"\n".join(lines), b"\n".join(lines)) == by_the_decoder(lines)


def test_no_reserved_name_is_learned_as_a_metric() -> None:
    shape = Shape()
    for name in RESERVED_NAMES:
        shape.learn(json.dumps({name: 5}).encode())

    assert (shape.metrics, shape.ignored) == ((), ())
