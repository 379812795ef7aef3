"""Lambda function `restore_objects`: a look at the frozen objects of the state machine `reprocess`."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer

from compaction.store import s3_client
from reprocessing.plan.restoring import Restorer

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: Any) -> dict[str, int]:
    """`{"run_id"}` to how many objects are `waiting` and `restored`, and in how many seconds to look again: `wait_s`.

    Raises RestoreRefused.
    """

    def time_left_s() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    answer = _restorer().look(event["run_id"], datetime.now(UTC), time_left_s)
    logger.info("looked at", extra={"run_id": event["run_id"], **answer})
    return answer


@cache
def _restorer() -> Restorer:
    retries: Any = {"mode": "adaptive", "total_max_attempts": 8}  # S3 says SlowDown to who restores many at once
    return Restorer(
        s3=s3_client(boto3, retries=retries),
        raw_bucket=os.environ["RAW_BUCKET"],
        processed_bucket=os.environ["PROCESSED_BUCKET"],
    )
