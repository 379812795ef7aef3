"""Cutting a group into ranges of keys."""

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from optimization.manifests import Key
from optimization.ranges import KeyRange
from optimization.splitting import split, spread

keys = st.tuples(st.sampled_from(["a", "b", "b.1", "c"]), st.integers(0, 20))
samples = st.lists(keys, max_size=60)


def holds(where: KeyRange, key: Key) -> bool:
    start, end = where
    return (start is None or start <= key) and (end is None or key < end)


@given(samples, st.integers(1, 12), keys)
def test_every_key_whatever_was_sampled_is_in_one_range(sample: list[Key], parts: int, key: Key) -> None:
    ranges = split(sample, parts)

    assert [holds(where, key) for where in ranges].count(True) == 1
    assert len(ranges) <= parts


@given(st.sets(keys, min_size=1), st.integers(1, 12))
def test_ranges_have_as_many_keys_of_the_sample_give_or_take_one(sample: set[Key], parts: int) -> None:
    counts = [sum(holds(where, key) for key in sample) for where in split(sample, parts)]

    if len(sample) >= parts:
        assert len(counts) == parts
        assert max(counts) - min(counts) <= 1


@given(samples.flatmap(lambda sample: st.tuples(st.just(sample), st.permutations(sample))), st.integers(1, 12))
def test_the_order_of_the_sample_does_not_matter(both: tuple[list[Key], list[Key]], parts: int) -> None:
    sample, shuffled = both

    assert split(shuffled, parts) == split(sample, parts)


def test_a_device_that_fills_several_ranges_is_cut_by_time() -> None:
    sample = [("busy", at) for at in range(90)] + [("idle", 0)]

    assert split(sample, 3) == [(None, ("busy", 30)), (("busy", 30), ("busy", 60)), (("busy", 60), None)]


def test_equal_keys_are_not_cut() -> None:
    assert split([("a", 1)] * 10, 4) == [(None, None)]


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 200))
def test_places_are_spread_over_things_by_their_size(sizes: list[int], count: int) -> None:
    places = list(spread(sizes, count))

    assert len(places) == (count if sum(sizes) else 0)
    assert all(0 <= where < 1 for _, where in places)
    falls = Counter(number for number, _ in places)
    for number, size in enumerate(sizes):
        assert abs(falls[number] - size * count / max(sum(sizes), 1)) <= 1


@given(st.integers(1, 30), st.integers(2, 30))
def test_files_that_are_alike_are_cut_evenly_by_what_is_seen_of_them(files: int, parts: int) -> None:
    """Each has all keys from 0 to 1, and four places a part are looked at."""
    sample = [("a", int(where * 1000)) for _, where in spread([1] * files, 4 * parts)]

    cuts = [0, *(start[1] for start, _ in split(sample, parts) if start), 1000]

    assert max(b - a for a, b in itertools.pairwise(cuts)) <= 2 * 1000 / parts
