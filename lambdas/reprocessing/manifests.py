"""What a run writes down under `runs/reprocess/<run id>/` and `staging/reprocess/<run id>/`.

A run has the name of the execution that began it. One with the same input carries it on as long as it is not finished,
so that a run may have several executions; whoever comes later finds what is done by its key (`reprocessing.keys`).

The readings of a run are decoded task by task into Parquet files of the lake's own form in `staging/`, where they
expire; then merged, partition by partition, with the files of the table that have readings of the scope
(`reprocessing.merge_manifests`).
"""

from typing import Literal

import msgspec

from compaction.manifests import FileResult, PlannedObject
from reprocessing.request import Request
from sensors.counts import Counts


class Plan(msgspec.Struct, frozen=True):
    """`plan.json`: what all later steps go by. Written once; a run keeps its first.

    `rules` tells settings and decoder apart (`reprocessing.fingerprint`); `snapshot_id` is the table as it was looked
    at, text, None without a table; `objects` and `bytes` are what is decoded, frozen ones included. `waiting` are
    objects that no compaction has committed yet: they go to the hot table alone, compaction does the rest. `missing`
    are objects that rows of the scope name and the archive does not have, `outside` those beyond the hours that the
    range would let expect; `frozen` are in Glacier and not restored, `deep` those of them in Deep Archive. `unmarked`:
    another run has published and not marked yet what it has drained.
    """

    run_id: str
    request: Request
    rules: str
    started_at: str
    snapshot_id: str | None
    tasks: int
    objects: int
    bytes: int
    waiting: int
    outside: int
    missing: int
    frozen: int
    frozen_bytes: int
    deep: int = 0
    deep_bytes: int = 0
    unmarked: bool = False


class Restoring(msgspec.Struct, frozen=True):
    """`restoring.json`: how far a run is with `frozen.jsonl`, whose objects it goes through in their order.

    Of `requested` objects S3 makes copies or has them; the first `restored` of them are known to be readable. Times are
    ISO-8601: the last request was `requested_at`. `refused` counts objects that cannot be restored, of which
    `reasons` has the first, each with its reason.
    """

    requested_at: str
    looked_at: str
    requested: int = 0
    restored: int = 0
    refused: int = 0
    reasons: tuple[str, ...] = ()


class Execution(msgspec.Struct, frozen=True):
    """`executions/<name>.json`: one that has begun the run or carried it on, and when it began, in ISO-8601."""

    name: str
    started_at: str


class DecodeTask(msgspec.Struct, frozen=True):
    """One line of `plan.jsonl`: the objects that one invocation of `decode_objects` takes up.

    Of the archive, or of the quarantine if that is the source. `to_table` is False for objects of the archive that
    wait for compaction.
    """

    task_id: str
    objects: tuple[PlannedObject, ...]
    to_table: bool = True


class DecodedObject(msgspec.Struct, frozen=True):
    """What became of one object's records; `outside` are readings that are not of the scope.

    A duplicate counts for the object that lost. Of an object of the quarantine, records are the lines that were tried
    (of the reasons asked for, not resolved before, for a target of the run), and `quarantined` those that stay.
    """

    key: str
    etag: str
    records: int
    stored: int
    duplicate: int
    quarantined: int
    outside: int
    by_reason: dict[str, int] = {}

    @property
    def balances(self) -> bool:
        """Whether every record is accounted for once."""
        return self.records == self.stored + self.duplicate + self.quarantined + self.outside


class StagedFile(msgspec.Struct, frozen=True):
    """A file of decoded readings in `staging/`, and the targets that it is for.

    Lines of the quarantine that the stream left go to the hot table alone, those of the archive to the table alone:
    each rejected record is there twice, once for each.
    """

    file: FileResult
    to_table: bool
    to_hot: bool


class DecodeResult(msgspec.Struct, frozen=True):
    """`decoded/<task id>.json`: a line an object, a line a file.

    `late` and `ignored_fields` are about the stored readings, as everywhere. `rejects_key` is the object below
    `staging/` with all that was rejected, `new_rejects_key` the one with what of it the compaction has not set aside
    (the same where nothing is); one of them is published as `quarantine_key` once the run is committed.
    `resolved_key`, of the quarantine as source, has a JSON line `[object key, position]` for each line that decoded to
    a reading of the scope, those of an object together and in its order.
    """

    run_id: str
    task_id: str
    rules: str
    objects: tuple[DecodedObject, ...]
    files: tuple[StagedFile, ...]
    late: int
    ignored_fields: int
    rejects_key: str | None = None
    new_rejects_key: str | None = None
    quarantine_key: str | None = None
    resolved_key: str | None = None


class Committed(msgspec.Struct, frozen=True):
    """`committed.json`: the run is done with the table. Snapshots are text; None where nothing was to be published.

    Rows and files are those of groups in which something has changed, or would.
    """

    run_id: str
    merge_id: str
    snapshot_before: str | None
    snapshot_id: str | None
    rows_replaced: int
    rows_written: int
    files_replaced: int
    files_written: int
    fewer_by: dict[str, int]
    """Readings that vanish by cause: `quarantined: <reason>`, `duplicate`, `moved`, `not found`."""


class Undone(msgspec.Struct, frozen=True):
    """`undone.json`: what the undo of a run has put back. The run's readings stay in the hot table."""

    run_id: str
    snapshot_id: str
    rows_removed: int
    rows_restored: int
    files_removed: int
    files_restored: int
    hot_table: Literal["left as it is"] = "left as it is"


def total(objects: tuple[DecodedObject, ...], late: int, ignored_fields: int) -> Counts:
    """The counts of decoded objects, without the readings outside the scope. Raises UnbalancedError."""
    by_reason: dict[str, int] = {}
    for item in objects:
        for reason, number in item.by_reason.items():
            by_reason[reason] = by_reason.get(reason, 0) + number
    return Counts(
        received=sum(item.records - item.outside for item in objects),
        stored=sum(item.stored for item in objects),
        duplicate=sum(item.duplicate for item in objects),
        quarantined=sum(item.quarantined for item in objects),
        by_reason=dict(sorted(by_reason.items())),
        late=late,
        ignored_fields=ignored_fields,
    ).check()
