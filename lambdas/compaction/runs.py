"""Which runs are committed, and which archive objects they hold.

An object is committed if, and only if, a run whose plan holds it is committed; a run is committed if its id is in the
properties of one of the table's snapshots, or its report says so (runs without a row have no snapshot, and snapshots
expire). Nothing else is written down, so there is nothing that a crash could leave in disagreement.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from compaction.hours import Window, hour_prefix
from compaction.manifests import RUNS_PREFIX, Report, Task, plan_key, report_key
from compaction.store import Store

RUN_ID_PROPERTY = "sensorkeep.run-id"
TABLE = "readings"

_READERS = 16  # S3 answers in tens of milliseconds, the manifests of a run are small

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Snapshot(msgspec.Struct):
    summary: dict[str, str] = {}


class _TableMetadata(msgspec.Struct):
    snapshots: list[_Snapshot] = []


def read_plan(store: Store, run_id: str) -> Iterator[Task] | None:
    """The tasks of a run, one at a time, or None when it has no plan."""
    body = store.open(plan_key(run_id))
    if body is None:
        return None
    decoder = msgspec.json.Decoder(Task)
    return (decoder.decode(line) for line in body.iter_lines() if line)


def read_report(store: Store, run_id: str) -> Report | None:
    """The report of a run, or None when it has none."""
    body = store.read(report_key(run_id))
    return None if body is None else msgspec.json.decode(body, type=Report)


def snapshot_run_ids(glue: Any, s3: Any, database: str) -> set[str]:
    """Ids of the runs that have a snapshot in the table; empty when there is no table yet.

    Reads the table's metadata file as JSON, which needs no Iceberg library.
    """
    try:
        table = glue.get_table(DatabaseName=database, Name=TABLE)["Table"]
    except glue.exceptions.EntityNotFoundException:
        return set()
    bucket, _, key = table["Parameters"]["metadata_location"].removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    snapshots = msgspec.json.decode(body, type=_TableMetadata).snapshots
    return {found for snapshot in snapshots if (found := snapshot.summary.get(RUN_ID_PROPERTY))}


def committed_keys(store: Store, in_snapshots: set[str], window: Window, but: str = "") -> dict[str, str]:
    """Keys of the window's archive objects that committed runs hold, each with its run; `but` names a run to ignore."""
    candidates = [run_id for run_id in store.folders(RUNS_PREFIX) if run_id != but]
    committed = [
        run_id
        for run_id, is_committed in zip(
            candidates, _each(lambda run_id: _is_committed(store, run_id, in_snapshots), candidates), strict=True
        )
        if is_committed
    ]
    held: dict[str, str] = {}
    for run_id, keys in zip(committed, _each(lambda run_id: _keys(store, run_id, window), committed), strict=True):
        held.update(dict.fromkeys(keys, run_id))
    return held


def _is_committed(store: Store, run_id: str, in_snapshots: set[str]) -> bool:
    if run_id in in_snapshots:
        return True
    report = read_report(store, run_id)
    return report is not None and report.committed


def _keys(store: Store, run_id: str, window: Window) -> list[str]:
    start, end = hour_prefix(window.start) if window.start else "", hour_prefix(window.end)
    tasks = read_plan(store, run_id) or ()
    return [planned.key for task in tasks for planned in task.objects if start <= planned.key < end]


def _each(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(work, items)
