"""Delivery of notifications as AWS does it, where MiniStack invokes once, asks nobody and forgets what failed.

SNS invokes a function asynchronously and with the function's permission, so that Lambda's retries and its on-failure
destination apply; what SNS cannot deliver goes to the subscription's dead-letter queue. An encrypted queue is filled
only when the key admits SNS. Lambda writes to an on-failure destination with the function's role.

https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

import json
import logging
from typing import Any

from local.additions.services import RefusedError, demand, demand_of_policy

SERVICE = "sns.amazonaws.com"
SENDING = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}

logger = logging.getLogger("sns")


def install() -> None:
    """Replace SNS's deliveries, and ask the role before an event that failed is set aside."""
    from ministack import app
    from ministack.services import lambda_svc, sns

    fill, set_aside = sns._deliver_to_sqs, lambda_svc._route_async_failure

    def fill_admitted(endpoint: str, *message: Any, topic_arn: str = "", **options: Any) -> None:
        app.pin_request_origin("127.0.0.1", True)  # SNS delivers over TLS, whoever published
        try:
            _demand_key(endpoint, topic_arn)
        except RefusedError as error:
            logger.warning("SNS cannot fill %s: %s", endpoint, error)
            return
        fill(endpoint, *message, topic_arn=topic_arn, **options)

    def set_aside_allowed(target_arn: str, name: str, event: Any, result: Any) -> None:
        role = lambda_svc._functions.get(name)["config"]["Role"]
        try:
            demand(role, name, (SENDING[target_arn.split(":")[2]], target_arn))
        except RefusedError as error:
            logger.warning("Lambda cannot set aside what %s failed on: %s", name, error)
            return
        set_aside(target_arn, name, event, result)

    sns._deliver_to_sqs = fill_admitted
    sns._deliver_to_lambda = invoke
    lambda_svc._route_async_failure = set_aside_allowed


def invoke(endpoint: str, envelope: str, topic_arn: str, sub_arn: str, *_: Any) -> None:
    """Hand a notification to a function, or to the subscription's dead-letter queue when that is refused."""
    from ministack.services import lambda_svc

    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": sub_arn,
        "EventSource": "aws:sns",
        "Sns": json.loads(envelope),
    }
    function, config, name = lambda_svc._get_func_record_for_ref(endpoint)
    try:
        # a function that is gone has no policy that could allow anything
        policy, _owner = lambda_svc.function_policy_for_arn(endpoint) or ({}, "")
        source = {"aws:SourceArn": topic_arn}
        demand_of_policy(json.dumps(policy), SERVICE, "lambda:InvokeFunction", endpoint, source)
    except RefusedError as error:
        logger.warning("SNS cannot invoke %s: %s", name, error)
        _redrive(topic_arn, sub_arn, envelope)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), {"Records": [record]})


def _redrive(topic_arn: str, sub_arn: str, envelope: str) -> None:
    from ministack.services import sns

    subscription = sns._find_subscription(topic_arn, sub_arn) or {"attributes": {}}
    if policy := subscription["attributes"].get("RedrivePolicy"):
        queue = json.loads(policy)["deadLetterTargetArn"]
        sns._deliver_to_sqs(queue, envelope, False, envelope, topic_arn=topic_arn)


def _demand_key(queue_arn: str, topic_arn: str) -> None:
    """Raise RefusedError unless the key of an encrypted queue admits SNS for this topic."""
    from ministack.services import kms, sqs

    queue = sqs._queue_by_arn(queue_arn)
    key = queue["attributes"].get("KmsMasterKeyId") if queue else None
    if not key:
        return
    policy, _ = kms.key_policy_for_arn(key) or ("", "")
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        demand_of_policy(policy, SERVICE, action, key, {"aws:SourceArn": topic_arn})
