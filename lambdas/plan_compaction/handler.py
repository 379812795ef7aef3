"""Lambda function `plan_compaction`: the first step of the state machine `compact`."""

import os
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer

from compaction.cloudwatch import emit_backlog
from compaction.estimating import estimate, yield_of
from compaction.hours import window_of
from compaction.planning import Planner
from compaction.store import s3_client
from environment import settings

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "input": {"from"?, "to"?}, "dry_run"?}` to the plan's size and place.

    With `dry_run` there is no plan, and the answer tells what it would have been: its size, `until` which hour, and
    `estimated` what would come of it: rows, files and USD. Raises InvalidInput and LedgerIncomplete.
    """
    now = datetime.now(UTC)
    window = window_of(event["input"], now, settings().compaction.grace_minutes)
    if event.get("dry_run"):
        size, before = _planner().dry_run(window)
        estimated = estimate(size, yield_of(before), settings().compaction.worker_memory_mb)
        until = window.end.isoformat()
        return {"run_id": event["run_id"], **size.answer(), "until": until, "estimated": estimated}
    answer = _planner().plan(event["run_id"], window)
    logger.info("planned", extra=answer)
    if not event["input"]:  # a run over chosen hours says nothing about the others
        emit_backlog(answer, now)
    return answer


@cache
def _planner() -> Planner:
    lookback_days = settings().compaction.lookback_days
    return Planner(
        s3=s3_client(boto3),
        glue=boto3.client("glue"),
        raw_bucket=os.environ["RAW_BUCKET"],
        processed_bucket=os.environ["PROCESSED_BUCKET"],
        database=os.environ["LAKE_DATABASE"],
        task_bytes=settings().compaction.task_mb * 1_000_000,
        lookback=None if lookback_days is None else timedelta(days=lookback_days),
    )
