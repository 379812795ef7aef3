"""Which files of a partition are rewritten, and which of them together."""

from collections.abc import Iterable
from itertools import groupby
from typing import Final, NamedTuple

from optimization.inventory import LiveFile
from optimization.manifests import Key
from optimization.ranges import components
from optimization.rewriting import MOST_OF_TARGET

SMALL: Final = 0.75
"""Of the target size: a file below it is joined to its neighbours, one above it is worth no rewriting."""


class Placed(NamedTuple):
    """A data file, and where it lies: no key of its rows is before `first` or after `last`.

    `is_sorted` says that its rows are in order of key and `first` and `last` are those of rows. `key_checksum` is what
    its footer says of them, None where it says nothing.
    """

    file: LiveFile
    first: Key
    last: Key
    is_sorted: bool
    key_checksum: str | None = None

    @property
    def is_tidy(self) -> bool:
        """Whether it could stay as it is."""
        return self.is_sorted and self.file.is_current


class Chosen(NamedTuple):
    """Files that are rewritten together, in order of commit, and why: words for people."""

    files: list[Placed]
    reasons: list[str]

    @property
    def bytes(self) -> int:
        """Bytes of the files as they are."""
        return sum(placed.file.bytes for placed in self.files)


def choose(files: Iterable[Placed], file_bytes: int) -> list[Chosen]:
    """The groups of a partition, in order of key; files in none of them stay untouched.

    Files with keys in common, directly or by way of others, are in one group, since only together do they come in order
    and lose their duplicates. Such a component of several files is rewritten, and a single file that is not tidy. What
    lies next to them in order of key, or next to each other, and is small (SMALL of `file_bytes`), joins them. So what
    comes of a group, one file for each part of it (`parts`), is rewritten again only where small ones came to lie side
    by side: these become fewer files each time.

    The answer does not depend on the order of `files`.
    """
    chosen = []
    in_order = sorted(files, key=lambda placed: placed.file.path)
    for is_in, run in groupby(components(in_order), key=lambda together: _may_change(together, file_bytes)):
        found = list(run)
        if is_in and (len(found) > 1 or _must_change(found[0])):
            members = sorted(
                (placed for together in found for placed in together),
                key=lambda placed: (placed.file.sequence, placed.file.path),
            )
            chosen.append(Chosen(members, _reasons(found)))
    return chosen


def parts(size: int, file_bytes: int) -> int:
    """How many files this many bytes become."""
    return 1 if size < MOST_OF_TARGET * file_bytes else round(size / file_bytes)


def _must_change(component: list[Placed]) -> bool:
    return len(component) > 1 or not component[0].is_tidy


def _may_change(component: list[Placed], file_bytes: int) -> bool:
    return _must_change(component) or component[0].file.bytes < SMALL * file_bytes


def _reasons(components: list[list[Placed]]) -> list[str]:
    said = {
        "overlapping": any(len(together) > 1 for together in components),
        "small": any(not _must_change(together) for together in components),
        "unsorted": any(not placed.is_sorted for together in components for placed in together),
        "older partitioning": any(not placed.file.is_current for together in components for placed in together),
    }
    return [reason for reason, holds in said.items() if holds]
