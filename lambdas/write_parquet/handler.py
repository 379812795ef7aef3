"""Lambda function `write_parquet`: one task of the state machine `compact`."""

import os
from functools import cache
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.manifests import Task
from compaction.writing import Writer
from environment import settings

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "task": <a line of the plan>}` to what became of its records; all details are in the result."""
    result = _writer().write(event["run_id"], msgspec.convert(event["task"], Task))
    answer = {
        "task_id": result.task_id,
        "records": result.counts.received,
        "stored": result.counts.stored,
        "duplicate": result.counts.duplicate,
        "quarantined": result.counts.quarantined,
        "files": len(result.files),
    }
    logger.info("written", extra={"run_id": event["run_id"], **answer})
    return answer


@cache
def _writer() -> Writer:
    return Writer(
        s3=boto3.client("s3"),
        raw_bucket=os.environ["RAW_BUCKET"],
        processed_bucket=os.environ["PROCESSED_BUCKET"],
        decoding=settings().decoding,
        metrics=tuple(settings().metrics),
        partition_by=settings().lake.partition_by,
        file_bytes=settings().compaction.file_mb * 1_000_000,
        bloom_filter=settings().compaction.bloom_filter,
    )
