"""What a run has written down, added up for its report: plan, results of its tasks, one at a time, each read once."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from compaction.errors import ResultMissing
from compaction.hours import Window, hour_prefix
from compaction.results import results
from compaction.store import Store
from reprocessing.causes import causes
from reprocessing.changes import Alarms, MetricChange, Series
from reprocessing.keys import decoded_key, hot_key, merged_key
from reprocessing.manifests import DecodedObject, DecodeResult, Plan
from reprocessing.merge_manifests import HotRefusal, HotResult, MergeResult, MergeTask
from reprocessing.report.contents import Day, Device, Found, Hot, Others, Readings, Records
from reprocessing.report.totals import Totals
from reprocessing.request import settles_hot
from reprocessing.runs import merge_tasks, missing_objects, planned_tasks
from reprocessing.scope import archive_window
from sensors.settings import Decoding

NAMED: Final = 100
"""Objects that a report names of those that are missing (the run's `missing.jsonl` has all), or outside its hours."""
REFUSALS: Final = 100
"""Readings that a report names which the hot table has refused; the results of the tasks have more."""


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
    """The results of a run and of one of its merges."""

    def __init__(self, store: Store, plan: Plan, merge_id: str, decoding: Decoding) -> None:
        self._store = store
        self._hours = archive_window(plan.request.scope, decoding)
        self._plan = plan
        self._merge_id = merge_id

    def sums(self, hot_merge_id: str | None) -> tuple[Sums, list[str]]:
        """All sums, each result read once, and the keys of drained lines (`DecodeResult.resolved_key`).

        The hot table may have been written by another merge, or by none (None): the run was refused. Raises
        ResultMissing for a result that is missing, or of a task that is not done.
        """
        changes = Totals()
        for result in self._merged():
            changes.add(result.changes)
        objects = _Objects(self._hours)
        missing = missing_objects(self._store, self._plan.run_id)
        vanished_by = causes(changes.vanished_by_source, missing, objects.passed(self._decoded()))
        return Sums(
            found=self._found(objects),
            records=objects.records(),
            readings=changes.readings(vanished_by),
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
        ), objects.resolved

    def merge_tasks(self) -> Iterator[MergeTask]:
        """The lines of the merge's plan; none where there was nothing to merge."""
        return merge_tasks(self._store, self._plan.run_id, self._merge_id)

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

    def _found(self, objects: "_Objects") -> Found:
        """What the plan has found, with the names of some objects that are missing, or beyond its hours."""
        plan = self._plan
        missing = islice(missing_objects(self._store, plan.run_id), NAMED) if plan.missing else ()
        return Found(
            objects=plan.objects,
            bytes=plan.bytes,
            waiting=plan.waiting,
            outside=plan.outside,
            missing=plan.missing,
            frozen=plan.frozen,
            frozen_bytes=plan.frozen_bytes,
            missing_objects=tuple(missing),
            outside_objects=tuple(objects.beyond) if plan.outside else (),
            outside_readings=objects.beyond_stored if plan.outside else 0,
        )

    def _hot(self, merge_id: str) -> Hot | None:
        if not settles_hot(self._plan.request):
            return None
        run_id = self._plan.run_id
        what = f"The hot table's part of run {run_id}"
        tasks = merge_tasks(self._store, run_id, merge_id)
        sums = Counter(written=0, unchanged=0, newer=0, expired=0, refused=0)
        refusals: list[HotRefusal] = []
        for task, result in results(self._store, what, tasks, lambda one: hot_key(run_id, merge_id, one), HotResult):
            if not result.done:
                raise ResultMissing(f"{what} ends within task {task.task_id}. Redrive the execution.")
            sums.update({name: getattr(result, name) for name in sums})
            refusals += result.refusals[: REFUSALS - len(refusals)]
        return Hot(**sums, refusals=tuple(refusals))


class _Objects:
    """What the results of decoding add up to: objects, and what became of their records.

    `beyond` names the first objects beyond some hours of the archive, `beyond_stored` are the readings of all of them;
    `resolved` has the keys of drained lines.
    """

    def __init__(self, hours: Window) -> None:
        self._first = hour_prefix(hours.start) if hours.start else ""
        self._end = hour_prefix(hours.end)
        self._sums: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self.beyond: list[str] = []
        self.beyond_stored = 0
        self.resolved: list[str] = []

    def passed(self, decoded: Iterable[DecodeResult]) -> Iterator[DecodedObject]:
        """The objects of results, one after the other, each added up before."""
        for result in decoded:
            self._sums.update(late=result.late, ignored_fields=result.ignored_fields)
            self._sums["for_hot"] += sum(staged.file.rows for staged in result.files if staged.to_hot)
            self.resolved += [result.resolved_key] if result.resolved_key else []
            for item in result.objects:
                self._add(item)
                yield item

    def _add(self, item: DecodedObject) -> None:
        for name in ("records", "stored", "duplicate", "quarantined", "outside"):
            self._sums[name] += getattr(item, name)
        self._reasons.update(item.by_reason)
        if not self._first <= item.key < self._end:
            self.beyond += [item.key][: NAMED - len(self.beyond)]
            self.beyond_stored += item.stored

    def records(self) -> Records:
        """What became of all records."""
        names = ("records", "stored", "duplicate", "quarantined", "outside", "late", "ignored_fields", "for_hot")
        return Records(by_reason=dict(sorted(self._reasons.items())), **{name: self._sums[name] for name in names})
