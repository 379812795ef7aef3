"""The records of an archive object: a stream of compressed bytes in, blocks of lines out, nothing held whole."""

import zlib
from collections.abc import Iterator
from typing import Any

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's largest window, gzip framing only
_CHUNK_BYTES = 256 * 1024
_BLOCK_BYTES = 1024 * 1024  # of decompressed text at once: an object of zeros does not fill the memory


class Damaged(Exception):  # noqa: N818 - not an error of ours: what the object holds
    """The rest of an object cannot be decompressed; what came before has been handed out."""


def blocks(body: Any) -> Iterator[list[bytes]]:
    r"""The lines of an object (gzip of any number of members, or plain text), some at a time, without their `\n`.

    `body` has `read(size)`. A last line without a line feed counts. Raises Damaged, naming the place in the object,
    when the compressed data is broken or ends early.
    """
    rest: list[bytes] = []
    for text in _texts(body):
        head, line_feed, tail = text.partition(b"\n")
        if not line_feed:
            rest.append(text)  # a line of megabytes is joined once, not once a block
            continue
        lines = tail.split(b"\n")
        lines.insert(0, b"".join((*rest, head)))
        rest = [lines.pop()]
        yield lines
    if last := b"".join(rest):
        yield [last]


def _texts(body: Any) -> Iterator[bytes]:
    chunk = body.read(_CHUNK_BYTES)
    if not chunk.startswith(_GZIP):
        while chunk:
            yield chunk
            chunk = body.read(_CHUNK_BYTES)
        return
    consumed = 0
    member = zlib.decompressobj(_GZIP_WINDOW)
    while chunk:
        consumed += len(chunk)
        while chunk:
            if member.eof:
                member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                text = member.decompress(chunk, _BLOCK_BYTES)
            except zlib.error as error:
                raise Damaged(f"compressed data broken before byte {consumed}: {error}") from None
            chunk = member.unused_data if member.eof else member.unconsumed_tail
            if text:
                yield text
        chunk = body.read(_CHUNK_BYTES)
    if not member.eof:
        raise Damaged(f"compressed data ends early, at byte {consumed}")
