"""CloudWatch metrics of the compaction: one line of the log in the embedded metric format, with the system's name as
the dimension `service`.

Emitted after the work is done and written down, at most once: a line that is lost is not made up for, and what cannot
be emitted is logged and fails nothing.
"""

from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from compaction.manifests import Report

logger = Logger()


def emit_backlog(plan: dict[str, Any], now: datetime) -> None:
    """What a plan over every closed hour found uncommitted: objects, bytes, seconds since the oldest hour began."""
    oldest = datetime.fromisoformat(plan["oldest_hour"]) if plan["oldest_hour"] else now
    emit(
        BacklogObjects=(MetricUnit.Count, plan["objects"]),
        BacklogBytes=(MetricUnit.Bytes, plan["bytes"]),
        BacklogAgeSeconds=(MetricUnit.Seconds, (now - oldest).total_seconds()),
    )


def emit_commit(report: Report) -> None:
    """What a commit has published."""
    emit(
        RecordsRead=(MetricUnit.Count, report.records),
        RowsCommitted=(MetricUnit.Count, report.stored),
        RecordsDuplicate=(MetricUnit.Count, report.duplicate),
        RecordsQuarantined=(MetricUnit.Count, report.quarantined),
        FilesWritten=(MetricUnit.Count, report.files),
    )


def emit(**values: tuple[MetricUnit, float]) -> None:
    """Emit metrics by name, each with its unit."""
    try:
        metrics = EphemeralMetrics()  # namespace and service come from the environment
        for name, (unit, value) in values.items():
            metrics.add_metric(name, unit, value)
        metrics.flush_metrics()
    except Exception:
        logger.exception("metrics not emitted")
