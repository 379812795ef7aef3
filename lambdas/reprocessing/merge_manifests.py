"""What a merge of a run writes down under `runs/reprocess/<run id>/merges/<merge id>/`: what each of its tasks is to
take up, what became of the rows, and how far it is with the hot table.
"""

import msgspec

from compaction.manifests import FileResult
from optimization.manifests import Key, SourceFile, SourceResult
from reprocessing.changes import Changes


def merge_name(attempt: int, snapshot_id: int | None) -> str:
    """The name of a merge: by the attempt, and the table's snapshot that it is planned on; None before there is one."""
    return f"{attempt:02}-{snapshot_id or 0}"


def planned_on(merge_id: str) -> str | None:
    """The snapshot that a merge was planned on."""
    snapshot_id = merge_id.partition("-")[2]
    return None if snapshot_id == "0" else snapshot_id


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

    @property
    def has_whole_group(self) -> bool:
        """Whether the group has no other task."""
        return self.start is None and self.end is None


class Tally(msgspec.Struct, frozen=True):
    """Rows, and the sum of their keys' hashes (`compaction.checksum`) in 16 hexadecimal digits."""

    rows: int
    key_checksum: str


class MergeResult(msgspec.Struct, frozen=True):
    """`merges/<merge id>/results/<task id>.json`: rows read a file, what became of them, what has changed.

    Rows read = `replaced` + `duplicates` + `written`, in number and keys. Where nothing is to be written to the table,
    `written` is what would be, and there are no files. `keeps_files`: what comes out is what the table's files had, so
    that they stay if all tasks of the group say so; its only task writes no others then.
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
    keeps_files: bool = False


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
