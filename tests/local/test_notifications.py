"""What SNS hands to functions and queues, and what becomes of what it cannot, against AWS's documentation."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ministack import app
from ministack.core.responses import request_scope
from ministack.services import iam, kms, lambda_svc, sns, sqs

from local.additions.delivery import notifications

REGION = "eu-central-1"
ACCOUNTS = (f"{number:012}" for number in itertools.count(18_000))
TRUST = json.dumps({"Statement": []})

Statement = dict[str, Any]


class Account:
    """A topic, queues and a function of one account."""

    def __init__(self, number: str) -> None:
        self.number = number
        self.topic = f"arn:aws:sns:{REGION}:{number}:alerts"
        self.function = f"arn:aws:lambda:{REGION}:{number}:function:deliver"
        self.invoked: list[dict[str, Any]] = []
        sns._create_topic({"Name": ["alerts"]})

    def queue(self, name: str, *, key: str = "", admits: str = notifications.SERVICE) -> str:
        """A queue that a service may fill for the topic; its ARN."""
        arn = f"arn:aws:sqs:{REGION}:{self.number}:{name}"
        policy = {"Version": "2012-10-17", "Statement": [self.statement(admits, "sqs:SendMessage", arn)]}
        attributes = {"Policy": json.dumps(policy), **({"KmsMasterKeyId": key} if key else {})}
        sqs._act_create_queue({"QueueName": name, "Attributes": attributes}, "")
        return arn

    def key(self, *actions: str, source: str = "") -> str:
        """A key that SNS may use so; its ARN."""
        statements = [self.statement(notifications.SERVICE, list(actions), "*", source)]
        _, _, body = kms._create_key({"Policy": json.dumps({"Version": "2012-10-17", "Statement": statements})})
        arn: str = json.loads(body)["KeyMetadata"]["Arn"]
        return arn

    def statement(self, service: str, action: str | list[str], resource: str, source: str = "") -> Statement:
        condition = {"ArnLike": {"aws:SourceArn": source or self.topic}}
        allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": resource}
        return {**allowed, "Condition": condition}

    def subscribe(self, protocol: str, endpoint: str, **attributes: Any) -> str:
        subscription = f"{self.topic}:{protocol}"
        sns._topics[self.topic]["subscriptions"].append(
            {
                "arn": subscription,
                "topic_arn": self.topic,
                "protocol": protocol,
                "endpoint": endpoint,
                "confirmed": True,
                "owner": self.number,
                "attributes": {name: json.dumps(value) for name, value in attributes.items()},
            }
        )
        return subscription

    def hand_over(self, endpoint: str, subscription: str) -> None:
        notifications.invoke(endpoint, json.dumps({"Message": "hot"}), self.topic, subscription)


def messages(queue_arn: str) -> list[str]:
    return [message["body"] for message in sqs._queue_by_arn(queue_arn)["messages"]]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account with permissions enforced, and the additions installed until the test ends."""
    monkeypatch.setattr(app, "AUTH", True)
    for module, name in (
        (sns, "_deliver_to_sqs"),
        (sns, "_deliver_to_lambda"),
        (lambda_svc, "_route_async_failure"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    notifications.install()
    number = next(ACCOUNTS)
    with request_scope(number, REGION):
        made = Account(number)
        monkeypatch.setattr(lambda_svc, "invoke_async_with_retry", lambda _function, event: made.invoked.append(event))
        config = {
            "FunctionName": "deliver",
            "FunctionArn": made.function,
            "Role": f"arn:aws:iam::{number}:role/deliver",
        }
        lambda_svc._functions["deliver"] = {
            "config": {**config, "Version": "$LATEST"},
            "policy": {"Version": "2012-10-17", "Statement": []},
            "versions": {},
            "aliases": {},
        }
        yield made


def admit(account: Account, source: str) -> None:
    permission = {"Principal": notifications.SERVICE, "Action": "lambda:InvokeFunction", "SourceArn": source}
    lambda_svc._add_permission("deliver", {"StatementId": "sns", **permission})


def test_a_function_is_invoked_asynchronously_with_the_notification(account: Account) -> None:
    admit(account, account.topic)
    account.hand_over(account.function, "subscription")

    (event,) = account.invoked
    (record,) = event["Records"]
    assert record["EventSource"] == "aws:sns"
    assert record["Sns"] == {"Message": "hot"}


@pytest.mark.parametrize("admitted", ["", "arn:aws:sns:eu-central-1:999999999999:other"])
def test_what_a_function_does_not_admit_goes_to_the_subscriptions_queue(account: Account, admitted: str) -> None:
    if admitted:
        admit(account, admitted)
    failures = account.queue("failures")
    subscription = account.subscribe("lambda", account.function, RedrivePolicy={"deadLetterTargetArn": failures})

    account.hand_over(account.function, subscription)

    assert account.invoked == []
    assert [json.loads(body)["Message"] for body in messages(failures)] == ["hot"]


def test_a_function_that_is_gone_is_as_good_as_one_that_refuses(account: Account) -> None:
    failures = account.queue("failures")
    gone = account.function.replace("deliver", "gone")
    subscription = account.subscribe("lambda", gone, RedrivePolicy={"deadLetterTargetArn": failures})

    account.hand_over(gone, subscription)

    assert len(messages(failures)) == 1


def test_without_a_queue_of_the_subscription_it_is_lost(account: Account) -> None:
    account.hand_over(account.function, account.subscribe("lambda", account.function))

    assert account.invoked == []


def publish(account: Account) -> None:
    sns._fanout(account.topic, "message-1", "hot", "")


BOTH = ("kms:Decrypt", "kms:GenerateDataKey")


@pytest.mark.parametrize(
    ("actions", "source", "count"),
    [(BOTH, "", 1), (BOTH[:1], "", 0), (BOTH[1:], "", 0), (BOTH, "arn:aws:sns:eu-central-1:1:other", 0)],
)
def test_an_encrypted_queue_is_filled_when_its_key_admits_sns_for_the_topic(
    account: Account, actions: tuple[str, ...], source: str, count: int
) -> None:
    queue = account.queue("alerts", key=account.key(*actions, source=source))
    account.subscribe("sqs", queue)

    publish(account)

    assert len(messages(queue)) == count


def test_a_queue_without_a_key_of_ours_needs_its_policy_only(account: Account) -> None:
    open_queue, closed = account.queue("open"), account.queue("closed", admits="s3.amazonaws.com")
    account.subscribe("sqs", open_queue)
    account.subscribe("sqs", closed)

    publish(account)

    assert (len(messages(open_queue)), len(messages(closed))) == (1, 0)


@pytest.mark.parametrize("is_allowed", [True, False])
def test_what_a_function_failed_on_is_set_aside_with_its_role(account: Account, is_allowed: bool) -> None:
    failures = account.queue("failures")
    iam._create_role({"RoleName": ["deliver"], "AssumeRolePolicyDocument": [TRUST]})
    if is_allowed:
        allow = {"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": failures}]}
        put: Callable[[dict[str, list[str]]], Any] = iam._put_role_policy
        put({"RoleName": ["deliver"], "PolicyName": ["work"], "PolicyDocument": [json.dumps(allow)]})

    lambda_svc._route_async_failure(failures, "deliver", {"Records": []}, {"error": True, "body": {}})

    assert len(messages(failures)) == is_allowed
