"""A lake in memory that grows old, and the last two steps of `optimize` on it."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pyiceberg.table import snapshots
from pyiceberg.table.statistics import StatisticsFile

from compaction.hours import window_of
from optimization.expiring import Expirer
from optimization.manifests import Expired
from optimization.sweeping import Closed, Sweeper
from tests.lake import AT, HOUR, ORPHAN_DAYS, Lake, reading

FOLDER = "warehouse/readings/"
DAY = timedelta(days=1)


def keep_time(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Date snapshots by the clock of the lake's S3."""
    monkeypatch.setattr(snapshots, "time", SimpleNamespace(time=lambda: lake.s3.now.timestamp()))


def grow(lake: Lake, *days: int) -> list[int]:
    """Commit a run on each of these days from now on; the ids of their snapshots."""
    begin, ids = lake.s3.now, []
    for day in days:
        lake.s3.now = begin + day * DAY
        lake.put(f"day-{day}", [reading(at=AT + day)], HOUR + day * DAY)
        window = window_of({}, lake.s3.now + DAY, 16)
        lake.planner().plan(f"run-{day}", window)
        lake.write(f"run-{day}")
        ids.append(int(lake.commit(f"run-{day}").snapshot_id or 0))
    return ids


def ids(lake: Lake) -> list[int]:
    """The table's snapshots, oldest first."""
    return [snapshot.snapshot_id for snapshot in lake.table().metadata.snapshots]


def files(lake: Lake, folder: str = FOLDER) -> set[str]:
    return set(lake.store.keys(folder))


def strew(lake: Lake, *names: str) -> list[str]:
    """Put files below the table's place that nothing names."""
    keys = [FOLDER + name for name in names]
    for key in keys:
        lake.store.write(key, b"stray")
    return keys


def expirer(lake: Lake, keep_snapshots: int = 1, keep_days: int = 7) -> Expirer:
    return Expirer(lake.store, lake.lake_table(), keep_snapshots, keep_days, lake.now(), sleep=lambda _: None)


def sweeper(lake: Lake, orphan_days: int = ORPHAN_DAYS) -> Sweeper:
    return Sweeper(lake.s3, lake.store, lake.lake_table(), orphan_days, lake.now())


def close(lake: Lake, run_id: str = "upkeep", **settings: Any) -> Closed:
    return sweeper(lake, **settings).close(run_id, None, Expired(0, 1))


def statistics(lake: Lake, snapshot_id: int) -> StatisticsFile:
    path = f"s3://{lake.processed}/warehouse/readings/metadata/{snapshot_id}.stats"
    return StatisticsFile(
        snapshot_id=snapshot_id,
        statistics_path=path,
        file_size_in_bytes=1,
        file_footer_size_in_bytes=1,
        blob_metadata=[],
    )
