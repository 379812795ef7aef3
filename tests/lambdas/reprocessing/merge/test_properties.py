"""Whatever is in the table and was decoded: each reading of the scope is there once, and every other row as it was."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.manifests import Key
from reprocessing.merge_manifests import MergeResult
from reprocessing.request import Scope
from reprocessing.scope import has_device
from tests.lake import Lake, in_memory
from tests.lambdas.reprocessing import merges
from tests.lambdas.reprocessing.merge.test_merging import check_account
from tests.lambdas.reprocessing.merges import AT_MS, HOUR_MS, Merge, Row, Run, request
from tests.memory_aws import Effects

MIDNIGHT_MS = AT_MS - 9 * HOUR_MS
MOMENTS = [MIDNIGHT_MS + hours * HOUR_MS + edge for hours in (0, 1, 3) for edge in (-1, 0)]
DECODED = ("one", "two")

keys = st.tuples(st.sampled_from(["a", "ab", "b"]), st.sampled_from(MOMENTS))


def rows(*sources: str) -> st.SearchStrategy[list[Row]]:
    """Rows of these objects; many share a key, and a time of arrival."""
    return st.lists(
        st.builds(
            lambda key, value, source, later: Row(key[0], key[1], float(value), source, MOMENTS[-1] + later),
            keys,
            st.integers(0, 2),
            st.sampled_from(sources),
            st.integers(0, 1),
        ),
        max_size=6,
    )


class Case(NamedTuple):
    """Files of the table from before the plan and from after it, what was decoded of each object, the scope."""

    before: list[list[Row]]
    after: list[list[Row]]
    decoded: dict[str, list[Row]]
    scope: Scope
    partition_by: str
    replaces: bool
    cuts: list[Key]

    @property
    def staged(self) -> list[Row]:
        return [row for held in self.decoded.values() for row in stays(held) if self.has(row)]

    def has(self, row: Row) -> bool:
        return self.scope.start_ms <= row.measured_at < self.scope.end_ms and has_device(self.scope, row.device_id)

    def is_replaced(self, row: Row) -> bool:
        return self.replaces and self.has(row) and row.source_object in DECODED


cases = st.builds(
    Case,
    before=st.lists(rows(*DECODED), max_size=3),
    after=st.lists(rows(*DECODED, "three"), max_size=2),
    decoded=st.fixed_dictionaries({source: rows(source) for source in DECODED}),
    scope=st.builds(
        Scope,
        st.sampled_from(MOMENTS[:4]),
        st.sampled_from(MOMENTS[4:]),
        st.sampled_from([(), ("a",), ("a*",), ("?", "none")]),
    ),
    partition_by=st.sampled_from(["day", "hour"]),
    replaces=st.booleans(),
    cuts=st.lists(keys, unique=True, max_size=2).map(sorted),
)


def stays(found: Iterable[Row]) -> list[Row]:
    """Of rows with equal keys the last received, of these the one of the last object, of these the last."""
    best: dict[Key, Row] = {}
    for row in found:
        held = best.get(row.key)
        if held is None or (row.received_at, row.source_object) >= (held.received_at, held.source_object):
            best[row.key] = row
    return list(best.values())


def merged(case: Case, folder: Path) -> tuple[Lake, Merge]:
    """The case on a lake, merged."""
    lake = Lake(partition_by=case.partition_by, aws=in_memory(Effects()))
    for number, file in enumerate(case.before):
        merges.add(lake, f"before-{number}", file, folder)
    asked = {} if case.replaces else {"source": "quarantine"}
    run = Run(lake, request(case.scope, **asked), folder)
    for source, held in case.decoded.items():
        run.decode([row for row in held if case.has(row)], [source])
    for number, file in enumerate(case.after):
        merges.add(lake, f"after-{number}", file, folder)
    merge = run.plan()
    merge.cut(*case.cuts)
    return lake, merge


def check_changes(results: Sequence[MergeResult], before: Sequence[Row], after: Sequence[Row]) -> None:
    """The sums of what the tasks say has changed, by two lists of readings, of which the first may have duplicates."""
    was, becomes = ({row.key: row.temperature for row in stays(found)} for found in (before, after))
    expected = {
        "before": len(was),
        "before_duplicates": len(before) - len(was),
        "after": len(becomes),
        "same": sum(becomes.get(key) == value for key, value in was.items()),
        "changed": sum(key in becomes and becomes[key] != value for key, value in was.items()),
        "added": len(becomes.keys() - was.keys()),
        "vanished": len(was.keys() - becomes.keys()),
    }
    assert {name: sum(getattr(one.changes, name) for one in results) for name in expected} == expected


@settings(max_examples=30, deadline=None)
@given(case=cases)
def test_every_reading_of_the_scope_is_there_once_and_all_other_rows_are_as_they_were(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake, merge = merged(case, Path(folder))
        results = merge.merge()
        touched = {file.key for group in merge.groups for file in group.old}
        found = {key: merges.rows_of(lake, key) for key in merges.live(lake)}
        published = merge.published()

    old = [row for key in sorted(touched, key=commit_order) for row in found[key]]
    left = [row for key in found.keys() - touched for row in found[key]]
    staged_keys = {row.key for row in case.staged}
    assert not any(case.has(row) if case.replaces else row.key in staged_keys for row in left)
    comes_out = stays([*(row for row in old if not case.is_replaced(row)), *case.staged])
    assert published == sorted([*left, *comes_out])
    check_account(merge, results)
    check_changes(results, [row for row in old if case.has(row)], [row for row in comes_out if case.has(row)])


def commit_order(key: str) -> tuple[bool, str]:
    """Where a file stands in the order of commits, by its name: those from after the plan come last."""
    name = key.rsplit("/", 1)[-1]
    return name.startswith("after"), name
