"""Lambda function `expire_snapshots`: takes old snapshots out of the table, in the state machine `optimize`."""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.catalog import open_table
from compaction.store import Store
from environment import settings
from optimization.expiring import Expirer

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "dry_run"?}` to how many snapshots were expired and kept; a dry run names some that would be.

    Raises LedgerIncomplete and CommitConflict.
    """
    session = boto3.Session()
    expirer = Expirer(
        store=Store(session.client("s3"), os.environ["PROCESSED_BUCKET"]),
        table=open_table(session, os.environ, settings()),
        keep_snapshots=settings().optimization.keep_snapshots,
        keep_days=settings().optimization.keep_days,
        now=datetime.now(UTC),
    )
    if event.get("dry_run"):
        return expirer.dry_run()
    answer: dict[str, Any] = msgspec.to_builtins(expirer.expire(event["run_id"]))
    logger.info("expired", extra=answer)
    return answer
