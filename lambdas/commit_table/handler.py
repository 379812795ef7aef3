"""Lambda function `commit_table`: the last step of the state machine `compact`."""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.catalog import open_table
from compaction.cloudwatch import emit_commit
from compaction.publishing import Publisher
from compaction.store import Store, s3_client
from environment import settings

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id"}` to the run's report. Raises the named errors of Publisher.publish."""
    session = boto3.Session()
    s3 = s3_client(session)
    publisher = Publisher(
        s3,
        os.environ["RAW_BUCKET"],
        Store(s3, os.environ["PROCESSED_BUCKET"]),
        open_table(session, os.environ, settings()),
        orphan_days=settings().optimization.orphan_days,
        now=datetime.now(UTC),
    )
    published = publisher.publish(event["run_id"])
    answer: dict[str, Any] = msgspec.to_builtins(published.report)
    logger.info("committed", extra=answer)
    if published.is_new:  # a step may run twice, its rows count once
        emit_commit(published.report)
    return answer
