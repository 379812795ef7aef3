"""Which objects the readings of a scope came from."""

from pathlib import Path

import pytest

from compaction import rowgroups
from reprocessing.request import Scope
from reprocessing.touching import sources_of
from tests.lake import Lake
from tests.lambdas.reprocessing import merges
from tests.lambdas.reprocessing.merges import AT_MS, EVERYTHING, Row


@pytest.mark.parametrize(
    ("scope", "sources"),
    [
        (EVERYTHING, {"1", "2", "3", "4"}),
        (Scope(AT_MS, AT_MS + 2), {"1", "2", "3"}),
        (Scope(AT_MS, AT_MS + 1), {"1", "3"}),
        (Scope(AT_MS + 1, AT_MS + 3, ("a",)), {"2"}),
        (Scope(AT_MS, AT_MS + 3, ("[bc]",)), {"3", "4"}),
        (Scope(AT_MS + 3, AT_MS + 4), set()),
    ],
)
@pytest.mark.parametrize("row_group", [1, 2, 100])
def test_the_objects_of_the_rows_of_the_scope_and_no_others(
    memory_lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scope: Scope,
    sources: set[str],
    row_group: int,
) -> None:
    monkeypatch.setattr(rowgroups, "ROWS", row_group)
    named = {("a", 0): "1", ("a", 1): "2", ("b", 0): "3", ("c", 2): "4"}
    rows = [Row(device, AT_MS + moment, source_object=source) for (device, moment), source in named.items()]
    (file,) = merges.add(memory_lake, "file", rows, tmp_path)

    found = sources_of(memory_lake.table().io, f"s3://{memory_lake.processed}/{file.key}", scope)

    assert found == sources
