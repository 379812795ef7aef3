"""Lines of archive objects."""

import gzip
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaction import lines
from compaction.lines import Damaged, blocks


def read(data: bytes) -> list[bytes]:
    return [line for block in blocks(io.BytesIO(data)) for line in block]


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=40), st.booleans())
def test_lines_come_out_as_they_went_in_whatever_the_sizes_of_chunks(content: list[bytes], ends: bool) -> None:
    text = b"".join(line + b"\n" for line in content)
    text = text if ends else text[:-1]
    expected = text.split(b"\n")
    expected = expected[:-1] if expected[-1] == b"" else expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_CHUNK_BYTES", 7)
        patch.setattr(lines, "_BLOCK_BYTES", 5)
        assert read(gzip.compress(text)) == expected
        if not text.startswith(b"\x1f\x8b"):
            assert read(text) == expected


def test_an_object_of_several_gzip_members_is_one_text() -> None:
    assert read(gzip.compress(b"one\nt") + gzip.compress(b"wo\n") + gzip.compress(b"three")) == [
        b"one",
        b"two",
        b"three",
    ]


def test_an_empty_object_has_no_lines() -> None:
    assert read(b"") == []
    assert read(gzip.compress(b"")) == []


def test_a_truncated_object_gives_what_decodes_and_then_says_where_it_ends() -> None:
    data = gzip.compress(b"".join(b"%s\n" % os.urandom(50).hex().encode() for _ in range(2000)))
    found: list[bytes] = []
    lines_of_half = (line for block in blocks(io.BytesIO(data[: len(data) // 2])) for line in block)

    with pytest.raises(Damaged, match=f"ends early, at byte {len(data) // 2}"):
        found.extend(lines_of_half)

    assert 500 < len(found) < 2000


def test_bytes_that_are_not_gzip_after_a_member_are_damage() -> None:
    with pytest.raises(Damaged, match="broken before byte"):
        read(gzip.compress(b"one\n") + b"garbage after the end")
