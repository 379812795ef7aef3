"""A run that is too old to be committed, because its files may have been deleted as orphans."""

from datetime import timedelta

import pytest

from compaction.errors import RunTooOld
from tests.lake import ORPHAN_DAYS, Lake, reading

LAST = timedelta(days=ORPHAN_DAYS - 1)
SECOND = timedelta(seconds=1)


def written(lake: Lake) -> Lake:
    lake.put("a", [reading()])
    lake.plan("run")
    lake.write("run")
    return lake


def test_a_run_can_be_driven_on_until_a_day_before_its_files_may_be_deleted(memory_lake: Lake) -> None:
    lake = written(memory_lake)
    lake.s3.now += LAST

    assert lake.commit("run").committed


def test_an_older_run_is_refused_by_name_and_a_new_one_takes_what_it_had(memory_lake: Lake) -> None:
    lake = written(memory_lake)
    lake.s3.now += LAST + SECOND

    with pytest.raises(RunTooOld, match=r"runs/compact/run/plan\.jsonl was written at 2026-11-21T10:.*16 days"):
        lake.commit("run")

    assert lake.table().metadata.snapshots == []
    assert lake.run("next") is not None
    assert len(lake.rows()) == 1


def test_an_old_plan_is_refused_however_young_the_files_are_that_were_written_for_it(memory_lake: Lake) -> None:
    lake = written(memory_lake)
    lake.s3.now += LAST + SECOND
    lake.write("run")

    with pytest.raises(RunTooOld):
        lake.commit("run")


def test_an_old_run_that_was_committed_is_only_written_down(memory_lake: Lake) -> None:
    lake = written(memory_lake)
    report = lake.commit("run")
    for key in [key for key in lake.store.keys("") if key.startswith("ledger/") or key.endswith("report.json")]:
        lake.s3.delete_object(Bucket=lake.processed, Key=key)
    lake.s3.now += LAST + SECOND

    assert lake.commit("run") == report
    assert len(lake.table().metadata.snapshots) == 1
