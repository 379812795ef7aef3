"""Lambda function `plan_optimization`: the first step of the state machine `optimize`."""

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer

from compaction.catalog import open_table
from compaction.hours import range_of
from compaction.store import Store, s3_client
from environment import settings
from optimization.planning import Planner

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "input": {"from"?, "to"?}, "dry_run"?}` to the plan's size and place.

    `from` and `to` are times of `measured_at`. With `dry_run` there is no plan, and the answer tells by partition what
    would be rewritten, or has to be left alone, and why. Raises InvalidInput.
    """
    start, end = range_of(event["input"])
    if event.get("dry_run"):
        return {"run_id": event["run_id"], **_planner().dry_run(start, end)}
    answer = _planner().plan(event["run_id"], start, end)
    logger.info("planned", extra=answer)
    return answer


def _planner() -> Planner:
    session = boto3.Session()
    s3 = s3_client(session)
    return Planner(
        open_table(session, os.environ, settings()),
        Store(s3, os.environ["PROCESSED_BUCKET"]),
        file_bytes=settings().compaction.file_mb * 1_000_000,
    )
