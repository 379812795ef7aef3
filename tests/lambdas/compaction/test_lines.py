"""Lines of archive objects."""

import gzip
import io
import itertools
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction import lines
from compaction.lines import Block, Damaged, blocks, split


def read(data: bytes) -> list[bytes]:
    return [line for block in blocks(io.BytesIO(data)) for line in block.records]


def placed(data: bytes) -> list[tuple[str, bytes]]:
    """The records with their places, blank lines left out."""
    return [
        (block.position(number), record)
        for block in blocks(io.BytesIO(data))
        for number, record in enumerate(block.records)
        if record and not record.isspace()
    ]


CONTENT = st.lists(
    st.one_of(st.sampled_from([b"", b" ", b"\r"]), st.binary(max_size=40)).map(
        lambda line: line.replace(b"\n", b"").replace(b"}", b"")
    ),
    max_size=40,
)


@settings(deadline=None)
@given(CONTENT, st.booleans(), st.integers(2, 40), st.integers(1, 40))
def test_lines_come_out_as_they_went_in_whatever_the_sizes_of_chunks(
    content: list[bytes], ends: bool, chunk: int, block: int
) -> None:
    text = b"".join(line + b"\n" for line in content)
    text = text if ends else text[:-1]
    numbered = enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    expected = [(str(number), line) for number, line in numbered if line and not line.isspace()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_CHUNK_BYTES", chunk)
        patch.setattr(lines, "_BLOCK_BYTES", block)
        assert placed(gzip.compress(text)) == expected
        if not text.startswith(b"\x1f\x8b"):
            assert placed(text) == expected


def test_a_text_of_nothing_but_line_feeds_is_passed_over_and_counted() -> None:
    assert placed(gzip.compress(b"one\n" + b"\n" * 3_000_000 + b" \r\ntwo")) == [("1", b"one"), ("3000003", b"two")]
    assert list(blocks(io.BytesIO(gzip.compress(b"\n" * 3_000_000)))) == []


OBJECTS = st.lists(
    st.dictionaries(st.text('a"\\{} ', max_size=3), st.text('a"\\{}', max_size=6), max_size=2).map(
        lambda fields: json.dumps(fields).encode()
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(OBJECTS, st.integers(1, 40))
def test_objects_that_stand_one_after_the_other_come_apart_whatever_is_in_their_texts(
    content: list[bytes], block: int
) -> None:
    text = b"".join(content)

    assert split(text) == content
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_CHUNK_BYTES", block)
        found = list(blocks(io.BytesIO(text)))
    records = [record for one in found for record in split(b"".join(one.records))]
    assert records == content
    assert all(later.part > earlier.part for earlier, later in itertools.pairwise(found))


def test_of_an_endless_line_only_the_beginning_is_held_and_the_next_lines_keep_their_numbers() -> None:
    text = b"first\n" + b"x" * 10_000_000 + b"\nthird\n"

    found = list(blocks(io.BytesIO(gzip.compress(text))))

    assert [(one.records[0][:5], one.line, one.position(0)) for one in found] == [
        (b"first", 1, "1"),
        (b"xxxxx", 2, "2"),
        (b"third", 3, "3"),
    ]
    assert len(found[1].records[0]) == lines.MAX_LINE_BYTES
    assert found[1].cut == 10_000_000 - lines.MAX_LINE_BYTES


def test_parts_of_a_line_come_some_at_a_time_and_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100_000)
    text = b'"' + b"{}" * 200_000 + b"\n{}"

    found = list(blocks(io.BytesIO(text)))

    assert max(len(block.records) for block in found) == lines._MOST_PARTS
    places = [block.position(number) for block in found for number in range(len(block.records))]
    assert places == [*(f"1.{number}" for number in range(1, len(places))), "2"]
    assert b"".join(record for block in found for record in block.records) == text.replace(b"\n", b"")


def test_parts_of_a_line_have_places_of_their_own() -> None:
    assert Block([], 4).position(2) == "6"
    assert Block([], 4, part=3).position(2) == "4.5"


def test_a_byte_order_mark_is_dropped_at_the_beginning_of_an_object_only() -> None:
    assert read(b"\xef\xbb\xbfone\n\xef\xbb\xbftwo") == [b"one", b"\xef\xbb\xbftwo"]
    assert read(b"\xef") == [b"\xef"]


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
    half = io.BytesIO(data[: len(data) // 2])
    lines_of_half = (line for block in blocks(half) for line in block.records)

    with pytest.raises(Damaged, match=f"ends early, at byte {len(data) // 2}"):
        found.extend(lines_of_half)

    assert 500 < len(found) < 2000


def test_what_came_before_broken_data_is_kept_but_for_one_block() -> None:
    text = b"".join(b"%s\n" % os.urandom(50).hex().encode() for _ in range(10_000))
    data = gzip.compress(text)
    found: list[bytes] = []
    lines_of_it = (line for block in blocks(io.BytesIO(data[:-8] + b"\0" * 8)) for line in block.records)

    with pytest.raises(Damaged, match="broken before byte"):
        found.extend(lines_of_it)

    assert sum(map(len, found)) > len(text) - lines._BLOCK_BYTES - 100


def test_bytes_that_are_not_gzip_after_a_member_are_damage() -> None:
    with pytest.raises(Damaged, match="broken before byte"):
        read(gzip.compress(b"one\n") + b"garbage after the end")
