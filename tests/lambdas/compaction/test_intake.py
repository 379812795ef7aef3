"""What the intake holds back, and where a record's place is whatever the chunks in which its object comes."""

import gzip
import io
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction import lines
from compaction.intake import Intake
from tests.lambdas.compaction.intake_harness import (
    ARRIVED,
    ARRIVED_MS,
    DECODING,
    METRICS,
    by_the_decoder,
    through_the_intake,
)

RECORDS = [
    json.dumps({"device_id": "pump-1", "timestamp": ARRIVED_MS - 1, "temperature": 1.5}).encode(),
    json.dumps({"device_id": "pump-2", "timestamp": ARRIVED_MS / 1000, "flow": 1, "location": "hälle"}).encode(),
    json.dumps({"device_id": "pump-1", "timestamp": ARRIVED_MS, "metrics": {"flow": 2}, "note": "\n}{"}).encode(),
    b"garbage",
    b"",
    b'{"device_id":"bad id","timestamp":5,"x":1}\r',
]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("block", [1, 2, 3, 7, 64, 211])
def test_records_are_the_same_wherever_their_object_is_cut(
    pack: type[bytes], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = RECORDS * 3
    body = pack(b"\n".join(content))
    monkeypatch.setattr(lines, "_BLOCK_BYTES", block)
    monkeypatch.setattr(lines, "_CHUNK_BYTES", max(block, 2))

    assert through_the_intake(body) == by_the_decoder(content)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 400), max_size=6))
def test_records_are_the_same_in_whatever_members_they_are_packed(cuts: list[int]) -> None:
    text = b"\n".join(RECORDS)
    bounds = [0, *sorted(cuts), len(text)]
    body = b"".join(gzip.compress(text[start:end]) for start, end in itertools.pairwise(bounds))

    assert through_the_intake(body) == by_the_decoder(RECORDS)


def test_what_came_of_an_object_of_mostly_blank_lines_is_handed_on_as_it_is_read() -> None:
    rejects = []
    intake = Intake(METRICS, DECODING, lambda _: None, lambda *one: rejects.append(one))

    intake.read("object", io.BytesIO((b"." + b"\n" * 60_000) * 8), ARRIVED)

    assert len(rejects) > 5
    intake.finish()
    assert [place for _, _, place in rejects] == [f"object:{1 + 60_000 * number}" for number in range(8)]
