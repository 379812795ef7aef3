"""Lambda function `rewrite_parquet`: one task of the state machine `optimize`."""

import os
from functools import cache
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.store import s3_client
from environment import settings
from optimization.manifests import RewriteTask
from optimization.rewriting import Rewriter

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "task": <a line of the plan>}` to what became of its rows; all details are in the result."""
    result = _rewriter().rewrite(event["run_id"], msgspec.convert(event["task"], RewriteTask))
    answer = {
        "task_id": result.task_id,
        "rows": sum(file.rows for file in result.files),
        "duplicates": result.duplicates,
        "files": len(result.files),
    }
    logger.info("rewritten", extra={"run_id": event["run_id"], **answer})
    return answer


@cache
def _rewriter() -> Rewriter:
    return Rewriter(
        s3=s3_client(boto3),
        bucket=os.environ["PROCESSED_BUCKET"],
        partition_by=settings().lake.partition_by,
        file_bytes=settings().compaction.file_mb * 1_000_000,
        bloom_filter=settings().compaction.bloom_filter,
    )
