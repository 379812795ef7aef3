"""The runs that are committed, as the table's snapshots say, and what a run has written down about itself.

A run is committed if, and only if, its id is in the properties of a snapshot of the table's history, which has a
snapshot without a file for a run without a row; a run that a rollback took out of it is not committed any more. Which
objects a run holds is in its plan, and, by object, in the ledger.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from compaction.manifests import Report, Task, plan_key, report_key
from compaction.store import Store

RUN_ID_PROPERTY = "sensorkeep.run-id"
SETTLED_PROPERTY = "sensorkeep.settled-until"
TABLE = "readings"

_SETTLED_METADATA = "settled-until"


class RunSnapshot(msgspec.Struct, frozen=True):
    """A snapshot that a run has published, with the properties of its summary."""

    run_id: str
    snapshot_id: int
    properties: Mapping[str, str]


class Snapshot(msgspec.Struct, rename="kebab"):
    """What compaction reads of a snapshot in the table's metadata."""

    snapshot_id: int
    parent_snapshot_id: int | None = None
    sequence_number: int = 0
    summary: Mapping[str, str] = {}


class _TableMetadata(msgspec.Struct, rename="kebab"):
    snapshots: list[Snapshot] = []
    current_snapshot_id: int | None = None


def write_plan(store: Store, run_id: str, lines: Any, settled_until: datetime | None) -> bool:
    """Write a run's plan unless it has one; False when it had. `lines` is a file of encoded tasks."""
    metadata = {_SETTLED_METADATA: settled_until.isoformat()} if settled_until else {}
    return store.write_once(plan_key(run_id), lines, metadata)


def read_plan(store: Store, run_id: str) -> Iterator[Task] | None:
    """The tasks of a run, read as they are taken, or None when it has no plan."""
    lines = store.lines(plan_key(run_id))
    return None if lines is None else map(msgspec.json.Decoder(Task).decode, lines)


def settled_by(store: Store, run_id: str) -> str | None:
    """The time before which nothing waits once the planned run is committed; None for a run over chosen hours."""
    return (store.metadata(plan_key(run_id)) or {}).get(_SETTLED_METADATA)


def read_report(store: Store, run_id: str) -> Report | None:
    """The report of a run, or None when it has none."""
    body = store.read(report_key(run_id))
    return None if body is None else msgspec.json.decode(body, type=Report)


def committed(glue: Any, s3: Any, database: str) -> list[RunSnapshot]:
    """The committed runs, newest first; empty when there is no table yet.

    Reads the table's metadata file as JSON, which needs no Iceberg library.
    """
    metadata = _metadata(glue, s3, database)
    return published(metadata.snapshots, metadata.current_snapshot_id)


def is_rolled_back(glue: Any, s3: Any, database: str, snapshot_id: int) -> bool:
    """Whether the table has a snapshot that is not of its history. Of one that has expired nobody can tell: False."""
    metadata = _metadata(glue, s3, database)
    kept = history(metadata.snapshots, metadata.current_snapshot_id)
    return snapshot_id in {one.snapshot_id for one in metadata.snapshots} - {one.snapshot_id for one in kept}


def published(
    snapshots: Iterable[Snapshot], current: int | None, run_id_property: str = RUN_ID_PROPERTY
) -> list[RunSnapshot]:
    """The runs in the history of the snapshot `current`, newest first."""
    return [
        RunSnapshot(run_id, snapshot.snapshot_id, snapshot.summary)
        for snapshot in history(snapshots, current)
        if (run_id := snapshot.summary.get(run_id_property))
    ]


def history(snapshots: Iterable[Snapshot], current: int | None) -> list[Snapshot]:
    """The snapshot `current`, those that led to it, and all older than these, where expiry has broken the chain."""
    by_age = sorted(snapshots, key=lambda one: -one.sequence_number)
    found: list[Snapshot] = []
    wanted = current
    for snapshot in by_age:
        if snapshot.snapshot_id == wanted:
            found.append(snapshot)
            wanted = snapshot.parent_snapshot_id
    if found:
        found += [one for one in by_age if one.sequence_number < found[-1].sequence_number]
    return found


def settled_until(newest_first: Sequence[RunSnapshot]) -> datetime | None:
    """The time before which nothing waited when the last run over all closed hours was planned; None if unknown."""
    settled = (run.properties.get(SETTLED_PROPERTY) for run in newest_first)
    return max((datetime.fromisoformat(found) for found in settled if found), default=None)


def _metadata(glue: Any, s3: Any, database: str) -> _TableMetadata:
    """What the table says of its snapshots: nothing when there is none yet."""
    try:
        table = glue.get_table(DatabaseName=database, Name=TABLE)["Table"]
    except glue.exceptions.EntityNotFoundException:
        return _TableMetadata()
    bucket, _, key = table["Parameters"]["metadata_location"].removeprefix("s3://").partition("/")
    return msgspec.json.decode(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), type=_TableMetadata)
