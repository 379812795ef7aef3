"""Queues: encrypted with the customer-managed key, over TLS only, filled by the alerts topic."""

from awacs import sqs as sqs_actions
from awacs.aws import Allow, ArnEquals, Bool, Condition, Deny, Principal, Statement
from troposphere import Delete, Template, sqs

from templates.shared import iam
from templates.shared.suppressions import suppress

DAY_S = 86_400
TRANSIENT = {"DeletionPolicy": Delete, "UpdateReplacePolicy": Delete}
"""What passes through a queue is not the record of anything, and a queue that is kept would keep its name taken."""


def alerts_queue(
    template: Template, title: str, *, name: str, retention_days: int, key_arn: object, topic_arn: object
) -> sqs.Queue:
    """Add a queue that the topic, and nothing else outside the account, may send to."""
    queue = template.add_resource(
        sqs.Queue(
            title,
            QueueName=name,
            KmsMasterKeyId=key_arn,
            MessageRetentionPeriod=retention_days * DAY_S,
            **TRANSIENT,
        )
    )
    reason = "An alert that nobody takes ends with its retention; a second queue would have no reader either."
    suppress(queue, reason, "sqs_dlq_check")
    document = iam.policy(_deliver(queue, topic_arn), _refuse_plain_http(queue))
    template.add_resource(sqs.QueuePolicy(f"{title}Policy", Queues=[queue.ref()], PolicyDocument=document))
    return queue


def _deliver(queue: sqs.Queue, topic_arn: object) -> Statement:
    """https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html"""
    return Statement(
        Effect=Allow,
        Principal=Principal("Service", "sns.amazonaws.com"),
        Action=[sqs_actions.SendMessage],
        Resource=[queue.get_att("Arn")],
        Condition=Condition(ArnEquals("aws:SourceArn", topic_arn)),
    )


def _refuse_plain_http(queue: sqs.Queue) -> Statement:
    return Statement(
        Effect=Deny,
        Principal=Principal("*"),
        Action=[sqs_actions.Action("*")],
        Resource=[queue.get_att("Arn")],
        Condition=Condition(Bool("aws:SecureTransport", "false")),
    )
