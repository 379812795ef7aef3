"""Who hears of alerts: subscriptions, queue, webhook, and the secret that signs it."""

import copy
import json
from typing import Any

import pytest

from config.settings import Settings, load
from tests.changed import changed, with_all_channels
from tests.templates.walking import Stack, references, stacks_of

DEV = load("dev", {})
ALL = with_all_channels(DEV)
ALERTS = {"Ref": "AlertsTopicArn"}
SECRET = {"Fn::GetAtt": ["Credentials", "Id"]}


def stack(settings: Settings, name: str = "notifications") -> Stack:
    (found,) = [one for one in stacks_of(settings, "dev") if one.name == name]
    return found


def subscriptions(*emails: str) -> dict[str, dict]:
    return stack(changed(DEV, alerts={"emails": emails})).properties("AWS::SNS::Subscription")


def test_a_system_that_tells_nobody_has_no_such_stack():
    assert "notifications" not in {one.name for one in stacks_of(DEV, "dev")}


@pytest.mark.promise("iot-processing", "channels")
def test_every_address_of_the_settings_is_subscribed_to_the_alerts():
    told = stack(changed(DEV, alerts={"emails": ["ada@example.com"], "sms": ["+4915112345678"]}))
    found = told.properties("AWS::SNS::Subscription").values()

    assert {(item["Protocol"], item["Endpoint"]) for item in found} == {
        ("email", "ada@example.com"),
        ("sms", "+4915112345678"),
    }
    assert all(item["TopicArn"] == ALERTS for item in found)
    assert len(told.body["Resources"]) == 2


def test_an_address_that_is_removed_leaves_the_other_subscriptions_as_they_are():
    before = subscriptions("ada@example.com", "grace@example.com", "mary@example.com")
    after = subscriptions("grace@example.com", "mary@example.com")

    assert {title: item for title, item in before.items() if item["Endpoint"] != "ada@example.com"} == after


def test_an_address_that_is_named_twice_is_subscribed_once():
    assert len(subscriptions("ada@example.com", "ada@example.com")) == 1


def test_only_what_is_asked_for_exists():
    with_queue = stack(changed(DEV, alerts={"queue": {}}))
    with_secret = stack(changed(DEV, credentials={}))

    assert set(with_queue.body["Resources"]) == {"AlertsQueue", "AlertsQueuePolicy", "AlertsQueueSubscription"}
    assert set(with_queue.body["Outputs"]) == {"AlertsQueueUrl"}
    assert not any("Webhook" in title for title in with_secret.body["Resources"])
    assert set(with_secret.body["Outputs"]) == {"CredentialsArn", "CredentialsName", "RotateSecretName"}


def test_the_queue_is_subscribed_when_its_policy_admits_the_topic():
    """SNS does not try again what a queue's policy refuses
    (https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html)."""
    subscription = stack(ALL).resources("AWS::SNS::Subscription")["AlertsQueueSubscription"]

    assert subscription["DependsOn"] == "AlertsQueuePolicy"


def test_the_secret_is_generated_and_encrypted_with_the_key():
    secret = stack(ALL).only("AWS::SecretsManager::Secret")

    assert secret["KmsKeyId"] == {"Ref": "KeyArn"}
    assert "SecretString" not in secret
    generated = secret["GenerateSecretString"]
    assert json.loads(generated["SecretStringTemplate"]).keys() == {"api_key"}
    assert generated["GenerateStringKey"] == "api_secret"
    assert generated["ExcludePunctuation"] is True
    assert generated["PasswordLength"] % 4 == 0, "or the first key is not base64"


def test_no_template_and_no_variable_of_a_function_takes_the_value_of_a_secret():
    assert "resolve:secretsmanager" not in "".join(json.dumps(one.body) for one in stacks_of(ALL, "dev"))


def test_the_rotation_waits_for_the_permission_and_begins_at_once():
    notifications = stack(ALL)
    (schedule,) = notifications.resources("AWS::SecretsManager::RotationSchedule").values()
    permission = notifications.properties("AWS::Lambda::Permission")[schedule["DependsOn"]]

    assert permission["Principal"] == "secretsmanager.amazonaws.com"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert permission["FunctionName"] == {"Ref": "RotateSecret"}
    assert schedule["Properties"]["RotationLambdaARN"] == {"Fn::GetAtt": ["RotateSecret", "Arn"]}
    assert schedule["Properties"]["SecretId"] == SECRET
    assert schedule["Properties"]["RotateImmediatelyOnUpdate"] is True
    assert schedule["Properties"]["RotationRules"] == {"AutomaticallyAfterDays": 30}


def test_sns_may_call_the_webhook_for_this_topic_and_is_subscribed_after_that():
    notifications = stack(ALL)
    permission = notifications.properties("AWS::Lambda::Permission")["DeliverWebhookPermission"]
    subscription = notifications.resources("AWS::SNS::Subscription")["WebhookSubscription"]

    assert permission["Principal"] == "sns.amazonaws.com"
    assert permission["SourceArn"] == subscription["Properties"]["TopicArn"] == ALERTS
    assert set(subscription["DependsOn"]) == {"DeliverWebhookPermission", "WebhookFailuresPolicy"}


def test_an_alert_that_the_webhook_cannot_deliver_ends_in_one_queue():
    notifications = stack(ALL)
    failures = {"Fn::GetAtt": ["WebhookFailures", "Arn"]}
    retries = notifications.only("AWS::Lambda::EventInvokeConfig")
    subscription = notifications.properties("AWS::SNS::Subscription")["WebhookSubscription"]

    assert retries["DestinationConfig"] == {"OnFailure": {"Destination": failures}}
    assert 0 < retries["MaximumRetryAttempts"] <= 2
    assert retries["MaximumEventAgeInSeconds"] == 3600
    assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": failures}
    assert notifications.body["Outputs"]["WebhookFailuresQueueName"]["Value"] == {
        "Fn::GetAtt": ["WebhookFailures", "QueueName"]
    }


def test_a_delivery_ends_before_its_function_does():
    notifications = stack(ALL)
    function = notifications.properties("AWS::Lambda::Function")["DeliverWebhook"]

    assert 2 * int(function["Environment"]["Variables"]["WEBHOOK_TIMEOUT_S"]) < function["Timeout"] <= 900


def admits_the_topic_only(notifications: Stack, security: Stack) -> bool:
    """Whether each queue, and the key, admit SNS for the alerts topic and for nothing else."""
    policies = notifications.properties("AWS::SQS::QueuePolicy").values()
    queues = [
        any(
            item["Effect"] == "Allow"
            and item["Principal"] == {"Service": "sns.amazonaws.com"}
            and item["Action"] == ["sqs:SendMessage"]
            and item["Condition"] == {"ArnEquals": {"aws:SourceArn": ALERTS}}
            for item in policy["PolicyDocument"]["Statement"]
        )
        for policy in policies
    ]
    key = security.only("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    return all(queues) and any(
        item["Principal"] == {"Service": "sns.amazonaws.com"}
        and {"kms:Decrypt", "kms:GenerateDataKey"} <= set(item["Action"])
        and item["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"].endswith(":alerts-dev")
        for item in key
    )


def test_encrypted_queues_are_filled_by_the_alerts_topic_alone():
    notifications, security = stack(ALL), stack(ALL, "security")

    assert {item["KmsMasterKeyId"]["Ref"] for item in notifications.properties("AWS::SQS::Queue").values()} == {
        "KeyArn"
    }
    assert len(notifications.properties("AWS::SQS::QueuePolicy")) == 2
    assert admits_the_topic_only(notifications, security)


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:GenerateDataKey"])
def test_a_key_that_sns_cannot_use_would_be_noticed(action):
    security = copy.deepcopy(stack(ALL, "security"))
    (statement,) = [item for item in key_statements(security) if item["Sid"] == "FillQueues"]
    statement["Action"].remove(action)

    assert not admits_the_topic_only(stack(ALL), security)


def key_statements(security: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = security.only("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    return found


@pytest.mark.parametrize(
    ("settings", "services"),
    [
        (DEV, set()),
        (changed(DEV, credentials={}), {"secretsmanager"}),
        (changed(DEV, alerts={"queue": {}}), {"sqs"}),
        (ALL, {"secretsmanager", "sqs"}),
    ],
)
def test_the_key_is_used_through_queues_and_secrets_only_where_there_are_any(settings, services):
    (use,) = [item for item in key_statements(stack(settings, "security")) if item["Sid"] == "UseThroughServices"]
    through = {value["Fn::Sub"].split(".")[0] for value in use["Condition"]["StringEquals"]["kms:ViaService"]}

    assert through == {"dynamodb", "kinesis", "s3", "sns"} | services


def test_queues_refuse_plain_http():
    for policy in stack(ALL).properties("AWS::SQS::QueuePolicy").values():
        (denied,) = [item for item in policy["PolicyDocument"]["Statement"] if item["Effect"] == "Deny"]
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert denied["Principal"] == "*"


def allowed(role: str) -> dict[str, list[Any]]:
    """Resources by action, of what the role itself says."""
    (policy,) = stack(ALL).properties("AWS::IAM::Role")[role]["Policies"]
    found: dict[str, list[Any]] = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        for action in statement["Action"]:
            found.setdefault(action, []).extend(statement["Resource"])
    return found


def test_the_webhook_may_read_its_secret_and_change_nothing():
    may = allowed("DeliverWebhookRole")

    assert may["secretsmanager:GetSecretValue"] == [SECRET]
    assert may["sqs:SendMessage"] == [{"Fn::GetAtt": ["WebhookFailures", "Arn"]}]
    assert {action for action in may if action.startswith(("secretsmanager", "sqs"))} == {
        "secretsmanager:GetSecretValue",
        "sqs:SendMessage",
    }


def test_the_rotation_may_work_on_its_secret_alone():
    secrets = {action: where for action, where in allowed("RotateSecretRole").items() if "secretsmanager:" in action}

    assert len(secrets) == 4
    assert all(where == [SECRET] for where in secrets.values())


def test_every_parameter_is_used_whatever_is_asked_for():
    for part in ({"emails": ["ada@example.com"]}, {"queue": {}}):
        asked = stack(changed(DEV, alerts=part))
        assert set(asked.body["Parameters"]) <= references(asked)
