"""Lambda function `write_hot_table`: one task of the state machine `reprocess`, called again until it is done.

Beside what it reads and writes in the processed bucket, it may read and put single items of the hot table
(`dynamodb:BatchGetItem`, `dynamodb:PutItem`), whose key DynamoDB opens with its permissions (`kms:Decrypt`).
"""

import os
import time
from functools import cache
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from compaction.ahead import WIDTH
from compaction.store import s3_client
from environment import settings
from reprocessing.hot.writing import HotWriter
from reprocessing.merge_manifests import MergeTask

RESERVE_S = 20.0
"""Kept of the invocation's time for what is under way when the rest is over, and for the result."""

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`{"run_id", "merge_id", "task": <a line of the merge's plan>}` to `{"done", …}` and the task's counts so far."""
    result = _writer().write(
        event["run_id"],
        event["merge_id"],
        msgspec.convert(event["task"], MergeTask),
        now_s=time.time(),
        time_left_s=lambda: context.get_remaining_time_in_millis() / 1000 - RESERVE_S,
    )
    answer = {
        "done": result.done,
        "task_id": result.task_id,
        "written": result.written,
        "unchanged": result.unchanged,
        "newer": result.newer,
        "expired": result.expired,
        "refused": result.refused,
    }
    logger.info("settled", extra={"run_id": event["run_id"], **answer})
    return answer


@cache
def _writer() -> HotWriter:
    known = settings()
    return HotWriter(
        s3=s3_client(boto3),
        bucket=os.environ["PROCESSED_BUCKET"],
        dynamodb=boto3.client("dynamodb", config=_once()),
        table=os.environ["READINGS_TABLE"],
        hot_table=known.hot_table,
        writers=known.reprocessing.hot_writers,
    )


def _once() -> Config:
    """One attempt a call: each has its turn, and repetitions have theirs."""
    return Config(
        connect_timeout=2,
        read_timeout=5,
        max_pool_connections=WIDTH,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
