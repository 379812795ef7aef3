"""The commit of a run: everything checked first, then one Iceberg snapshot, then the report."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec
import pyarrow.parquet as pq
from botocore.exceptions import ClientError, HTTPClientError
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from compaction import runs
from compaction.errors import CommitConflict, FileMismatch, ObjectsAlreadyCommitted, ResultMissing
from compaction.hours import HOUR, Window, hour_of
from compaction.lake_table import LakeTable, run_snapshot, snapshot_run_ids
from compaction.manifests import FileResult, Report, Task, TaskResult, report_key
from compaction.store import Store, error_code
from compaction.verification import read_results, report_of

ATTEMPTS = 5
_FIRST_WAIT_S = 0.5
_FOOTER_READERS = 16
_PASSING = frozenset(
    {
        "ConcurrentModificationException",
        "InternalServiceException",
        "OperationTimeoutException",
        "ResourceNotReadyException",
        "ThrottlingException",
    }
)


class Publication(NamedTuple):
    """The report of a committed run, and whether it was written now or by an earlier call."""

    report: Report
    is_new: bool


class Publisher:
    """Publishes runs whose manifests are in `store` to `table`."""

    def __init__(self, store: Store, table: LakeTable, sleep: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._table = table
        self._sleep = sleep

    def publish(self, run_id: str) -> Publication:
        """Commit a run and write its report; a run that is committed is left as it is and its report answered.

        Raises ResultMissing, ResultMismatch, CountsDoNotBalance, FileMismatch or ObjectsAlreadyCommitted when the run
        cannot be trusted, and CommitConflict when others were faster at every attempt. Nothing is published then.
        """
        written = runs.read_report(self._store, run_id)
        if written is not None and written.committed:
            return Publication(written, is_new=False)
        plan = list(runs.read_plan(self._store, run_id) or ())
        if not plan:
            raise ResultMissing(f"Run {run_id} has no plan, so there is nothing to commit. Start a new run.")
        results = read_results(self._store, run_id, plan)
        report = report_of(run_id, plan, results)
        snapshot_id = self._commit(plan, results, report)
        report = msgspec.structs.replace(report, committed=True, snapshot_id=snapshot_id)
        self._store.write(report_key(run_id), msgspec.json.encode(report))
        return Publication(report, is_new=True)

    def _commit(self, plan: Sequence[Task], results: Sequence[TaskResult], report: Report) -> int | None:
        files = [file for result in results for file in result.files]
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(_FIRST_WAIT_S * 2 ** (attempt - 1))
            try:
                return self._commit_once(plan, files, report)
            except (CommitFailedException, HTTPClientError) as error:
                cause: Exception = error
            except ClientError as error:
                if error_code(error) not in _PASSING:
                    raise
                cause = error
        raise CommitConflict(
            f"Run {report.run_id} could not be committed in {ATTEMPTS} attempts; the last ended with: {cause}. "
            "Nothing is lost: redrive the execution."
        )

    def _commit_once(self, plan: Sequence[Task], files: Sequence[FileResult], report: Report) -> int | None:
        table = self._table.load()
        published = run_snapshot(table, report.run_id)
        if published is not None:  # by an attempt whose answer was lost
            return published
        self._refuse_overlap(table, plan, report.run_id)
        if not files:
            return None
        self._check_footers(table, files)
        return self._table.extend(table, [self._path(file) for file in files], _properties(report))

    def _refuse_overlap(self, table: Table, plan: Sequence[Task], run_id: str) -> None:
        """Raise ObjectsAlreadyCommitted when a run that was committed since the plan holds objects of the plan."""
        keys = [planned.key for task in plan for planned in task.objects]
        hours = [hour for key in keys if (hour := hour_of(key))]
        window = Window(min(hours), max(hours) + HOUR)
        held = runs.committed_keys(self._store, snapshot_run_ids(table), window, but=run_id)
        if taken := [key for key in keys if key in held]:
            raise ObjectsAlreadyCommitted(
                f"{len(taken)} object(s) of run {run_id} are in the table already, for example {taken[0]} "
                f"by run {held[taken[0]]}. Start a new run: it takes what is left."
            )

    def _check_footers(self, table: Table, files: Sequence[FileResult]) -> None:
        with ThreadPoolExecutor(_FOOTER_READERS) as pool:
            for file, rows in zip(files, pool.map(lambda file: self._footer_rows(table, file), files), strict=True):
                if rows != file.rows:
                    found = "is missing" if rows is None else f"has {rows} rows in its footer"
                    raise FileMismatch(f"{self._path(file)} {found}, its result says {file.rows}. Start a new run.")

    def _footer_rows(self, table: Table, file: FileResult) -> int | None:
        try:
            with table.io.new_input(self._path(file)).open() as stream:
                return int(pq.read_metadata(stream).num_rows)
        except FileNotFoundError:
            return None

    def _path(self, file: FileResult) -> str:
        return f"s3://{self._store.bucket}/{file.key}"


def _properties(report: Report) -> dict[str, str]:
    counts = {"records", "stored", "duplicate", "quarantined"}
    return {runs.RUN_ID_PROPERTY: report.run_id} | {
        f"sensorkeep.{name}": str(getattr(report, name)) for name in sorted(counts)
    }
