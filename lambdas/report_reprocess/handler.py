"""Lambda function `report_reprocess`: the last step of the state machine `reprocess`."""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.store import Store, s3_client
from environment import settings
from reprocessing.claims import Claims
from reprocessing.keys import page_key, report_key
from reprocessing.report.closing import Closer, Ending
from reprocessing.report.contents import Refusal, Report


class _LambdaError(msgspec.Struct):
    errorMessage: str  # noqa: N815 - Lambda's name


logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "merge_id", "execution_arn", "refused"?}` to the report in short, and where it is.

    `refused` has `Error` and `Cause`. Raises the named errors of Closer.close.
    """
    s3 = s3_client(boto3)
    bucket = os.environ["PROCESSED_BUCKET"]
    claims = Claims(Store(s3, bucket), boto3.client("stepfunctions"), event["execution_arn"])
    closer = Closer(
        s3=s3,
        bucket=bucket,
        glue=boto3.client("glue"),
        database=os.environ["LAKE_DATABASE"],
        settings=settings(),
        sns=boto3.client("sns"),
        topic_arn=os.environ["ALERTS_TOPIC_ARN"],
        release=claims.release,
        now=datetime.now(UTC),
    )
    answer = _in_short(closer.close(event["run_id"], _ending(event)), bucket)
    logger.info("reported", extra=answer)
    return answer


def _ending(event: dict[str, Any]) -> Ending:
    refused = event.get("refused")
    refusal = Refusal(refused["Error"], _sentence(refused["Cause"])) if refused else None
    return Ending(event["merge_id"], refusal)


def _sentence(cause: str) -> str:
    """Of an error of a function, the cause is JSON with the message in it
    (https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html).
    """
    try:
        return msgspec.json.decode(cause, type=_LambdaError).errorMessage
    except msgspec.DecodeError:
        return cause


def _in_short(report: Report, bucket: str) -> dict[str, Any]:
    """What an operator wants first; all numbers are whole."""
    given = report.alarms_given
    return {
        "run_id": report.run_id,
        "mode": report.mode,
        "outcome": report.outcome,
        "report": f"s3://{bucket}/{report_key(report.run_id)}",
        "page": f"s3://{bucket}/{page_key(report.run_id)}",
        "snapshot_id": report.snapshot_id,
        "objects": report.found.objects,
        "missing": report.found.missing,
        "frozen": report.found.frozen,
        "records": report.records.records,
        "stored": report.records.stored,
        "duplicate": report.records.duplicate,
        "quarantined": report.records.quarantined,
        "before": report.readings.before,
        "after": report.readings.after,
        "same": report.readings.same,
        "changed": report.readings.changed,
        "added": report.readings.added,
        "vanished": report.readings.vanished,
        "alarms_before": report.alarms_before.total,
        "alarms_after": report.alarms_after.total,
        "alarms_given": given.total if given else None,
        "alerts_sent": report.alerts.sent,
        "hot_written": report.hot.written if report.hot else 0,
        "hot_refused": report.hot.refused if report.hot else 0,
        "duration_s": report.duration_s,
        "cost_usd": report.estimate.cost_usd,
    }
