"""Lambda function `decode_objects`: one decoding task of the state machine `reprocess`."""

import os
from functools import cache
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.store import s3_client
from environment import settings
from reprocessing.decode.decoding import Decoder
from reprocessing.fingerprint import fingerprint
from reprocessing.manifests import DecodeTask

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "task": <a line of the plan>}` to what became of its records; all details are in the result."""
    result = _decoder().decode(event["run_id"], msgspec.convert(event["task"], DecodeTask))
    answer = {
        "task_id": result.task_id,
        "records": sum(item.records for item in result.objects),
        "stored": sum(item.stored for item in result.objects),
        "duplicate": sum(item.duplicate for item in result.objects),
        "quarantined": sum(item.quarantined for item in result.objects),
        "outside": sum(item.outside for item in result.objects),
        "files": len(result.files),
    }
    logger.info("decoded", extra={"run_id": event["run_id"], **answer})
    return answer


@cache
def _decoder() -> Decoder:
    return Decoder(
        s3=s3_client(boto3),
        raw_bucket=os.environ["RAW_BUCKET"],
        processed_bucket=os.environ["PROCESSED_BUCKET"],
        rules=fingerprint(settings()),
        decoding=settings().decoding,
        metrics=tuple(settings().metrics),
        partition_by=settings().lake.partition_by,
        file_bytes=settings().compaction.file_mb * 1_000_000,
    )
