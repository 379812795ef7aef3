"""A checksum of a file's keys that does not depend on their order."""

import hashlib
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_ODD: Final = pa.scalar(0x9E3779B97F4A7C15, pa.uint64())  # the constants are those of splitmix64
_FIRST: Final = pa.scalar(0xBF58476D1CE4E5B9, pa.uint64())
_SECOND: Final = pa.scalar(0x94D049BB133111EB, pa.uint64())
_LOW_HALF: Final = pa.scalar(0xFFFFFFFF, pa.uint64())


def of_keys(devices: pa.DictionaryArray, measured_at_ms: pa.Int64Array) -> int:
    """The sum modulo 2⁶⁴ of a 64-bit hash of each (device, time): sums of parts add up to that of the whole.

    The hash is splitmix64's finalizer (Steele, Lea and Flood, OOPSLA 2014) of the BLAKE2b-64 of the device's name, read
    as a big-endian number, xor the time in milliseconds times 0x9E3779B97F4A7C15.
    """
    names = pa.array([_number(name) for name in devices.dictionary.to_pylist()], pa.uint64())
    times = pc.multiply(measured_at_ms.cast(pa.uint64()), _ODD)
    mixed = pc.bit_wise_xor(names.take(devices.indices), times)
    mixed = pc.multiply(pc.bit_wise_xor(mixed, pc.shift_right(mixed, _bits(30))), _FIRST)
    mixed = pc.multiply(pc.bit_wise_xor(mixed, pc.shift_right(mixed, _bits(27))), _SECOND)
    mixed = pc.bit_wise_xor(mixed, pc.shift_right(mixed, _bits(31)))
    high = pc.sum(pc.shift_right(mixed, _bits(32)), min_count=0).as_py()  # in halves: neither sum overflows
    low = pc.sum(pc.bit_wise_and(mixed, _LOW_HALF), min_count=0).as_py()
    return int((high << 32) + low) % 2**64


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def _bits(count: int) -> pa.UInt64Scalar:
    return pa.scalar(count, pa.uint64())
