"""Every kind of damage an archive object may have: what is stored, what is set aside, and where the loss is named."""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from compaction.manifests import PlannedObject, Task, TaskResult
from compaction.writing import Writer
from sensors.settings import Decoding
from tests.lake import AT, METRICS, reading

A, B, C, D = (json.dumps(reading(at=AT + number)).encode() for number in range(4))
NOTED = json.dumps(reading(at=AT + 9, note='}{ and \\ and " too', temperature=1)).encode()
PACKED = gzip.compress(b"\n".join((A, B, C)))
STORED = zlib.compress(b"\n".join((A, B, C)), 0, 31)  # not compressed, so that a place in it is a place in the text


class OneObject:
    """An S3 client whose archive holds one object, and which keeps what is written."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.written: dict[str, bytes] = {}

    def get_object(self, **_: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self._body), "LastModified": datetime(2026, 11, 21, 10, tzinfo=UTC)}

    def put_object(self, *, Key: str, Body: Any, **_: str) -> None:  # noqa: N803 - boto3's names
        self.written[Key] = Body if isinstance(Body, bytes) else Body.read()


class Kept(NamedTuple):
    """What became of an object."""

    result: TaskResult
    lines: list[dict[str, str]]

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.result.counts.stored, self.result.counts.duplicate, self.result.counts.quarantined


def writer(s3: OneObject) -> Writer:
    return Writer(s3, "raw", "processed", Decoding(), METRICS, "day", file_bytes=128_000_000, bloom_filter=False)


def keep(body: bytes) -> Kept:
    s3 = OneObject(body)
    task = Task("00000", (PlannedObject("raw-data/a.gz", len(body), "tag"),))
    result = writer(s3).write("run", task)
    packed = s3.written.get(result.quarantine_key or "")
    return Kept(result, [json.loads(line) for line in gzip.decompress(packed).splitlines()] if packed else [])


def payload(**fields: object) -> bytes:
    return json.dumps({"device_id": "pump-1", "timestamp": AT, "temperature": 1, **fields}).encode()


# name: the object, then how many records are stored, duplicates, set aside, and for what
DAMAGE: dict[str, tuple[bytes, int, int, dict[str, int]]] = {
    "nothing": (b"", 0, 0, {}),
    "gzip of nothing": (gzip.compress(b""), 0, 0, {}),
    "blank lines": (b"\n\n \t\n\r\n", 0, 0, {}),
    "plain text": (b"\n".join((A, B)), 2, 0, {}),
    "several members": (gzip.compress(A + b"\n") + gzip.compress(B) + gzip.compress(b""), 2, 0, {}),
    "a record across members": (gzip.compress(A[:20]) + gzip.compress(A[20:]), 1, 0, {}),
    "cut off within a record": (STORED[:-40], 2, 0, {"not_json": 1}),
    "cut off within the trailer": (PACKED[:-4], 2, 0, {"not_json": 1}),
    "cut off within the header": (PACKED[:6], 0, 0, {"not_json": 1}),
    "text after the last member": (gzip.compress(A + b"\n") + b"more than a header", 1, 0, {"not_json": 1}),
    "a wrong checksum": (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], 0, 0, {"not_json": 1}),
    "a gzip header alone is true": (b"\x1f\x8b and then anything", 0, 0, {"not_json": 1}),
    "byte order mark": (b"\xef\xbb\xbf" + A + b"\n" + B, 2, 0, {}),
    "byte order mark in gzip": (gzip.compress(b"\xef\xbb\xbf" + A), 1, 0, {}),
    "byte order mark of a line": (A + b"\n\xef\xbb\xbf" + B, 1, 0, {"not_json": 1}),
    "line ends of windows": (A + b"\r\n" + B + b"\r\n", 2, 0, {}),
    "line ends of old": (A + b"\r" + B + b"\r", 2, 0, {}),
    "no last line feed": (A + b"\n" + B, 2, 0, {}),
    "blanks around": (b"  \t" + A + b"  \n \n" + B, 2, 0, {}),
    "no line feeds at all": (A + B + C, 3, 0, {}),
    "blanks between objects": (A + b" " + B + b"\t" + C, 3, 0, {}),
    "no line feeds in a large object": (b"".join(payload(timestamp=AT - n) for n in range(9000)), 9000, 0, {}),
    "no line feeds and one object broken": (A + b'{"device_id":}' + B, 2, 0, {"not_json": 1}),
    "no line feeds and a quotation mark too many": (A + b'{"x":"y""}' + B + C, 3, 0, {"not_json": 1}),
    "texts like the end of an object": (NOTED + b"\n" + NOTED + A, 2, 1, {}),
    "text after an object": (A + b"\n" + B + b" x", 1, 0, {"not_json": 1}),
    "a comma between objects": (A + b"," + B, 0, 0, {"not_json": 1}),
    "half a record": (A + b"\n" + B[:30] + b"\n" + C, 2, 0, {"not_json": 1}),
    "a record on several lines": (json.dumps(reading(), indent=1).encode(), 0, 0, {"not_json": 7}),
    "a list of records": (b"[" + A + b"," + B + b"]", 0, 0, {"not_an_object": 1}),
    "values that are no objects": (b'null\n5\n"text"\ntrue', 0, 0, {"not_an_object": 4}),
    "not UTF-8": (A + b'\n{"device_id":"\xff"}\n' + B.replace(b"pump", b"p\xc3\x28mp"), 1, 0, {"not_json": 2}),
    "UTF-16": ((A + b"\n" + B).decode().encode("utf-16"), 0, 0, {"not_json": 2}),
    "zero bytes": (A + b"\n" + b"\0" * 3000 + b"\n" + B, 2, 0, {"not_json": 1}),
    "a record of a megabyte": (A + b"\n" + payload(note="x" * 1_000_000) + b"\n" + B, 2, 0, {"too_large": 1}),
    "a line of ten megabytes": (gzip.compress(A + b"\n" + b"x" * 10_000_000 + b"\n" + B), 2, 0, {"too_large": 1}),
    "not finite": (payload(temperature=float("nan")) + b"\n" + payload(v=float("-inf")), 0, 0, {"not_json": 2}),
    "past what a double holds": (payload()[:-1] + b',"v":1e999}', 0, 0, {"bad_metric": 1}),
    "five thousand digits": (payload()[:-1] + b',"v":' + b"9" * 5000 + b"}", 0, 0, {"bad_metric": 1}),
    "a lone surrogate": (payload()[:-1] + b',"location":"\\ud800"}', 0, 0, {"not_json": 1}),
    "a key twice": (payload()[:-1] + b',"temperature":2}', 1, 0, {}),
    "nested without end": (b'{"a":' * 5000, 0, 0, {"not_json": 1}),
    "an envelope of garbage": (b'{"payload_b64":"%s"}' % base64.b64encode(b"\xff\0"), 0, 0, {"not_json": 1}),
    "a page of an error": (b"<html>\n<body>503</body>\n</html>\n", 0, 0, {"not_json": 3}),
    "the same record again": (A + b"\n" + A + b"\n" + B + b"\n" + A, 2, 2, {}),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_every_record_of_a_damaged_object_is_stored_or_set_aside(name: str) -> None:
    body, stored, duplicate, reasons = DAMAGE[name]

    kept = keep(body)

    assert kept.counts == (stored, duplicate, sum(reasons.values()))
    assert kept.result.counts.by_reason == reasons
    assert len(kept.lines) == sum(reasons.values())
    assert len({line["position"] for line in kept.lines}) == len(kept.lines)
    (item,) = kept.result.objects
    assert item.balances


def test_the_loss_of_a_truncated_object_names_the_object_the_line_and_the_byte_and_keeps_what_was_there() -> None:
    (line,) = keep(STORED[:-40]).lines

    assert line["position"] == "raw-data/a.gz:3"
    assert line["detail"] == f"compressed data ends early, at byte {len(STORED) - 40}"
    assert C.startswith(base64.b64decode(line["payload_b64"]))


def test_a_broken_record_on_a_line_of_many_has_a_place_of_its_own() -> None:
    (line,) = keep(A + b'{"device_id":}' + B).lines

    assert line["position"] == "raw-data/a.gz:1.2"
    assert base64.b64decode(line["payload_b64"]) == b'{"device_id":}'


def test_of_a_line_without_end_the_quarantine_says_how_long_it_was() -> None:
    (line,) = keep(DAMAGE["a line of ten megabytes"][0]).lines

    assert line["detail"] == "a line of 10000000 bytes, of which the first 4194304 are kept here"
    assert len(base64.b64decode(line["payload_b64"])) == 4_194_304


def test_a_metric_may_be_declared_under_any_name_that_the_settings_accept() -> None:
    metrics = ("source", "late", "ignored_fields", "key", "value", "key_value", "place", "field_0")
    s3 = OneObject(payload(**{name: number for number, name in enumerate(metrics)}))

    task = Task("00000", (PlannedObject("raw-data/a.gz", 1, "tag"),))
    result = Writer(s3, "raw", "processed", Decoding(), metrics, "day", 10**9, bloom_filter=False).write("run", task)

    (row,) = pq.read_table(io.BytesIO(s3.written[result.files[0].key])).to_pylist()
    assert [row[name] for name in metrics] == [*range(len(metrics))]
    assert row["other_metrics"] == [("temperature", 1.0)]


@pytest.mark.parametrize(
    "cut",
    [lambda body: body, lambda body: gzip.compress(body[: len(body) // 2]) + gzip.compress(body[len(body) // 2 :])],
)
def test_a_repeated_task_writes_the_same_bytes(cut: Callable[[bytes], bytes]) -> None:
    body = cut(b"\n".join((A, B, b"garbage", A, NOTED)))
    written = []
    for _ in range(2):
        s3 = OneObject(body)
        task = Task("00000", (PlannedObject("raw-data/a.gz", len(body), "tag"),))
        writer(s3).write("run", task)
        written.append(s3.written)

    assert written[0] == written[1]
    assert len(written[0]) == 3
