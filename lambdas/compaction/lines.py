r"""The records of an archive object: a stream of bytes in, blocks of lines out, nothing held whole.

Records are lines. On a line that holds several JSON objects (a sender without delimiters) each object is a record.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from isal import isal_zlib

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Of a longer line, and no payload is nearly as long, only the beginning is kept."""

DAMAGE = "compressed data "
"""How the detail begins where an object is damaged: what was set aside then is the rest of it, and no record."""

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's largest window, gzip framing only
_CHUNK_BYTES = 64 * 1024
_BLOCK_BYTES = 480 * 1024  # of decompressed text at once; so much is lost at most before a place where data is broken
_MOST_PARTS = 4096  # of a line at once: there are lines of two million `{}`

# A JSON text has `}` before `{` in strings only; what is between quotes, or after the last one, is passed over.
_BOUNDARY = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|(?P<end>\}[ \t\r]*+)(?=\{)', re.DOTALL)
_BOUNDARY_ANYWHERE = re.compile(rb"(?P<end>\}[ \t\r]*+)(?=\{)")


class Damaged(Exception):  # noqa: N818 - not an error of ours: what the object holds
    """The rest of an object cannot be decompressed; it broke off in a line, of which `rest` was there."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.rest = b""
        self.line = 1


class Block(NamedTuple):
    """Some records, blank lines among them; `cut` is how many bytes a single overlong record had beyond these.

    They are whole lines from number `line` on, or, with a `part`, the parts from that number on of the one line.
    """

    records: list[bytes]
    line: int
    part: int = 0
    cut: int = 0

    def position(self, number: int) -> str:
        """The place of one of the records, counted from 0, in its object."""
        return f"{self.line}.{self.part + number}" if self.part else f"{self.line + number}"


def blocks(body: Any) -> Iterator[Block]:
    r"""The lines of an object (gzip of any number of members, or plain text), some at a time, without the last `\n`.

    `body` has `read(size)`. A last line without a line feed counts; a byte order mark at the beginning does not.
    Raises Damaged, naming the place in the object, when the compressed data is broken or ends early.
    """
    open_line = _OpenLine()
    try:
        for text in _without_bom(_texts(body)):
            end = text.rfind(b"\n")
            if end < 0:
                yield from open_line.extend(text)
                continue
            yield from open_line.close_with(text[:end])
            open_line.start(text[end + 1 :])
    except Damaged as damage:
        damage.rest, damage.line = open_line.text, open_line.number
        raise
    yield from open_line.finish()


def split(line: bytes, *, heed_quotes: bool = True) -> list[bytes]:
    """The JSON objects that stand on one line directly one after the other; a line that is none comes back whole.

    Without heeding quotes, also those after a quotation mark too many, at the price of cutting texts that hold `}{`.
    """
    return [*_parts(line, _BOUNDARY if heed_quotes else _BOUNDARY_ANYWHERE)]


def _parts(line: bytes, boundary: re.Pattern[bytes]) -> Iterator[bytes]:
    start = 0
    for found in boundary.finditer(line):
        if found["end"]:
            yield line[start : found.end()]
            start = found.end()
    yield line[start:]


class _OpenLine:
    """The line whose end has not been seen yet, and its number. It never holds much more than MAX_LINE_BYTES."""

    def __init__(self) -> None:
        self.number = 1
        self._texts: list[bytes] = []
        self._bytes = 0
        self._part = 0
        self._cut = 0

    @property
    def text(self) -> bytes:
        return b"".join(self._texts)

    def start(self, text: bytes) -> None:
        self._texts, self._bytes, self._part, self._cut = [text], len(text), 0, 0

    def extend(self, text: bytes) -> Iterator[Block]:
        """More of the line. Of a line that is long already, the objects on it that are complete come out."""
        if self._cut:
            self._cut += len(text)
            return
        self._texts.append(text)
        self._bytes += len(text)
        yield from self._complete(_parts(self.text, _BOUNDARY))
        if self._bytes > MAX_LINE_BYTES:
            yield from self._complete(_parts(self.text, _BOUNDARY_ANYWHERE))
        if self._bytes > MAX_LINE_BYTES:
            self._texts, self._cut = [self.text[:MAX_LINE_BYTES]], self._bytes - MAX_LINE_BYTES

    def _complete(self, parts: Iterator[bytes]) -> Iterator[Block]:
        """All parts but the last, some at a time; the last stays open."""
        rest = next(parts)
        while complete := [*itertools.islice(parts, _MOST_PARTS)]:
            complete.insert(0, rest)
            rest = complete.pop()
            part = self._part or 1
            yield Block(complete, self.number, part)
            self._part = part + len(complete)
        self._texts, self._bytes = [rest], len(rest)

    def close_with(self, text: bytes) -> Iterator[Block]:
        """The rest of the line, and whole lines after it."""
        if self._part or self._cut:
            head, line_feed, tail = text.partition(b"\n")
            yield self._last_part(head)
            self.number += 1
            if line_feed:
                yield from self._whole_lines(tail)
            return
        yield from self._whole_lines(b"".join((*self._texts, text)))

    def finish(self) -> Iterator[Block]:
        """What stands after the last line feed."""
        if self._bytes:
            yield self._last_part(b"")

    def _whole_lines(self, text: bytes) -> Iterator[Block]:
        if text and not text.isspace():  # an object may be nothing but line feeds
            yield Block(text.split(b"\n"), self.number)
        self.number += text.count(b"\n") + 1

    def _last_part(self, text: bytes) -> Block:
        if self._cut:
            return Block([self.text], self.number, self._part, self._cut + len(text))
        return Block([self.text + text], self.number, self._part)


def _without_bom(texts: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for text in texts:
        head += text
        if len(head) >= len(_BOM):
            yield head.removeprefix(_BOM)
            break
    else:
        yield head.removeprefix(_BOM)
    yield from texts


def _texts(body: Any) -> Iterator[bytes]:
    chunk = body.read(_CHUNK_BYTES)
    if not chunk.startswith(_GZIP):
        while chunk:
            yield chunk
            chunk = body.read(_CHUNK_BYTES)
        return
    consumed = 0
    member = isal_zlib.decompressobj(_GZIP_WINDOW)
    while chunk:
        consumed += len(chunk)
        text = b""
        while chunk or text:  # a member may hold back text when its input is used up
            if member.eof:
                if not chunk:
                    break
                member = isal_zlib.decompressobj(_GZIP_WINDOW)
            try:
                text = member.decompress(chunk, _BLOCK_BYTES)
            except isal_zlib.error as error:  # type: ignore[misc]  # its stub has a value where the class is
                raise Damaged(f"{DAMAGE}broken before byte {consumed}: {error}") from None
            chunk = member.unused_data if member.eof else member.unconsumed_tail
            if text:
                yield text
        chunk = body.read(_CHUNK_BYTES)
    if not member.eof:
        raise Damaged(f"{DAMAGE}ends early, at byte {consumed}")
