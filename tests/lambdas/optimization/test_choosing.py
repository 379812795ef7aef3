"""Which files are rewritten, and what is left to do afterwards: nothing."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from optimization.choosing import SMALL, Chosen, Placed, choose, parts
from optimization.inventory import LiveFile
from optimization.manifests import Key
from optimization.splitting import split

FILE_BYTES = 100


def placed(name: str, first: Key, last: Key, size: int = FILE_BYTES, **about: bool) -> Placed:
    """A file that needs nothing by itself, unless `about` says otherwise."""
    file = LiveFile(name, 1, size, sequence=1, is_current=about.get("is_current", True))
    return Placed(file, first, last, is_sorted=about.get("is_sorted", True))


def tidy(count: int) -> list[Placed]:
    """Files of the target size, one device after the other."""
    return [placed(f"tidy-{number:03}", (f"pump-{number:03}", 0), (f"pump-{number:03}", 9)) for number in range(count)]


def names(group: Chosen) -> list[str]:
    return [member.file.path for member in group.files]


keys = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9))
files = st.lists(
    st.tuples(st.lists(keys, min_size=2, max_size=2), st.integers(1, 300), st.booleans(), st.booleans()), max_size=25
).map(
    lambda drawn: [
        placed(f"{number:02}", min(ends), max(ends), size, is_sorted=is_sorted, is_current=is_current)
        for number, (ends, size, is_sorted, is_current) in enumerate(drawn)
    ]
)


@given(files)
def test_a_file_is_in_one_group_at_most_and_with_all_that_share_keys_with_it(content: list[Placed]) -> None:
    groups = [set(names(group)) for group in choose(content, FILE_BYTES)]

    assert sum(len(group) for group in groups) == len(set().union(*groups))
    for one, other in itertools.combinations(content, 2):
        if one.first <= other.last and other.first <= one.last:
            (together,) = [group for group in groups if one.file.path in group]
            assert other.file.path in together


@given(files)
def test_what_stays_is_in_order_and_no_two_small_files_stay_side_by_side(content: list[Placed]) -> None:
    moved = {name for group in choose(content, FILE_BYTES) for name in names(group)}
    stays = [member for member in content if member.file.path not in moved]

    assert all(member.is_tidy for member in stays)
    in_order = sorted(content, key=lambda member: member.first)
    for one, other in itertools.pairwise(in_order):
        if one in stays and other.file.bytes < SMALL * FILE_BYTES:
            assert one.file.bytes >= SMALL * FILE_BYTES


@given(files.flatmap(lambda content: st.tuples(st.just(content), st.permutations(content))))
def test_the_order_of_the_files_does_not_matter(both: tuple[list[Placed], list[Placed]]) -> None:
    content, shuffled = both

    assert choose(shuffled, FILE_BYTES) == choose(content, FILE_BYTES)


@given(files)
def test_groups_do_not_reach_into_each_other(content: list[Placed]) -> None:
    ranges = [
        (min(member.first for member in group.files), max(member.last for member in group.files))
        for group in choose(content, FILE_BYTES)
    ]

    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))


def test_a_late_file_only_moves_the_files_whose_keys_it_reaches() -> None:
    late = placed("late", ("pump-040", 5), ("pump-041", 2), size=1)

    (group,) = choose([*tidy(100), late], FILE_BYTES)

    assert names(group) == ["late", "tidy-040", "tidy-041"]
    assert group.reasons == ["overlapping"]


def test_a_late_file_between_two_others_stays_where_it_is() -> None:
    assert choose([*tidy(100), placed("late", ("pump-040.5", 0), ("pump-040.5", 0), size=1)], FILE_BYTES) == []


def test_files_that_meet_at_one_device_are_apart_unless_they_share_a_reading() -> None:
    one, next_to_it = placed("1", ("a", 0), ("b", 5)), placed("2", ("b", 6), ("c", 0))

    assert choose([one, next_to_it], FILE_BYTES) == []
    (group,) = choose([one, next_to_it._replace(first=("b", 5))], FILE_BYTES)
    assert names(group) == ["1", "2"]


def test_small_files_side_by_side_become_one_and_a_single_one_waits() -> None:
    whole = tidy(6)
    small = [member._replace(file=member.file._replace(bytes=74)) for member in whole]

    assert choose([whole[0], small[1], whole[2], small[3]], FILE_BYTES) == []
    (group,) = choose([whole[0], small[1], small[2], whole[3], small[4]], FILE_BYTES)
    assert (names(group), group.reasons) == (["tidy-001", "tidy-002"], ["small"])


def test_a_small_file_joins_a_neighbour_that_is_rewritten_anyway() -> None:
    content = tidy(4)
    content[1] = placed("unsorted", ("pump-001", 0), ("pump-001", 9), is_sorted=False)
    content[2] = placed("small", ("pump-002", 0), ("pump-002", 9), size=10)

    (group,) = choose(content, FILE_BYTES)

    assert (names(group), group.reasons) == (["small", "unsorted"], ["small", "unsorted"])


def test_a_file_of_an_older_partitioning_is_rewritten() -> None:
    content = [*tidy(2), placed("old", ("x", 0), ("x", 1), is_current=False)]

    (group,) = choose(content, FILE_BYTES)

    assert (names(group), group.reasons) == (["old"], ["older partitioning"])


def test_files_of_a_group_stand_in_the_order_of_their_commits() -> None:
    content = [placed(name, ("a", 0), ("b", 0)) for name in ("z", "y", "x")]
    content[0] = content[0]._replace(file=content[0].file._replace(sequence=0))

    (group,) = choose(content, FILE_BYTES)

    assert names(group) == ["z", "x", "y"]


def written(content: list[list[Key]], row_bytes: int) -> list[Placed]:
    """Files of these rows."""
    return [
        placed(f"{number}", min(rows), max(rows), len(rows) * row_bytes, is_sorted=rows == sorted(set(rows)))
        for number, rows in enumerate(content)
    ]


def rewritten(content: list[list[Key]], group: Chosen, row_bytes: int) -> list[list[Key]]:
    """What comes of a group: a file for each range of keys that has any, in order and without duplicates."""
    rows = sorted({key for name in names(group) for key in content[int(name)]})
    ranges = split(rows, parts(len(rows) * row_bytes, FILE_BYTES))
    cut = [[key for key in rows if (start or key) <= key and (end is None or key < end)] for start, end in ranges]
    return [file for file in cut if file]


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30)), min_size=1, max_size=20),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 60),
)
def test_rewriting_comes_to_an_end_without_losing_a_key(content: list[list[Key]], row_bytes: int) -> None:
    before = sorted({key for rows in content for key in rows})

    for run in range(4):
        groups = choose(written(content, row_bytes), FILE_BYTES)
        if not groups:
            break
        assert run == 0 or {reason for group in groups for reason in group.reasons} == {"small"}
        moved = {int(name) for group in groups for name in names(group)}
        made = [rows for group in groups for rows in rewritten(content, group, row_bytes)]
        assert run == 0 or len(made) < len(moved)
        content = [rows for number, rows in enumerate(content) if number not in moved] + made

    assert choose(written(content, row_bytes), FILE_BYTES) == []
    assert sorted(key for rows in content for key in rows) == before
