"""Lambda function `plan_compaction`: the first step of the state machine `compact`."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer

from compaction.cloudwatch import emit_backlog
from compaction.environment import settings
from compaction.hours import window_of
from compaction.planning import Planner, summary

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "input": {"from"?, "to"?}, "dry_run"?}` to the plan's size and place.

    With `dry_run` nothing is written and the answer has no `plan`. Raises InvalidInput.
    """
    now = datetime.now(UTC)
    window = window_of(event["input"], now, settings().compaction.grace_minutes)
    if event.get("dry_run"):
        return {"run_id": event["run_id"], **summary(_planner().tasks(window))}
    answer = _planner().plan(event["run_id"], window)
    logger.info("planned", extra=answer)
    if not event["input"]:  # a run over chosen hours says nothing about the others
        emit_backlog(answer, now)
    return answer


@cache
def _planner() -> Planner:
    return Planner(
        s3=boto3.client("s3"),
        glue=boto3.client("glue"),
        raw_bucket=os.environ["RAW_BUCKET"],
        processed_bucket=os.environ["PROCESSED_BUCKET"],
        database=os.environ["LAKE_DATABASE"],
        task_bytes=settings().compaction.task_mb * 1_000_000,
    )
