"""The catalogue of functions, and of those that are no step of a state machine the size and exactly what each may do.

The steps are in `compacting`, `optimizing` and `reprocessing`.
"""

from collections.abc import Callable

from awacs import dynamodb, kms, s3, secretsmanager, sns
from awacs import sqs as sqs_actions
from troposphere import sqs

from config.alerts import Webhook
from config.settings import Settings
from templates.shared import iam
from templates.shared.functions import FunctionSpec
from templates.shared.naming import own_name

FUNCTIONS = (
    "process_readings",
    "plan_compaction",
    "write_parquet",
    "commit_table",
    "plan_optimization",
    "rewrite_parquet",
    "commit_rewrite",
    "expire_snapshots",
    "sweep_orphans",
    "plan_reprocess",
    "restore_objects",
    "decode_objects",
    "plan_merge",
    "merge_readings",
    "commit_reprocess",
    "write_hot_table",
    "report_reprocess",
    "undo_reprocess",
    "rotate_secret",
    "deliver_webhook",
)
"""Folders below `lambdas/` that become one zip each."""

OPTIONAL: dict[str, Callable[[Settings], bool]] = {
    "rotate_secret": lambda settings: settings.credentials is not None,
    "deliver_webhook": lambda settings: settings.alerts.webhook is not None,
}
"""Functions that only some systems have."""

ALERTING_MEMORY_MB = 256  # they wait for others; less would make boto3 slow to load
WEBHOOK_RESERVE_S = 20
"""For the secret and the queue; the delivery itself may be done twice, with the keys read anew."""
ON_FAILURE_KEYS = "aws/lambda/*"
"""Where Lambda puts the records of a batch that it gives up; the prefix is Lambda's own."""


def deployed(settings: Settings) -> list[str]:
    """The functions that a system has, in the catalogue's order."""
    return [name for name in FUNCTIONS if name not in OPTIONAL or OPTIONAL[name](settings)]


def process_readings(
    settings: Settings, *, key_arn: object, stream_arn: object, table: object, processed: object, topic_arn: object
) -> FunctionSpec:
    """Decodes and stores readings as they arrive, and raises alerts."""
    size = settings.realtime.function
    return FunctionSpec(
        folder="process_readings",
        name=settings.name(size.name),
        description="Decode, store and watch readings as they arrive",
        memory_mb=size.memory_mb,
        timeout_s=size.timeout_s,
        reserved_concurrency=size.reserved_concurrency,
        after_failure="Its event source puts the records it gives up into the processed bucket.",
        environment={"READINGS_TABLE": table, "PROCESSED_BUCKET": processed, "ALERTS_TOPIC_ARN": topic_arn},
        statements=[
            iam.read_stream(stream_arn),
            iam.use_key(key_arn, "kinesis", kms.Decrypt),
            iam.allow(iam.table_arn(table), dynamodb.BatchWriteItem),
            # DynamoDB opens the table's own key with the caller's permissions
            iam.use_key(key_arn, "dynamodb", kms.Decrypt),
            iam.allow(iam.objects_arn(processed, "quarantine/*"), s3.PutObject),
            iam.allow(iam.objects_arn(processed, ON_FAILURE_KEYS), s3.PutObject),
            iam.look_for_keys(processed),  # Lambda asks for it of an on-failure destination
            iam.use_key(key_arn, "s3", kms.GenerateDataKey),
            iam.allow(topic_arn, sns.Publish),
            iam.use_key(key_arn, "sns", kms.Decrypt, kms.GenerateDataKey),
        ],
    )


def rotate_secret(settings: Settings, *, key_arn: object, secret_arn: object) -> FunctionSpec:
    """Replaces the signing secret, a step at a time."""
    return FunctionSpec(
        folder="rotate_secret",
        name=own_name(settings, "rotate-secret"),
        description="Replace the secret that signs the webhook",
        memory_mb=ALERTING_MEMORY_MB,
        timeout_s=30,
        after_failure="Secrets Manager asks again; until a step succeeds, the secret in use stays.",
        environment={},
        statements=[
            iam.allow(
                secret_arn,
                secretsmanager.DescribeSecret,
                secretsmanager.GetSecretValue,
                secretsmanager.PutSecretValue,
                secretsmanager.UpdateSecretVersionStage,
            ),
            iam.use_key(key_arn, "secretsmanager", kms.Decrypt, kms.GenerateDataKey),
        ],
    )


def deliver_webhook(
    settings: Settings, webhook: Webhook, *, key_arn: object, secret_arn: object, failures: sqs.Queue
) -> FunctionSpec:
    """Posts the messages of the alerts topic to the webhook's receiver."""
    return FunctionSpec(
        folder="deliver_webhook",
        name=own_name(settings, "deliver-webhook"),
        description="Post alerts to the webhook, signed",
        memory_mb=ALERTING_MEMORY_MB,
        timeout_s=2 * webhook.timeout_s + WEBHOOK_RESERVE_S,
        after_failure="Its on-failure destination is the queue of alerts that were not taken.",
        needs_internet=True,
        environment={
            "WEBHOOK_URL": webhook.url,
            "WEBHOOK_TIMEOUT_S": str(webhook.timeout_s),
            "WEBHOOK_ALLOW_PRIVATE": str(webhook.allow_private_addresses).lower(),
            "SECRET_ARN": secret_arn,
            "FAILURES_QUEUE_URL": failures.ref(),
        },
        statements=[
            iam.allow(secret_arn, secretsmanager.GetSecretValue),
            iam.use_key(key_arn, "secretsmanager", kms.Decrypt),
            iam.allow(failures.get_att("Arn"), sqs_actions.SendMessage),
            iam.use_key(key_arn, "sqs", kms.Decrypt, kms.GenerateDataKey),
        ],
    )
