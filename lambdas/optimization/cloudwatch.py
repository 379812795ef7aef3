"""CloudWatch metrics of a run of `optimize`, as those of the compaction (`compaction.cloudwatch`)."""

from aws_lambda_powertools.metrics import MetricUnit

from compaction.cloudwatch import emit
from optimization.manifests import Report


def emit_upkeep(report: Report) -> None:
    """What a run has rewritten, expired and deleted; zeros too, so that a day without work can be seen."""
    rewritten = report.rewritten
    emit(
        FilesRewritten=(MetricUnit.Count, rewritten.files_before if rewritten else 0),
        BytesRewritten=(MetricUnit.Bytes, rewritten.bytes_before if rewritten else 0),
        RowsDeduplicated=(MetricUnit.Count, rewritten.duplicates if rewritten else 0),
        SnapshotsExpired=(MetricUnit.Count, report.expired.expired),
        OrphansDeleted=(MetricUnit.Count, report.swept.files),
        OrphanBytesDeleted=(MetricUnit.Bytes, report.swept.bytes),
    )
