"""Which libraries a compiled module links, read from its ELF header: what is built for arm64 may not run here."""

import struct

DYNAMIC, LOAD = 2, 1
NEEDED, STRINGS = 1, 5


def linked(content: bytes) -> list[str]:
    """Names of the libraries that a 64-bit little-endian ELF file needs.

    After https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html.
    """
    if content[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (offset,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    headers = [struct.unpack_from("<IIQQQQ", content, offset + number * size) for number in range(count)]
    segments = [(address, place, length) for kind, _, place, address, _, length in headers if kind == LOAD]
    (dynamic,) = [(place, length) for kind, _, place, _, _, length in headers if kind == DYNAMIC]
    entries = list(struct.iter_unpack("<QQ", content[dynamic[0] : sum(dynamic)]))
    (table,) = [value for tag, value in entries if tag == STRINGS]
    strings = next(
        place + table - address for address, place, length in segments if address <= table < address + length
    )
    starts = [strings + value for tag, value in entries if tag == NEEDED]
    return [content[start : content.index(b"\0", start)].decode() for start in starts]
