"""Lambda function `sweep_orphans`: the last step of the state machine `optimize`."""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.catalog import open_table
from compaction.store import Store, s3_client
from environment import settings
from optimization.cloudwatch import emit_upkeep
from optimization.manifests import Expired, Rewritten
from optimization.sweeping import Sweeper

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "rewritten"?, "expired"}` to the run's report; the answers of the steps before go into it.

    `{"run_id", "dry_run": true}` to what would be deleted: files, bytes, and the keys of some. Raises ForeignFiles and
    FilesNotDeleted.
    """
    session = boto3.Session()
    s3 = s3_client(session)
    sweeper = Sweeper(
        s3=s3,
        store=Store(s3, os.environ["PROCESSED_BUCKET"]),
        table=open_table(session, os.environ, settings()),
        orphan_days=settings().optimization.orphan_days,
        now=datetime.now(UTC),
    )
    if event.get("dry_run"):
        return sweeper.dry_run()
    rewritten = msgspec.convert(event.get("rewritten"), Rewritten | None)
    closed = sweeper.close(event["run_id"], rewritten, msgspec.convert(event["expired"], Expired))
    answer: dict[str, Any] = msgspec.to_builtins(closed.report)
    logger.info("swept", extra=answer)
    if closed.is_new:  # a step may run twice, what it deleted counts once
        emit_upkeep(closed.report)
    return answer
