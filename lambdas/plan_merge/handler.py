"""Lambda function `plan_merge`: what was decoded and the table's files of it, a step of the machine `reprocess`."""

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer

from compaction.catalog import open_table
from compaction.store import Store, s3_client
from environment import settings
from reprocessing.fingerprint import fingerprint
from reprocessing.merge.planning import MergePlanner

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "attempt"}` to the merge's name, size and place. Raises the named errors of MergePlanner.plan."""
    session = boto3.Session()
    s3 = s3_client(session)
    planner = MergePlanner(
        open_table(session, os.environ, settings()),
        Store(s3, os.environ["PROCESSED_BUCKET"]),
        file_bytes=settings().compaction.file_mb * 1_000_000,
        rules=fingerprint(settings()),
    )
    answer = planner.plan(event["run_id"], event["attempt"])
    logger.info("planned", extra=answer)
    return answer
