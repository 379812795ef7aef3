"""The end of a run: its report for programs and for people, its line in the ledger, alerts, and its range given back.

The report for programs is written last: whoever finds it finds all else done. Before that, every step may be taken
again; a receiver drops the alerts that it has had.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from alerting import publish
from compaction.errors import FileMismatch, ResultMissing
from compaction.runs import is_rolled_back
from compaction.store import Store
from optimization.errors import FileNotRewritable
from reprocessing.keys import committed_key, ledger_key, page_key, report_key
from reprocessing.ledger import LedgerEntry, Taken
from reprocessing.manifests import Committed, Plan
from reprocessing.marks import mark
from reprocessing.report.contents import Alerts, Outcome, Refusal, Report, Written
from reprocessing.report.costs import estimate
from reprocessing.report.curves import Curves, Reader
from reprocessing.report.new_alarms import alert_of, new_alarms
from reprocessing.report.page import render
from reprocessing.report.results import Results, Sums
from reprocessing.request import Scope
from reprocessing.runs import executions_of, read_plan
from sensors.settings import FunctionSettings
from sensors.times import from_text, iso_ms

CURVES: Final = 6
"""Charts of a page; the report lists more series."""

_DAY_MS: Final = 86_400_000


class Ending(NamedTuple):
    """How an execution ends: the merge that it has done last, and why it publishes nothing."""

    merge_id: str
    refused: Refusal | None


class Closer(msgspec.Struct, frozen=True):
    """Where files, manifests and the table are, the settings, and where alerts go.

    `database` is the table's in Glue; `release` gives the range back, `now` is when the function was called.
    """

    s3: Any
    bucket: str
    glue: Any
    database: str
    settings: FunctionSettings
    sns: Any
    topic_arn: str
    release: Callable[[], object]
    now: datetime

    def close(self, run_id: str, ending: Ending) -> Report:
        """Report on a run and end it; what is done already is left as it is.

        Raises ResultMissing when manifests are gone, and AlertsError for alerts that SNS does not take.
        """
        store = Store(self.s3, self.bucket)
        body = store.read(report_key(run_id))
        if body is not None:
            self.release()
            return msgspec.json.decode(body, type=Report)
        plan = read_plan(store, run_id)
        committed = _committed(store, plan, ending)
        results = Results(store, plan, committed.merge_id if committed else ending.merge_id, self.settings.decoding)
        sums, resolved = results.sums(None if ending.refused else ending.merge_id)
        report = self._report(plan, ending, committed, sums, store)
        curves = self._curves(plan, sums, results)
        page = render(report, curves, {name: metric.unit for name, metric in self.settings.metrics.items()})
        store.write(page_key(run_id), page.encode())
        if _is_drained(report):
            mark(store, run_id, resolved, "stream")
        store.write(ledger_key(run_id), msgspec.json.encode(_entry(report)))
        self.release()
        store.write(report_key(run_id), msgspec.json.encode(report))
        return report

    def _report(self, plan: Plan, ending: Ending, committed: Committed | None, sums: Sums, store: Store) -> Report:
        undone = _undone(store, plan.run_id)
        outcome: Outcome = "applied" if plan.request.mode == "apply" else "looked"
        if undone or self._is_rolled_back(committed):
            outcome = "undone"
        elif ending.refused:
            outcome = "refused"
        finished_at = iso_ms(int(self.now.timestamp() * 1000))
        return Report(
            run_id=plan.run_id,
            mode=plan.request.mode,
            outcome=outcome,
            request=plan.request,
            started_at=plan.started_at,
            finished_at=finished_at,
            duration_s=_seconds(plan.started_at, finished_at),
            executions=executions_of(store, plan.run_id),
            snapshot_before=committed.snapshot_before if committed else None,
            snapshot_id=committed.snapshot_id if committed else None,
            refused=ending.refused,
            alerts=self._alerts(plan, sums, is_applied=outcome == "applied"),
            written=_written(committed),
            estimate=estimate(plan, self.settings, sums.records.for_hot),
            taken_back=undone,
            **msgspec.structs.asdict(sums),
        )

    def _is_rolled_back(self, committed: Committed | None) -> bool:
        """Whether the table was set back to before the run: one that failed after its commit may be redriven later."""
        if committed is None or committed.snapshot_id is None:
            return False
        return is_rolled_back(self.glue, self.s3, self.database, int(committed.snapshot_id))

    def _alerts(self, plan: Plan, sums: Sums, *, is_applied: bool) -> Alerts:
        """Publish what is new, if that was asked for. Raises AlertsError."""
        compared, alarms = new_alarms(sums.alarms_before, sums.alarms_after)
        if not is_applied or plan.request.alerts != "send":
            return Alerts(compared, len(alarms), 0)
        publish(
            self.sns, self.topic_arn, [alert_of(self.settings.system, self.settings.metrics, alarm) for alarm in alarms]
        )
        return Alerts(compared, len(alarms), len(alarms))

    def _curves(self, plan: Plan, sums: Sums, results: Results) -> Curves:
        """Charts are no reason to fail: files that are not needed any more may be gone."""
        reader = Reader(self.s3, self.bucket, self.settings.lake.partition_by)
        window = _window(plan.request.scope, sums)
        try:
            return reader.read(results.merge_tasks(), window, sums.series[:CURVES])
        except (FileMismatch, FileNotRewritable) as error:
            return Curves((), f"There are no charts of series: {error}")


def _committed(store: Store, plan: Plan, ending: Ending) -> Committed | None:
    """What the run has done with the table; None of a run that was refused. Raises ResultMissing."""
    body = store.read(committed_key(plan.run_id))
    if body is None and ending.refused is None:
        raise ResultMissing(f"Run {plan.run_id} has not got as far as the commit, so it cannot be closed. Redrive it.")
    return None if body is None else msgspec.json.decode(body, type=Committed)


def _undone(store: Store, run_id: str) -> Taken | None:
    """Who has had the run undone, if it was: an execution that failed at its last step is redriven after that too."""
    body = store.read(ledger_key(run_id))
    return None if body is None else msgspec.json.decode(body, type=LedgerEntry).undone


def _is_drained(report: Report) -> bool:
    """Whether all lines of the stream are in the hot table, where they stay though the run was undone."""
    is_refused = report.refused is not None or (report.hot is not None and report.hot.refused > 0)
    return report.mode == "apply" and not is_refused


def _written(committed: Committed | None) -> Written:
    if committed is None:
        return Written(0, 0, 0, 0)
    return Written(committed.rows_replaced, committed.rows_written, committed.files_replaced, committed.files_written)


def _window(scope: Scope, sums: Sums) -> Scope:
    """The part of the scope that has readings, in whole days: a chart of it is not empty for the most part."""
    if not sums.days:
        return scope
    first, last = (from_text(f"{day.day}T00:00Z") or 0 for day in (sums.days[0], sums.days[-1]))
    start_ms, end_ms = max(scope.start_ms, first), min(scope.end_ms, last + _DAY_MS)
    return Scope(start_ms, end_ms, scope.devices)


def _seconds(start: str, end: str) -> int:
    return max(0, (from_text(end) or 0) - (from_text(start) or 0)) // 1000


def _entry(report: Report) -> LedgerEntry:
    return LedgerEntry(
        run_id=report.run_id,
        by=report.request.by,
        note=report.request.note,
        request=report.request,
        started_at=report.started_at,
        finished_at=report.finished_at,
        outcome=report.outcome,
        snapshot_id=report.snapshot_id,
        executions=report.executions,
        undone=report.taken_back,
    )
