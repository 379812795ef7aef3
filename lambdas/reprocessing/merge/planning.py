"""Planning the merge of a run: what was decoded and the table's files of it, in groups and tasks, written down.

Held are the lists of staged files and of the table's files that may have readings of the scope, and of the objects that
rows came from only those of files that were committed since the run was planned.
"""

import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final, cast

import msgspec
from pyiceberg.io import FileIO, load_file_io
from pyiceberg.table import Table

from compaction.ahead import ahead
from compaction.arrange import PartitionBy
from compaction.errors import InvalidInput
from compaction.lake_table import LakeTable
from compaction.store import Store
from optimization.choosing import parts
from optimization.keeping import metrics_of
from optimization.looking import samples, source
from optimization.splitting import SAMPLED_ROW_GROUPS, split
from optimization.surveying import MAX_TASKS
from reprocessing.keys import committed_key, group_key, merge_plan_key
from reprocessing.manifests import Committed, Plan
from reprocessing.merge.grouping import Meeting, Part, Together, new_part, old_part, together
from reprocessing.merge_manifests import MergeTask, merge_name
from reprocessing.request import Request, is_compared, writes_table
from reprocessing.runs import decoded, missing_objects, plan_by, planned_tasks
from reprocessing.snapshots import MERGE_ID_PROPERTY, published
from reprocessing.touching import sources_of, touched

_SPOOL_BYTES: Final = 8 * 1024 * 1024  # a plan of about 50,000 tasks stays in memory, a larger one goes to /tmp
_TASKS: Final = "tasks"  # metadata of the plan


class MergePlanner(msgspec.Struct, frozen=True):
    """The table, where manifests go, the target size of a file, and what tells today's rules (`fingerprint`)."""

    table: LakeTable
    store: Store
    file_bytes: int
    rules: str

    def plan(self, run_id: str, attempt: int) -> dict[str, Any]:
        """Write the plan of a merge, unless there is one, and answer its size and place.

        A merge has a name by the attempt and the table as it is; a run that has published one keeps that one. The plan
        of a merge without a task is an empty object.

        Raises ResultMissing or RulesChanged when the decoding is not to be trusted, RowsDeleted or FileNotRewritable
        when the table has what a rewrite would not keep, InvalidInput for a merge that is too large.
        """
        plan = plan_by(self.store, run_id, self.rules)
        table = self.table.find()
        snapshot_id = table.metadata.current_snapshot_id if table else None
        merge_id = self._published(run_id, table) or merge_name(attempt, snapshot_id)
        key = merge_plan_key(run_id, merge_id)
        metadata = self.store.metadata(key) or self._write(plan, merge_id, table)
        return {
            "run_id": run_id,
            "merge_id": merge_id,
            "attempt": attempt,
            "tasks": int(metadata[_TASKS]),
            "plan": {"bucket": self.store.bucket, "key": key},
        }

    def _published(self, run_id: str, table: Table | None) -> str | None:
        """The merge that is in the table, by the run's own word or, if that was never written, by the table's."""
        body = self.store.read(committed_key(run_id))
        if body is not None:
            return msgspec.json.decode(body, type=Committed).merge_id
        snapshot = published(table, run_id) if table else None
        return snapshot.summary.get(MERGE_ID_PROPERTY) if snapshot else None

    def _write(self, plan: Plan, merge_id: str, table: Table | None) -> dict[str, str]:
        encode = msgspec.json.Encoder().encode
        found = _to_merge(self.store, plan, table, self._location, together(self._parts(plan, table), self._by))
        io = table.io if table else load_file_io(self.table.catalog.properties, self.table.location)
        metrics, replaces = self._metrics(table), _replaces(plan.request)
        count = 0
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as lines:
            for number, (one, kept) in enumerate(found):
                key = group_key(plan.run_id, merge_id, number)
                group = one.group(metrics, replaces=replaces, kept_sources=kept)
                self.store.write(key, encode(group))
                tasks = self._tasks(io, one, f"{number:05}", key)
                lines.writelines(encode(task) + b"\n" for task in tasks)
                count += len(tasks)
            _refuse_large(count)
            lines.seek(0)
            metadata = {_TASKS: f"{count}"}
            self.store.write_once(merge_plan_key(plan.run_id, merge_id), cast(BinaryIO, lines), metadata)
        return metadata

    def _parts(self, plan: Plan, table: Table | None) -> Iterator[Part]:
        staged = list(self._staged(plan))
        yield from staged
        if table is None:
            return
        request = plan.request
        meeting = None if _replaces(request) else Meeting(staged, self._by)
        for span, placed in touched(
            table,
            self._location,
            request.scope,
            lambda span, placed: meeting is None or meeting.has(span, placed),
            is_strict=writes_table(request),
        ):
            yield old_part(span, placed, source(placed, self._location))

    def _staged(self, plan: Plan) -> Iterator[Part]:
        """Files of decoded readings: those that are compared with the table, and those that the hot table may get."""
        writes_hot = plan.request.mode == "apply"
        for _, result in decoded(self.store, plan):
            for staged in result.files:
                if is_compared(plan.request, to_table=staged.to_table):
                    yield new_part("staged", staged.file, self._by)
                if staged.to_hot and writes_hot:
                    yield new_part("hot", staged.file, self._by)

    def _metrics(self, table: Table | None) -> tuple[str, ...]:
        """The columns of new files: the table's, and those that the commit adds for newly declared metrics."""
        if table is None:
            return tuple(self.table.metrics)
        known = set(table.schema().column_names)
        return (*metrics_of(table), *(name for name in self.table.metrics if name not in known))

    def _tasks(self, io: FileIO, one: Together, number: str, key: str) -> list[MergeTask]:
        count = parts(one.bytes, self.file_bytes)
        wanted = count * SAMPLED_ROW_GROUPS if count > 1 else 0
        ranges = enumerate(split(samples(io, self._location, one.distinct, wanted), count))
        return [MergeTask(f"{number}-{part:03}", key, start, end) for part, (start, end) in ranges]

    @property
    def _location(self) -> str:
        return f"s3://{self.store.bucket}/"

    @property
    def _by(self) -> PartitionBy:
        return self.table.partition_by


def _replaces(request: Request) -> bool:
    """Whether the table's rows give way: not to what was rejected before, which joins them."""
    return request.source == "archive"


def _refuse_large(tasks: int) -> None:
    if tasks > MAX_TASKS:
        raise InvalidInput(
            f"from, to, devices: the files of this range are merged in {tasks} tasks, and a run has at most "
            f"{MAX_TASKS}. Write a shorter range, or name devices, and start one run after the other."
        )


def _to_merge(
    store: Store, plan: Plan, table: Table | None, location: str, groups: Iterable[Together]
) -> list[tuple[Together, set[str]]]:
    """The groups, each with the objects whose rows stay: those that its old files name and the run has not decoded.

    Only files from after the plan can name others than were planned; all can in a dry run, since it decodes no frozen
    ones, and in a run over failed tasks. Of that one, groups are left out in which nothing is replaced or added.
    """
    found = list(groups)
    if table is None or not _replaces(plan.request):
        return [(one, set()) for one in found]
    is_part = plan.request.failed_tasks_of is not None
    since = _planned_sequence(table, plan)
    if is_part or (plan.request.mode == "dry_run" and plan.frozen):
        since = -1
    files = (
        (number, part.file.key)
        for number, one in enumerate(found)
        for part in one.parts
        if part.role == "old" and part.sequence > since
    )
    named: list[set[str]] = [set() for _ in found]
    scope = plan.request.scope
    for (number, _), sources in ahead(lambda item: sources_of(table.io, location + item[1], scope), files):
        named[number] |= sources
    strange = set[str]().union(*named)
    if strange:
        strange.difference_update(_taken_up(store, plan.run_id))
    return [
        (one, sources & strange)
        for one, sources in zip(found, named, strict=True)
        if not is_part or one.of("staged") or one.of("hot") or not sources <= strange
    ]


def _planned_sequence(table: Table, plan: Plan) -> int:
    """The number of the last commit that the plan knew; -1 where it knew none, or that snapshot has expired."""
    snapshot = table.snapshot_by_id(int(plan.snapshot_id)) if plan.snapshot_id else None
    return -1 if snapshot is None or snapshot.sequence_number is None else snapshot.sequence_number


def _taken_up(store: Store, run_id: str) -> Iterable[str]:
    """The objects whose rows the run replaces: those it has decoded for the table, and those that are gone."""
    for task in planned_tasks(store, run_id):
        if task.to_table:
            yield from (planned.key for planned in task.objects)
    yield from missing_objects(store, run_id)
