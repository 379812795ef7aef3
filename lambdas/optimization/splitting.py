"""Cutting a group into ranges of keys of about equal bytes, by a sample of its keys.

What the sample is decides how even the ranges are, and nothing else: together they are always all keys, each once.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

from optimization.manifests import Key
from optimization.ranges import KeyRange

SAMPLED_ROW_GROUPS: Final = 4
"""Of a task: they make ranges of 0.7 to 1.3 of their mean, however the files overlap."""

_GOLDEN: Final = (5**0.5 - 1) / 2


def split(sample: Iterable[Key], parts: int) -> list[KeyRange]:
    """At most this many ranges, in order, with about as many keys of the sample in each; fewer where keys are equal."""
    ordered = sorted(sample)
    cuts = {ordered[len(ordered) * number // parts] for number in range(1, parts)} if ordered else set()
    cuts -= set(ordered[:1])  # nothing is before the first
    return [KeyRange(start, end) for start, end in pairwise([None, *sorted(cuts), None])]


def spread(sizes: Sequence[int], count: int) -> Iterator[tuple[int, float]]:
    """This many places in things of these sizes, put one after the other: the thing, and how far into it, from 0 to 1.

    The larger a thing, the more places fall on it, so that each stands for as many bytes. How far into it follows the
    golden ratio: things that are alike are looked at in different places, all about equally far apart.
    """
    total = sum(sizes)
    ends = list(accumulate(sizes))
    number = 0
    for place in range(count if total else 0):
        while ends[number] <= (place + 0.5) * total / count:
            number += 1
        yield number, place * _GOLDEN % 1
