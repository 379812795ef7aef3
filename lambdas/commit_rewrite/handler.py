"""Lambda function `commit_rewrite`: puts new files in the place of the old, a step of the state machine `optimize`."""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.catalog import open_table
from compaction.store import Store, s3_client
from environment import settings
from optimization.replacing import Replacer

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id"}` to what the run has replaced (`Rewritten`). Raises the named errors of Replacer.replace."""
    session = boto3.Session()
    s3 = s3_client(session)
    replacer = Replacer(
        Store(s3, os.environ["PROCESSED_BUCKET"]),
        open_table(session, os.environ, settings()),
        orphan_days=settings().optimization.orphan_days,
        now=datetime.now(UTC),
    )
    answer: dict[str, Any] = msgspec.to_builtins(replacer.replace(event["run_id"]))
    logger.info("replaced", extra={"run_id": event["run_id"], **answer})
    return answer
