"""Notifications: who hears of alerts, and the secret that signs them. Only what the settings ask for exists."""

import hashlib

from troposphere import Ref, Template, awslambda, secretsmanager, sns, sqs

from config.alerts import AlertsQueue, Webhook
from config.settings import Settings
from templates.shared import catalogue
from templates.shared.credentials import add_credentials
from templates.shared.functions import add_function
from templates.shared.naming import own_name
from templates.shared.queues import alerts_queue
from templates.shared.wiring import needs, offers

RETRIES = 2  # Lambda's most, after one minute and after two more
EVENT_AGE_S = 3600
"""An alert that could not be delivered in an hour is news for the dead-letter queue, not for the receiver."""


def is_wanted(settings: Settings) -> bool:
    """Whether the settings ask for anything of this stack."""
    alerts = settings.alerts
    return bool(alerts.emails or alerts.sms or alerts.queue or alerts.webhook or settings.credentials)


def build(settings: Settings) -> Template:
    """Subscriptions, credentials, queue and webhook."""
    template = Template("Notifications")
    alerts, credentials = settings.alerts, settings.credentials
    if alerts.emails or alerts.sms or alerts.queue or alerts.webhook:
        topic_arn = needs(template, "AlertsTopicArn", "Topic of the alerts")
        _tell_people(template, settings, topic_arn)
    if credentials or alerts.queue:
        key_arn = needs(template, "KeyArn", "Key that encrypts secret, queues and logs")
    if alerts.queue:
        _fill_queue(template, settings, alerts.queue, key_arn, topic_arn)
    if credentials:
        secret, rotation = add_credentials(template, settings, credentials, key_arn)
        offers(
            template,
            CredentialsArn=secret.get_att("Id"),
            CredentialsName=settings.name(credentials.name),
            RotateSecretName=rotation.ref(),
        )
        if alerts.webhook:
            _call_webhook(template, settings, alerts.webhook, secret, key_arn, topic_arn)
    return template


def _tell_people(template: Template, settings: Settings, topic_arn: Ref) -> None:
    """Subscriptions are named by the address: numbered, the removal of one would move the others, and SNS would forget
    some of them."""
    people = [("email", address) for address in settings.alerts.emails]
    people += [("sms", number) for number in settings.alerts.sms]
    for protocol, endpoint in dict.fromkeys(people):
        title = f"Alerts{protocol.title()}{hashlib.sha256(endpoint.encode()).hexdigest()[:12]}"
        template.add_resource(sns.SubscriptionResource(title, TopicArn=topic_arn, Protocol=protocol, Endpoint=endpoint))


def _fill_queue(template: Template, settings: Settings, wanted: AlertsQueue, key_arn: Ref, topic_arn: Ref) -> None:
    """A message of the queue is the alert itself, its attributes those that filter policies select by."""
    queue = alerts_queue(
        template,
        "AlertsQueue",
        name=settings.name(wanted.name),
        retention_days=wanted.retention_days,
        key_arn=key_arn,
        topic_arn=topic_arn,
    )
    template.add_resource(
        sns.SubscriptionResource(
            "AlertsQueueSubscription",
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=queue.get_att("Arn"),
            RawMessageDelivery=True,
            DependsOn=f"{queue.title}Policy",  # SNS does not try again what the policy of a queue refuses
        )
    )
    offers(template, AlertsQueueUrl=queue.ref())


def _call_webhook(
    template: Template,
    settings: Settings,
    webhook: Webhook,
    secret: secretsmanager.Secret,
    key_arn: Ref,
    topic_arn: Ref,
) -> None:
    failures = alerts_queue(
        template,
        "WebhookFailures",
        name=own_name(settings, "webhook-failures"),
        retention_days=webhook.failures_retention_days,
        key_arn=key_arn,
        topic_arn=topic_arn,
    )
    spec = catalogue.deliver_webhook(
        settings, webhook, key_arn=key_arn, secret_arn=secret.get_att("Id"), failures=failures
    )
    function = add_function(template, settings, spec, key_arn)
    template.add_resource(_retries(function, failures))
    _subscribe(template, function, topic_arn, failures)
    offers(template, DeliverWebhookName=function.ref(), WebhookFailuresQueueName=failures.get_att("QueueName"))


def _retries(function: awslambda.Function, failures: sqs.Queue) -> awslambda.EventInvokeConfig:
    """How often Lambda invokes again for an alert that could not be delivered, and where the alert goes then."""
    return awslambda.EventInvokeConfig(
        "DeliverWebhookRetries",
        FunctionName=function.ref(),
        Qualifier="$LATEST",
        MaximumRetryAttempts=RETRIES,
        MaximumEventAgeInSeconds=EVENT_AGE_S,
        DestinationConfig=awslambda.DestinationConfig(
            OnFailure=awslambda.OnFailure(Destination=failures.get_att("Arn"))
        ),
    )


def _subscribe(template: Template, function: awslambda.Function, topic_arn: Ref, failures: sqs.Queue) -> None:
    """What SNS cannot even hand to Lambda goes to the same queue."""
    permission = template.add_resource(
        awslambda.Permission(
            "DeliverWebhookPermission",
            Action="lambda:InvokeFunction",
            FunctionName=function.ref(),
            Principal="sns.amazonaws.com",
            SourceArn=topic_arn,
        )
    )
    template.add_resource(
        sns.SubscriptionResource(
            "WebhookSubscription",
            TopicArn=topic_arn,
            Protocol="lambda",
            Endpoint=function.get_att("Arn"),
            RedrivePolicy={"deadLetterTargetArn": failures.get_att("Arn")},
            DependsOn=[permission.title, f"{failures.title}Policy"],
        )
    )
