"""Lambda function `undo_reprocess`: what the state machine `reprocess` does when its input has `undo`."""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Tracer

from compaction.catalog import open_table
from compaction.store import Store, s3_client
from environment import settings
from reprocessing.claims import Claims
from reprocessing.undo.undoing import Undoer, wish

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"execution", "execution_arn", "started_at", "input": {"undo", "note", "by"}}` to what was put back (`Undone`).

    Raises the named errors of Undoer.undo, and InvalidInput.
    """
    wanted = wish(event["input"], event["execution"], event["started_at"])
    session = boto3.Session()
    store = Store(s3_client(session), os.environ["PROCESSED_BUCKET"])
    claims = Claims(store, session.client("stepfunctions"), event["execution_arn"])
    undoer = Undoer(
        store,
        open_table(session, os.environ, settings()),
        now=datetime.now(UTC),
        hold=lambda plan: claims.hold(plan.run_id, plan.request.scope, event["started_at"]),
        release=claims.release,
    )
    answer: dict[str, Any] = {"run_id": wanted.run_id, "undone": msgspec.to_builtins(undoer.undo(wanted))}
    logger.info("undone", extra=answer)
    return answer
