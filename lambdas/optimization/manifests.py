"""What a run of `optimize` writes down under `runs/optimize/<run id>/`: its plan, each task's result, its report.

`plan.jsonl` has a line a task. The files that tasks take rows from are in `groups/`, because a task's line is the
input of one map item and must stay small: a group may have thousands of files, and many tasks share it.
"""

from datetime import datetime

import msgspec

from compaction.manifests import FileResult

RUNS_PREFIX = "runs/optimize/"
LEDGER_PREFIX = "ledger/optimize/"

RUN_ID_PROPERTY = "sensorkeep.optimize-run-id"
"""Of a snapshot's summary: the run that has rewritten what the snapshot replaces."""

Key = tuple[str, int]
"""A row's place in its partition: device, and `measured_at` in epoch milliseconds."""


class SourceFile(msgspec.Struct, frozen=True):
    """A data file of the table as it was planned: key in the processed bucket, rows, bytes.

    `key_checksum` is what its footer says of its keys (`compaction.checksum`); None where it says nothing. No row is
    before the key `first` or after `last`; None where that is not known.
    """

    key: str
    rows: int
    bytes: int
    key_checksum: str | None = None
    first: Key | None = None
    last: Key | None = None


class Group(msgspec.Struct, frozen=True):
    """Files of one partition that are rewritten together, and the columns that the new ones have.

    Files stand in the order in which they were committed: of rows with equal key, `received_at` and `source_object` the
    one in the last file stays. `metrics` are the table's own double columns in the order of its schema.
    """

    partition: str
    files: tuple[SourceFile, ...]
    metrics: tuple[str, ...]


class RewriteTask(msgspec.Struct, frozen=True):
    """One line of `plan.jsonl`: the rows of a group whose key is in the half-open range; None is without a bound.

    `task_id` is the group's number and the range's, `00003-000`; `group` is the key of the Group.
    """

    task_id: str
    group: str
    start: Key | None = None
    end: Key | None = None


class SourceResult(msgspec.Struct, frozen=True):
    """What a task read of one file: rows within its range, and the checksum of their keys (`compaction.checksum`)."""

    key: str
    rows: int
    key_checksum: str


class RewriteResult(msgspec.Struct, frozen=True):
    """`results/<task id>.json`: rows read a file, files written, duplicates left out and the checksum of their keys."""

    run_id: str
    task_id: str
    sources: tuple[SourceResult, ...]
    files: tuple[FileResult, ...]
    duplicates: int
    duplicates_checksum: str


class Rewritten(msgspec.Struct, frozen=True):
    """What the commit of a run has replaced; `snapshot_id` is None until it is committed.

    The id is text: it has 63 bits, of which a reader of JSON may keep 53, and a state machine hands it on.
    """

    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    rows_before: int
    rows_after: int
    duplicates: int
    snapshot_id: str | None


class Expired(msgspec.Struct, frozen=True):
    """Snapshots that a run has taken out of the table, and those that are left."""

    expired: int
    kept: int


class Orphan(msgspec.Struct, frozen=True):
    """One line of `orphans.jsonl`: a file that no snapshot names, by its key in the processed bucket."""

    key: str
    bytes: int
    written_at: datetime


class Swept(msgspec.Struct, frozen=True):
    """Orphans that were deleted, and files that no snapshot names either but that are too young to be deleted."""

    files: int
    bytes: int
    waiting_files: int
    waiting_bytes: int


class Report(msgspec.Struct, frozen=True):
    """`report.json`, and the run's line in the ledger. `rewritten` is None when there was nothing to rewrite."""

    run_id: str
    rewritten: Rewritten | None
    expired: Expired
    swept: Swept


def plan_key(run_id: str) -> str:
    """Key of a run's plan."""
    return f"{RUNS_PREFIX}{run_id}/plan.jsonl"


def group_key(run_id: str, snapshot_id: int, number: int) -> str:
    """Key of one group; with the snapshot it was planned on, so that two plannings never overwrite each other's."""
    return f"{RUNS_PREFIX}{run_id}/groups/{snapshot_id}-{number:05}.json"


def result_key(run_id: str, task_id: str) -> str:
    """Key of one task's result."""
    return f"{RUNS_PREFIX}{run_id}/results/{task_id}.json"


def report_key(run_id: str) -> str:
    """Key of a run's report."""
    return f"{RUNS_PREFIX}{run_id}/report.json"


def expired_key(run_id: str) -> str:
    """Key of the ids of the snapshots that a run expires, written before they are."""
    return f"{RUNS_PREFIX}{run_id}/expired.json"


def orphans_key(run_id: str) -> str:
    """Key of the orphans that a run deletes, written before they are."""
    return f"{RUNS_PREFIX}{run_id}/orphans.jsonl"


def ledger_key(run_id: str) -> str:
    """Key of a run's line in the ledger."""
    return f"{LEDGER_PREFIX}{run_id}.json"
