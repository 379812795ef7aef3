"""Lambda function `merge_readings`: one task of a merge of the state machine `reprocess`."""

import os
from functools import cache
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.store import s3_client
from environment import settings
from reprocessing.fingerprint import fingerprint
from reprocessing.merge.merging import Merger
from reprocessing.merge_manifests import MergeTask

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "merge_id", "task": <a line of the plan>}` to what became of its rows; details are in the result."""
    result = _merger().merge(event["run_id"], event["merge_id"], msgspec.convert(event["task"], MergeTask))
    answer = {
        "task_id": result.task_id,
        "replaced": result.replaced.rows,
        "written": result.written.rows,
        "changed": result.changes.changed,
        "files": len(result.files),
    }
    logger.info("merged", extra={"run_id": event["run_id"], "merge_id": event["merge_id"], **answer})
    return answer


@cache
def _merger() -> Merger:
    return Merger(
        s3=s3_client(boto3),
        bucket=os.environ["PROCESSED_BUCKET"],
        partition_by=settings().lake.partition_by,
        file_bytes=settings().compaction.file_mb * 1_000_000,
        rules=fingerprint(settings()),
        metrics=settings().metrics,
        bloom_filter=settings().compaction.bloom_filter,
    )
