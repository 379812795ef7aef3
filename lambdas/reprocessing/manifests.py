"""What a run writes down under `runs/reprocess/<run id>/` and `staging/reprocess/<run id>/`.

A run has the name of the execution that began it. One with the same input carries it on as long as it is not finished,
so that a run may have several executions; whoever comes later finds what is done by the keys here.

The readings of a run are decoded task by task into Parquet files of the lake's own form in `staging/`, where they
expire; then merged, partition by partition, with the files of the table that have readings of the scope.
"""

from typing import Literal

import msgspec

from compaction.manifests import FileResult, PlannedObject
from optimization.manifests import Key, SourceFile, SourceResult
from reprocessing.request import Request, Scope
from sensors.counts import Counts

RUNS_PREFIX = "runs/reprocess/"
STAGING_PREFIX = "staging/reprocess/"
LEDGER_PREFIX = "ledger/reprocess/"
CLAIMS_PREFIX = f"{LEDGER_PREFIX}claims/"
RESOLVED_PREFIX = "ledger/quarantine/"

RUN_ID_PROPERTY = "sensorkeep.reprocess-run-id"
"""Of a snapshot's summary: the run whose readings it has published."""
MERGE_ID_PROPERTY = "sensorkeep.reprocess-merge-id"
"""Of the same snapshot's summary: the merge that it has published."""
UNDO_PROPERTY = "sensorkeep.undo-of"
"""Of a snapshot's summary: the run whose readings it has taken back."""


class Plan(msgspec.Struct, frozen=True):
    """`plan.json`: what all later steps go by. Written once; a run keeps its first.

    `rules` tells settings and decoder apart (`reprocessing.fingerprint`); `snapshot_id` is the table as it was looked
    at, text, None without a table; `objects` and `bytes` are what is decoded, frozen ones included. `waiting` are
    objects that no compaction has committed yet: they go to the hot table alone, compaction does the rest. `missing`
    are objects that rows of the scope name and the archive does not have, `outside` those beyond the hours that the
    range would let expect; `frozen` are in Glacier and not restored, `deep` those of them in Deep Archive.
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


class Claim(msgspec.Struct, frozen=True):
    """`ledger/reprocess/claims/<execution>.json`: an execution that changes a range, or undoes a change of it.

    `execution` is its ARN, `since` ISO-8601. It holds as long as the execution runs.
    """

    run_id: str
    execution: str
    scope: Scope
    since: str


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
    `staging/` with what was set aside, published as `quarantine_key` once the run is committed; `resolved_key`, of the
    quarantine as source, has a JSON line `[object key, position]` for each line that decoded to a reading of the scope,
    those of an object together and in its order.
    """

    run_id: str
    task_id: str
    rules: str
    objects: tuple[DecodedObject, ...]
    files: tuple[StagedFile, ...]
    late: int
    ignored_fields: int
    rejects_key: str | None = None
    quarantine_key: str | None = None
    resolved_key: str | None = None


class MergeGroup(msgspec.Struct, frozen=True):
    """Files of one partition that are merged: `old` of the table, `staged` decoded for the table, `hot` for the other.

    Rows of old files that are of the scope are replaced, all others kept, and so are those whose `source_object` is
    one of `kept_sources`: what compaction has committed since the run was planned, what is frozen in a dry run, and
    what is of no failed task, where only those are done. Of a run that drains the quarantine, nothing is replaced
    (`replaces` False). `metrics` are the new files' columns.
    """

    partition: str
    old: tuple[SourceFile, ...]
    staged: tuple[SourceFile, ...]
    hot: tuple[SourceFile, ...]
    metrics: tuple[str, ...]
    replaces: bool
    kept_sources: tuple[str, ...] = ()


class MergeTask(msgspec.Struct, frozen=True):
    """One line of a merge's plan: the rows of a group whose key is in the half-open range; None is without a bound."""

    task_id: str
    group: str
    start: Key | None = None
    end: Key | None = None


class Tally(msgspec.Struct, frozen=True):
    """Rows, and the sum of their keys' hashes (`compaction.checksum`) in 16 hexadecimal digits."""

    rows: int
    key_checksum: str


class MetricChange(msgspec.Struct, frozen=True):
    """How the values of one metric differ in readings that are before and after.

    Readings with another value, with one where was none, with none any more.
    """

    changed: int = 0
    appeared: int = 0
    gone: int = 0
    largest: float = 0.0
    """The largest absolute difference of those that changed, in the metric's unit."""


class DeviceDay(msgspec.Struct, frozen=True):
    """Readings of one device on one UTC day (`2026-11-21`): before, after, and how many of those in both differ."""

    day: str
    device_id: str
    before: int
    after: int
    changed: int


class OtherDevices(msgspec.Struct, frozen=True):
    """The devices of one UTC day that no DeviceDay names, together: those of which fewest readings differ."""

    day: str
    devices: int
    before: int
    after: int
    changed: int


class Series(msgspec.Struct, frozen=True):
    """A device and metric, and in how many readings its value is another, new or gone: what a chart may be drawn of.

    Readings that were added or vanished count too, other than in MetricChange.
    """

    device_id: str
    metric: str
    changed: int


class Alarm(msgspec.Struct, frozen=True):
    """Consecutive readings of a device that break one threshold: raised with the first, over with the next that is not.

    Times are epoch milliseconds; `value` is the one furthest beyond the limit. `open_before` and `open_after` say that
    no reading of the task with this metric comes before the first or after the last: it may go on in another task.
    """

    device_id: str
    metric: str
    severity: str
    above: float | None
    below: float | None
    first_ms: int
    last_ms: int
    count: int
    value: float
    open_before: bool = False
    open_after: bool = False


class AlarmCount(msgspec.Struct, frozen=True):
    """How many alarms a device's metric has raised."""

    device_id: str
    metric: str
    alarms: int


class Alarms(msgspec.Struct, frozen=True):
    """The alarms of readings by one set of rules: how many, and as many of them as a manifest takes.

    `listed` are those that may go on in another task, then the first of the others, by key. `by_hour` counts them by
    the hour in which they were raised, epoch hours; `counts` has the devices and metrics with the most.

    `seen` are the devices that have readings of a metric with a rule: what was open in a task before is over, or it is
    in `listed` with `open_before`. `exact` is False where a manifest does not take all of these: an alarm that goes on
    from task to task may then be counted in each.
    """

    total: int
    listed: tuple[Alarm, ...]
    by_hour: dict[int, int] = {}
    counts: tuple[AlarmCount, ...] = ()
    seen: dict[str, tuple[str, ...]] = {}
    exact: bool = True


class Changes(msgspec.Struct, frozen=True):
    """What a merge makes of the readings of the scope. All of `before`, `after` are readings, each counted once.

    `before_duplicates` are rows of the table that repeated a reading. `before` = same + changed + vanished, `after` =
    same + changed + added. `vanished_by_source` counts the vanished by `source_object`. `alarms_given` is by the rules
    of a back-test.

    A manifest takes so many lines: `other_devices` are those that `days` leaves out, `other_metrics` are the metrics
    that `metrics` does, together. `series` are the ones that differ most.
    """

    before: int
    before_duplicates: int
    after: int
    same: int
    changed: int
    added: int
    vanished: int
    vanished_by_source: dict[str, int]
    metrics: dict[str, MetricChange]
    attributes_changed: int
    days: tuple[DeviceDay, ...]
    series: tuple[Series, ...]
    alarms_before: Alarms
    alarms_after: Alarms
    alarms_given: Alarms | None = None
    other_devices: tuple[OtherDevices, ...] = ()
    other_metrics: MetricChange = MetricChange()


class MergeResult(msgspec.Struct, frozen=True):
    """`merges/<merge id>/results/<task id>.json`: rows read a file, what became of them, what has changed.

    Rows read = `replaced` + `duplicates` + `written`, in number and keys. Where nothing is to be written to the table,
    `written` is what would be, and there are no files.
    """

    merge_id: str
    task_id: str
    rules: str
    sources: tuple[SourceResult, ...]
    replaced: Tally
    duplicates: Tally
    written: Tally
    files: tuple[FileResult, ...]
    changes: Changes


class HotRefusal(msgspec.Struct, frozen=True):
    """A reading that DynamoDB never takes, and its words."""

    key: Key
    detail: str


class HotResult(msgspec.Struct, frozen=True):
    """`merges/<merge id>/hot/<task id>.json`: how far a task is with the hot table, and what became of its readings.

    `after` is the last key that is done; each reading up to it counts once. `written` are items that the run wrote,
    whichever invocation did; `unchanged` those that were as they should be; `newer` those that hold a version from
    later than the run's; `expired` readings past their time in the hot table; `refused` those that DynamoDB never
    takes, the first of which are in `refusals`.
    """

    task_id: str
    after: Key | None
    done: bool
    written: int = 0
    unchanged: int = 0
    newer: int = 0
    expired: int = 0
    refused: int = 0
    refusals: tuple[HotRefusal, ...] = ()


class Committed(msgspec.Struct, frozen=True):
    """`committed.json`: the run is done with the table. Snapshots are text; None where nothing was to be published."""

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


class Taken(msgspec.Struct, frozen=True):
    """Who has had a run undone, why, when (ISO-8601) and with which snapshot."""

    by: str | None
    note: str
    at: str
    execution: str
    snapshot_id: str


class Undone(msgspec.Struct, frozen=True):
    """`undone.json`: what the undo of a run has put back. The run's readings stay in the hot table."""

    run_id: str
    snapshot_id: str
    rows_removed: int
    rows_restored: int
    files_removed: int
    files_restored: int
    hot_table: Literal["left as it is"] = "left as it is"


class LedgerEntry(msgspec.Struct, frozen=True):
    """`ledger/reprocess/<run id>.json`: who has asked for what and when, and what came of it. Times are ISO-8601."""

    run_id: str
    by: str | None
    note: str
    request: Request
    started_at: str
    finished_at: str
    outcome: Literal["applied", "looked", "refused", "undone"]
    snapshot_id: str | None
    executions: tuple[str, ...]
    undone: Taken | None = None


def plan_key(run_id: str) -> str:
    """Key of what the later steps of a run go by."""
    return f"{RUNS_PREFIX}{run_id}/plan.json"


def executions_prefix(run_id: str) -> str:
    """What the keys of a run's executions begin with."""
    return f"{RUNS_PREFIX}{run_id}/executions/"


def execution_key(run_id: str, name: str) -> str:
    """Key of one execution of a run."""
    return f"{executions_prefix(run_id)}{name}.json"


def tasks_key(run_id: str) -> str:
    """Key of the lines that `decode_objects` takes up."""
    return f"{RUNS_PREFIX}{run_id}/plan.jsonl"


def missing_key(run_id: str) -> str:
    """Key of the missing objects, a JSON string a line."""
    return f"{RUNS_PREFIX}{run_id}/missing.jsonl"


def frozen_key(run_id: str) -> str:
    """Key of the frozen objects as they were planned: a PlannedObject a line."""
    return f"{RUNS_PREFIX}{run_id}/frozen.jsonl"


def decoded_key(run_id: str, task_id: str) -> str:
    """Key of the result of one decoding task."""
    return f"{RUNS_PREFIX}{run_id}/decoded/{task_id}.json"


def restoring_key(run_id: str) -> str:
    """Key of how far a run is with its frozen objects."""
    return f"{RUNS_PREFIX}{run_id}/restoring.json"


def decoded_prefix(run_id: str) -> str:
    """What the keys of a run's files of decoded readings begin with; partition and task follow."""
    return f"{STAGING_PREFIX}{run_id}/readings/"


def rejects_key(run_id: str, task_id: str) -> str:
    """Key of what one decoding task has set aside, until it is published."""
    return f"{STAGING_PREFIX}{run_id}/quarantine/{task_id}.jsonl.gz"


def resolved_key(run_id: str, task_id: str) -> str:
    """Key of the lines of the quarantine that one decoding task has decoded."""
    return f"{STAGING_PREFIX}{run_id}/resolved/{task_id}.jsonl"


def merge_prefix(run_id: str, merge_id: str) -> str:
    """What the keys of one merge begin with; another is planned when the table changed in between."""
    return f"{RUNS_PREFIX}{run_id}/merges/{merge_id}/"


def merge_plan_key(run_id: str, merge_id: str) -> str:
    """Key of the lines that `merge_readings` and `write_hot_table` take up."""
    return f"{merge_prefix(run_id, merge_id)}plan.jsonl"


def group_key(run_id: str, merge_id: str, number: int) -> str:
    """Key of one group of a merge."""
    return f"{merge_prefix(run_id, merge_id)}groups/{number:05}.json"


def merged_key(run_id: str, merge_id: str, task_id: str) -> str:
    """Key of the result of one merging task."""
    return f"{merge_prefix(run_id, merge_id)}results/{task_id}.json"


def hot_key(run_id: str, merge_id: str, task_id: str) -> str:
    """Key of how far one task is with the hot table."""
    return f"{merge_prefix(run_id, merge_id)}hot/{task_id}.json"


def committed_key(run_id: str) -> str:
    """Key of what a run has published."""
    return f"{RUNS_PREFIX}{run_id}/committed.json"


def undone_key(run_id: str) -> str:
    """Key of what the undo of a run has put back."""
    return f"{RUNS_PREFIX}{run_id}/undone.json"


def report_key(run_id: str) -> str:
    """Key of a run's report for programs."""
    return f"{RUNS_PREFIX}{run_id}/report.json"


def page_key(run_id: str) -> str:
    """Key of a run's report for people."""
    return f"{RUNS_PREFIX}{run_id}/report.html"


def claim_key(execution: str) -> str:
    """Key of an execution's claim to the range of its run."""
    return f"{CLAIMS_PREFIX}{execution}.json"


def request_key(digest: str) -> str:
    """Key of the name of the last run that has begun with a request."""
    return f"{RUNS_PREFIX}requests/{digest}.json"


def draft_key(run_id: str, draft: str, part: str) -> str:
    """Key of lines of a plan before it is known to be the first: of two that plan a run at once, each has its own."""
    return f"{RUNS_PREFIX}{run_id}/drafts/{draft}/{part}.jsonl"


def ledger_key(run_id: str) -> str:
    """Key of a run's line in the ledger."""
    return f"{LEDGER_PREFIX}{run_id}.json"


def resolved_prefix(quarantine_key: str) -> str:
    """What the keys begin with that say which lines of a quarantine object are resolved; the run's name follows."""
    return f"{RESOLVED_PREFIX}{quarantine_key.removeprefix('quarantine/').removesuffix('.jsonl.gz')}/"


def mark_key(quarantine_key: str, run_id: str) -> str:
    """Key of the positions that a run has resolved: JSON strings, a line each, in the order of the object's lines."""
    return f"{resolved_prefix(quarantine_key)}{run_id}.jsonl"


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
