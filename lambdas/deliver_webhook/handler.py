"""Lambda function `deliver_webhook`: a message of the alerts topic to the webhook's receiver, signed."""

import json
import os
import random
import ssl
import time
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from deliver_webhook.addresses import AddressRefusedError
from deliver_webhook.delivery import Clock, RefusedError, deliver
from deliver_webhook.keyring import Keyring
from deliver_webhook.messages import Message, message
from deliver_webhook.posting import Answer, Receiver
from webhook.signing import headers

UNVERIFIED = (400, 401, 403)
"""What receivers answer to a signature that they cannot verify."""

CONTENT = {"content-type": "application/json; charset=utf-8", "user-agent": "Sensorkeep"}

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], context: LambdaContext) -> None:
    """Deliver each record of an SNS event; SNS sends one at a time.

    Raises what a later invocation may put right, UnavailableError above all: Lambda invokes again, and at last puts the
    event into the dead-letter queue. What will never be taken goes there at once.
    """
    for record in event["Records"]:
        told = message(record)
        try:
            tries = _send(told)
        except (RefusedError, AddressRefusedError) as error:
            _set_aside(record, error, context)
            _count("WebhooksFailed", told, because=str(error))
        except Exception as error:
            _count("WebhooksFailed", told, because=f"{type(error).__name__}: {error}")
            raise
        else:
            _count("WebhooksDelivered", told, tries=tries)


def _send(told: Message) -> int:
    """Post until it is taken; how many tries it took. A receiver may refuse because it has a newer key than ours."""
    try:
        return _post(told)
    except RefusedError as error:
        if error.status not in UNVERIFIED or not _keyring().renew():
            raise
        return _post(told)


def _post(told: Message) -> int:
    signers, receiver = _keyring().signers(), _receiver()

    def post(within_s: float) -> Answer:
        signed = headers(signers, told.id, int(time.time()), told.body)
        return receiver.post({**CONTENT, **signed}, told.body, within_s)

    chance = random.SystemRandom().random
    return deliver(post, float(os.environ["WEBHOOK_TIMEOUT_S"]), Clock(time.time, time.sleep, chance))


def _set_aside(record: dict[str, Any], error: Exception, context: LambdaContext) -> None:
    """Put the event into the dead-letter queue, in the form in which Lambda puts those that it gives up.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    set_aside = {
        "requestContext": {
            "requestId": context.aws_request_id,
            "functionArn": context.invoked_function_arn,
            "condition": "Refused",
        },
        "requestPayload": {"Records": [record]},
        "responsePayload": {"errorType": type(error).__name__, "errorMessage": str(error)},
    }
    _sqs().send_message(QueueUrl=os.environ["FAILURES_QUEUE_URL"], MessageBody=json.dumps(set_aside))


def _count(metric: str, told: Message, **facts: object) -> None:
    metrics = EphemeralMetrics()  # namespace and service come from the environment
    metrics.add_metric(metric, MetricUnit.Count, 1)
    metrics.flush_metrics()
    log = logger.info if metric == "WebhooksDelivered" else logger.warning
    log("webhook", extra={"message_id": told.id, "type": told.type, "host": _receiver().host, **facts})


@cache
def _receiver() -> Receiver:
    allow_private = os.environ["WEBHOOK_ALLOW_PRIVATE"] == "true"
    return Receiver(os.environ["WEBHOOK_URL"], allow_private, ssl.create_default_context())


@cache
def _keyring() -> Keyring:
    return Keyring(boto3.client("secretsmanager", config=_config()), os.environ["SECRET_ARN"], time.monotonic)


@cache
def _sqs() -> Any:
    return boto3.client("sqs", config=_config())


def _config() -> Config:
    return Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
