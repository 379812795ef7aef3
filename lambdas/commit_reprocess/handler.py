"""Lambda function `commit_reprocess`: publishes what was merged, a step of the state machine `reprocess`."""

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
from reprocessing.publish.publishing import Publisher

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"run_id", "merge_id", "execution_arn"}` to what the run has published (`Committed`).

    Raises the named errors of Publisher.commit.
    """
    session = boto3.Session()
    store = Store(s3_client(session), os.environ["PROCESSED_BUCKET"])
    now = datetime.now(UTC)
    claims = Claims(store, session.client("stepfunctions"), event["execution_arn"])
    publisher = Publisher(
        store,
        open_table(session, os.environ, settings()),
        orphan_days=settings().optimization.orphan_days,
        now=now,
        hold=lambda plan: claims.hold(plan.run_id, plan.request.scope, now.isoformat()),
    )
    answer: dict[str, Any] = msgspec.to_builtins(publisher.commit(event["run_id"], event["merge_id"]))
    logger.info("committed", extra=answer)
    return answer
