"""What a run has written down, added up for its report: plan, results of its tasks, one at a time."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeVar

import msgspec

from compaction.errors import ResultMissing
from compaction.hours import hour_prefix
from compaction.results import results
from compaction.store import Store
from reprocessing.causes import causes
from reprocessing.changes import Alarms, MetricChange, Series
from reprocessing.keys import decoded_key, hot_key, merge_plan_key, merged_key, missing_key
from reprocessing.manifests import DecodedObject, DecodeResult, HotRefusal, HotResult, MergeResult, MergeTask, Plan
from reprocessing.report import Day, Device, Found, Hot, Others, Readings, Records
from reprocessing.request import settles_hot
from reprocessing.runs import planned_tasks
from reprocessing.scope import archive_window
from reprocessing.totals import Totals
from sensors.settings import Limits

NAMED: Final = 100
"""Objects that a report names of those that are missing (the run's `missing.jsonl` has all), or outside its hours."""
REFUSALS: Final = 100
"""Readings that a report names which the hot table has refused; the results of the tasks have more."""
Line = TypeVar("Line")


class Sums(msgspec.Struct, frozen=True):
    """What the results of a run add up to."""

    found: Found
    records: Records
    readings: Readings
    days: tuple[Day, ...]
    devices: tuple[Device, ...]
    other_devices: Others
    metrics: dict[str, MetricChange]
    other_metrics: MetricChange
    series: tuple[Series, ...]
    alarms_before: Alarms
    alarms_after: Alarms
    alarms_given: Alarms | None
    hot: Hot | None


class Results:
    """The results of a run and of one of its merges, read as often as something is made of them."""

    def __init__(self, store: Store, plan: Plan, merge_id: str, limits: Limits) -> None:
        self._store = store
        self._hours = archive_window(plan.request.scope, limits)
        self._plan = plan
        self._merge_id = merge_id

    def sums(self, hot_merge_id: str | None) -> Sums:
        """All sums; the hot table may have been written by another merge, or by none (None): the run was refused.

        Raises ResultMissing for a result that is missing, or of a task that is not done.
        """
        changes = Totals()
        for result in self._merged():
            changes.add(result.changes)
        return Sums(
            found=self._found(),
            records=self._records(),
            readings=changes.readings(self._causes(changes.vanished_by_source)),
            days=tuple(Day(day, *changes.days[day]) for day in sorted(changes.days)),
            devices=changes.devices.listed(),
            other_devices=changes.devices.others,
            metrics=changes.metrics.listed(),
            other_metrics=changes.metrics.others,
            series=changes.most_changed(),
            alarms_before=changes.alarms_before.finish(),
            alarms_after=changes.alarms_after.finish(),
            alarms_given=None if self._plan.request.rules is None else changes.alarms_given.finish(),
            hot=None if hot_merge_id is None else self._hot(hot_merge_id),
        )

    def merge_tasks(self) -> Iterator[MergeTask]:
        """The lines of the merge's plan; none where there was nothing to merge."""
        return self._lines(merge_plan_key(self._plan.run_id, self._merge_id), MergeTask)

    def _lines(self, key: str, kind: type[Line]) -> Iterator[Line]:
        return map(msgspec.json.Decoder(kind).decode, self._store.lines(key) or ())

    def _objects(self) -> Iterator[DecodedObject]:
        for result in self._decoded():
            yield from result.objects

    def _decoded(self) -> Iterator[DecodeResult]:
        run_id = self._plan.run_id
        tasks = planned_tasks(self._store, run_id)
        found = results(self._store, f"Run {run_id}", tasks, lambda task: decoded_key(run_id, task), DecodeResult)
        return (result for _, result in found)

    def _merged(self) -> Iterator[MergeResult]:
        run_id, merge_id = self._plan.run_id, self._merge_id
        found = results(
            self._store,
            f"Merge {merge_id} of run {run_id}",
            self.merge_tasks(),
            lambda task: merged_key(run_id, merge_id, task),
            MergeResult,
        )
        return (result for _, result in found)

    def _found(self) -> Found:
        """What the plan has found, with the names of some objects that are missing, or beyond its hours."""
        plan = self._plan
        missing = islice(self._lines(missing_key(plan.run_id), str), NAMED) if plan.missing else ()
        outside: list[str] = []
        readings = 0
        for item in self._beyond() if plan.outside else ():
            outside += [item.key][: NAMED - len(outside)]
            readings += item.stored
        return Found(
            objects=plan.objects,
            bytes=plan.bytes,
            waiting=plan.waiting,
            outside=plan.outside,
            missing=plan.missing,
            frozen=plan.frozen,
            frozen_bytes=plan.frozen_bytes,
            missing_objects=tuple(missing),
            outside_objects=tuple(outside),
            outside_readings=readings,
        )

    def _beyond(self) -> Iterator[DecodedObject]:
        """What was decoded of objects beyond the hours of the range."""
        start, end = self._hours.start, self._hours.end
        first = hour_prefix(start) if start else ""
        return (item for item in self._objects() if not first <= item.key < hour_prefix(end))

    def _records(self) -> Records:
        sums: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for result in self._decoded():
            sums.update(late=result.late, ignored_fields=result.ignored_fields)
            sums["for_hot"] += sum(staged.file.rows for staged in result.files if staged.to_hot)
            for item in result.objects:
                for name in ("records", "stored", "duplicate", "quarantined", "outside"):
                    sums[name] += getattr(item, name)
                reasons.update(item.by_reason)
        return Records(
            records=sums["records"],
            stored=sums["stored"],
            duplicate=sums["duplicate"],
            quarantined=sums["quarantined"],
            outside=sums["outside"],
            by_reason=dict(sorted(reasons.items())),
            late=sums["late"],
            ignored_fields=sums["ignored_fields"],
            for_hot=sums["for_hot"],
        )

    def _causes(self, vanished: Counter[str]) -> dict[str, int]:
        missing = self._lines(missing_key(self._plan.run_id), str)
        return causes(vanished, missing, self._objects()) if vanished else {}

    def _hot(self, merge_id: str) -> Hot | None:
        if not settles_hot(self._plan.request):
            return None
        run_id = self._plan.run_id
        what = f"The hot table's part of run {run_id}"
        tasks = self._lines(merge_plan_key(run_id, merge_id), MergeTask)
        sums = Counter(written=0, unchanged=0, newer=0, expired=0, refused=0)
        refusals: list[HotRefusal] = []
        for task, result in results(self._store, what, tasks, lambda one: hot_key(run_id, merge_id, one), HotResult):
            if not result.done:
                raise ResultMissing(f"{what} ends within task {task.task_id}. Redrive the execution.")
            sums.update({name: getattr(result, name) for name in sums})
            refusals += result.refusals[: REFUSALS - len(refusals)]
        return Hot(**sums, refusals=tuple(refusals))
