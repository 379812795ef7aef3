"""Why readings vanish: what became of the records of the objects that they came from.

A row names its object, not its record. So the records of an object that are now quarantined, or duplicates, explain as
many of its vanished readings as they are, and no reading is explained twice.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from reprocessing.manifests import DecodedObject

NOT_FOUND = "not found"
DUPLICATE = "duplicate"
MOVED = "moved"
"""The record is stored under another time or device, or outside the scope."""


def lost(before: int, after: int, by_cause: Mapping[str, int]) -> int:
    """How many readings nothing makes up for: as many fewer as there are, and at least those that are not found.

    A reading that vanishes though its object is there was wrong; without its object it is gone for good, however many
    others are new.
    """
    return max(before - after, by_cause.get(NOT_FOUND, 0))


def causes(vanished: Mapping[str, int], missing: Iterable[str], decoded: Iterable[DecodedObject]) -> dict[str, int]:
    """The vanished readings, given by source object, by cause.

    Causes are `not found`, `quarantined: <reason>`, `duplicate` and `moved`. `missing` are objects that the archive
    does not have.
    """
    left = dict(vanished)
    found: Counter[str] = Counter()
    for key in missing:
        found[NOT_FOUND] += left.pop(key, 0)
    for item in decoded:
        readings = left.pop(item.key, 0)
        if not readings:
            continue
        explained = [(f"quarantined: {reason}", count) for reason, count in sorted(item.by_reason.items())]
        for cause, count in (*explained, (DUPLICATE, item.duplicate), (MOVED, readings)):
            taken = min(count, readings)
            found[cause] += taken
            readings -= taken
    found[NOT_FOUND] += sum(left.values())
    return dict(sorted((cause, count) for cause, count in found.items() if count))
