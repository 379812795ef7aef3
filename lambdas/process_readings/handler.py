"""Lambda function `process_readings`: one batch of the stream to the hot table, the quarantine and the alerts topic."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from time import time_ns
from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from alerting import publish
from environment import settings
from process_readings.batch import Processor, Quarantined, Result, StreamRecord
from process_readings.wire import connect
from process_readings.writing import LANES, Writer
from sensors.hot_items import Items
from sensors.rules import rules
from sensors.times import iso_ms

WRITING_SHARE = 0.75  # of the invocation's time; the rest is for the quarantine, the alerts and the answer

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process one Kinesis batch; the answer names the record from which on to deliver it again, or none.

    Raises what only a later delivery of the whole batch can put right: S3 or SNS failing, permissions missing. Every
    write may be repeated.
    """
    reserve_ms = context.get_remaining_time_in_millis() * (1 - WRITING_SHARE)
    result = _process(event["Records"], lambda: (context.get_remaining_time_in_millis() - reserve_ms) / 1000)
    if result.quarantined is not None:
        _set_aside(result.quarantined)
    if result.alerts:
        publish(_sns(), os.environ["ALERTS_TOPIC_ARN"], result.alerts)
    _report(result)
    if result.failed_sequence is None:
        return {"batchItemFailures": []}
    return {"batchItemFailures": [{"itemIdentifier": result.failed_sequence}]}


@tracer.capture_method(capture_response=False)
def _process(records: Sequence[StreamRecord], time_left_s: Callable[[], float]) -> Result:
    return _processor().process(records, iso_ms(time_ns() // 1_000_000), time_left_s)


def _set_aside(quarantined: Quarantined) -> None:
    bucket = os.environ["PROCESSED_BUCKET"]
    _s3().put_object(Bucket=bucket, Key=quarantined.key, Body=quarantined.body)
    logger.warning("set aside", extra={"bucket": bucket, "key": quarantined.key})


def _report(result: Result) -> None:
    counts = result.counts
    metrics = EphemeralMetrics()  # namespace and service come from the environment
    for name, value in (
        ("ReadingsReceived", counts.received),
        ("ReadingsStored", counts.stored),
        ("ReadingsDuplicate", counts.duplicate),
        ("ReadingsQuarantined", counts.quarantined),
        ("ReadingsLate", counts.late),
        ("FieldsIgnored", counts.ignored_fields),
        ("Alerts", len(result.alerts)),
    ):
        metrics.add_metric(name, MetricUnit.Count, value)
    metrics.flush_metrics()
    if result.failed_sequence is not None:
        logger.warning("to be delivered again", extra={"from": result.failed_sequence, "because": result.failures})


@cache
def _processor() -> Processor:
    known = settings()
    items = Items(known.hot_table)
    writer = Writer(connect(os.environ["READINGS_TABLE"], os.environ, LANES), items.identity)
    return Processor(known.system, known.decoding, rules(known.metrics), items, writer.write)


# boto3 is loaded when a batch first needs one of these: most need none, and it takes as long to load as all the rest.


@cache
def _s3() -> Any:
    import boto3

    return boto3.client("s3", config=_config())


@cache
def _sns() -> Any:
    import boto3

    return boto3.client("sns", config=_config())


def _config() -> Config:
    return Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
