"""Lambda function `plan_reprocess`: the first step of the state machine `reprocess`."""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer

from compaction.catalog import open_table
from compaction.store import Store, s3_client
from environment import settings
from reprocessing.claims import Claims
from reprocessing.manifests import Execution
from reprocessing.parsing import parse
from reprocessing.plan.planning import Planner

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handle(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"execution", "execution_arn", "started_at", "input"}` to the plan's size and place.

    `input` is what a person asks for (docs/contracts.md). Raises InvalidInput, RangeHeld and LedgerIncomplete.
    """
    request = parse(event["input"], settings().reprocessing)
    answer = _planner(event["execution_arn"]).plan(Execution(event["execution"], event["started_at"]), request)
    logger.info("planned", extra=answer)
    return answer


def _planner(execution_arn: str) -> Planner:
    session = boto3.Session()
    s3 = s3_client(session)
    store = Store(s3, os.environ["PROCESSED_BUCKET"])
    return Planner(
        s3=s3,
        raw_bucket=os.environ["RAW_BUCKET"],
        store=store,
        table=open_table(session, os.environ, settings()),
        settings=settings(),
        claims=Claims(store, session.client("stepfunctions"), execution_arn),
        now=datetime.now(UTC),
    )
