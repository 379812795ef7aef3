"""The quarantine's objects: what a reader finds in them, and under which key."""

import base64
import gzip
import json
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from sensors import quarantine
from sensors.reading import Reason, Rejection

ARRIVED_MS = 1_795_251_600_123


def rejection(reason: Reason = Reason.NOT_JSON, received_at_ms: int = ARRIVED_MS) -> Rejection:
    return Rejection(reason, "why", received_at_ms)


def test_a_line_holds_the_record_its_reason_and_its_place():
    packed = quarantine.pack([quarantine.line(rejection(), b"\xff\n", "stream", "shardId-000000000000:49")])

    assert json.loads(gzip.decompress(packed)) == {
        "reason": "not_json",
        "detail": "why",
        "source": "stream",
        "position": "shardId-000000000000:49",
        "received_at": "2026-11-21T09:00:00.123Z",
        "payload_b64": base64.b64encode(b"\xff\n").decode(),
    }


@given(st.lists(st.binary(), min_size=1))
def test_every_record_comes_back_from_its_line(records):
    packed = quarantine.pack([quarantine.line(rejection(), record, "archive", "key:1") for record in records])
    lines = gzip.decompress(packed).decode().splitlines()

    assert [base64.b64decode(json.loads(line)["payload_b64"]) for line in lines] == records


def test_the_same_lines_give_the_same_bytes():
    line = quarantine.line(rejection(), b"x", "stream", "s:1")

    assert quarantine.pack([line, line]) == quarantine.pack([line, line])


def test_the_key_tells_the_reason_and_the_day_of_arrival():
    day_before = ARRIVED_MS - 24 * 3_600_000

    assert quarantine.key([rejection(), rejection(received_at_ms=day_before)], "compact", "run-7") == (
        "quarantine/reason=not_json/year=2026/month=11/day=21/compact-run-7.jsonl.gz"
    )


def test_the_name_says_who_has_written_an_object_and_so_where_its_lines_come_from():
    keys = [quarantine.key([rejection()], writer, "run-7") for writer in ("stream", "compact", "reprocess")]

    assert [quarantine.source_of(key) for key in keys] == ["stream", "archive", "archive"]
    assert quarantine.source_of("quarantine/reason=mixed/year=2026/month=11/day=21/streams.jsonl.gz") is None
    day = date(2026, 11, 21)
    assert keys[1].startswith(quarantine.prefix("not_json", day, "compact"))
    assert not keys[1].startswith(quarantine.prefix("not_json", day, "reprocess"))


def test_an_object_of_several_reasons_says_so():
    key = quarantine.key([rejection(), rejection(Reason.TOO_LARGE)], "compact", "run-7")

    assert key.startswith("quarantine/reason=mixed/")
