"""Files are found in their manifests, whatever PyIceberg's threads do meanwhile."""

import time

import pytest
from pyiceberg.expressions import visitors
from pyiceberg.manifest import ManifestFile

from optimization.live import entries
from tests.lake import AT, Lake, reading

DAYS = 6


def test_a_manifest_is_judged_by_its_own_partitions(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever judges one takes its time, so that the others come in between."""
    for day in range(DAYS):
        memory_lake.put(f"{day}", [reading(at=AT - 86_400 * day)])
        memory_lake.run(f"{day}")
    table = memory_lake.table()
    files = [entry.data_file for entry in entries(table)]

    def slow(evaluator: visitors._ManifestEvalVisitor, manifest: ManifestFile) -> bool:
        evaluator.partition_fields = manifest.partitions or []
        time.sleep(0.01)
        return visitors.visit(evaluator.partition_filter, evaluator)

    monkeypatch.setattr(visitors._ManifestEvalVisitor, "eval", slow)
    memory_lake.lake_table().put_back(table, files[:1], [], {})

    assert len(memory_lake.rows()) == DAYS - 1
