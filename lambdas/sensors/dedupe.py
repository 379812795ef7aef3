"""Duplicates: readings of one device for one moment, of which the last received stays."""

from collections.abc import Sequence

from sensors.reading import Reading


def last_received(readings: Sequence[Reading]) -> list[int]:
    """Positions of the readings that stay when each identity may stay once, in ascending order.

    The later `received_at_ms` wins; of two that arrived in the same millisecond, the later in the sequence.
    """
    kept: dict[tuple[str, int], int] = {}
    for position, reading in enumerate(readings):
        identity = (reading.device_id, reading.measured_at_ms)
        other = kept.setdefault(identity, position)
        if other != position and reading.received_at_ms >= readings[other].received_at_ms:
            kept[identity] = position
    return sorted(kept.values())
