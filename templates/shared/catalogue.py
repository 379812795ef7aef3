"""The catalogue of functions: for each its size, its environment and exactly what it may do."""

from dataclasses import dataclass

from awacs import dynamodb, glue, kms, s3, secretsmanager, sns
from awacs import sqs as sqs_actions
from awacs.aws import Statement
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
    "rotate_secret",
    "deliver_webhook",
)
"""Folders below `lambdas/` that become one zip each."""

BATCH_TIMEOUT_S = 900  # Lambda's most: a step of the state machine has no one waiting for it
ALERTING_MEMORY_MB = 256  # they wait for others; less would make boto3 slow to load
WEBHOOK_RESERVE_S = 20
"""For the secret and the queue; the delivery itself may be done twice, with the keys read anew."""
ON_FAILURE_KEYS = "aws/lambda/*"
"""Where Lambda puts the records of a batch that it gives up; the prefix is Lambda's own."""


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


@dataclass(frozen=True)
class Lake:
    """What the steps of a compaction work on: names of buckets and database, and the ARN of the key."""

    raw: object
    processed: object
    database: object
    key_arn: object


def plan_compaction(settings: Settings, lake: Lake) -> FunctionSpec:
    """Lists what is to be compacted and writes the plan."""
    return _step(
        settings,
        lake,
        folder="plan_compaction",
        description="List the archive's closed hours and plan their compaction",
        memory_mb=settings.compaction.planner_memory_mb,
        statements=[
            iam.list_keys(lake.raw, "raw-data/"),
            iam.look_for_keys(lake.processed),
            iam.allow(iam.objects_arn(lake.processed, "runs/*"), s3.GetObject, s3.PutObject),
            iam.allow(iam.objects_arn(lake.processed, "ledger/*"), s3.GetObject, s3.PutObject),
            iam.allow(iam.objects_arn(lake.processed, "warehouse/*"), s3.GetObject),
            *_catalog(lake.database, glue.GetTable),
        ],
    )


def write_parquet(settings: Settings, lake: Lake) -> FunctionSpec:
    """Decodes the objects of one task and writes them as Parquet."""
    return _step(
        settings,
        lake,
        folder="write_parquet",
        description="Write the archive objects of one task as Parquet",
        memory_mb=settings.compaction.worker_memory_mb,
        disk_mb=settings.compaction.worker_disk_mb,
        statements=[
            iam.look_for_keys(lake.raw),
            iam.allow(iam.objects_arn(lake.raw, "raw-data/*"), s3.GetObject),
            iam.allow(iam.objects_arn(lake.processed, "warehouse/*"), s3.PutObject),
            iam.allow(iam.objects_arn(lake.processed, "quarantine/*"), s3.PutObject),
            iam.allow(iam.objects_arn(lake.processed, "runs/*"), s3.PutObject),
        ],
    )


def commit_table(settings: Settings, lake: Lake) -> FunctionSpec:
    """Publishes a run's files as one snapshot of the table."""
    return _step(
        settings,
        lake,
        folder="commit_table",
        description="Publish a run's files as one snapshot of the Iceberg table",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.list_keys(lake.raw, "raw-data/"),
            iam.look_for_keys(lake.processed),
            iam.allow(iam.objects_arn(lake.processed, "runs/*"), s3.GetObject, s3.PutObject),
            iam.allow(iam.objects_arn(lake.processed, "ledger/*"), s3.GetObject, s3.PutObject),
            # nothing may be deleted here: what PyIceberg cleans up after a failed commit stays as an orphan
            iam.allow(iam.objects_arn(lake.processed, "warehouse/*"), s3.GetObject, s3.PutObject),
            *_catalog(lake.database, glue.GetTable, glue.CreateTable, glue.UpdateTable),
            *_find_database(lake.database),
        ],
    )


def _step(
    settings: Settings,
    lake: Lake,
    *,
    folder: str,
    description: str,
    memory_mb: int,
    statements: list[Statement],
    disk_mb: int | None = None,
) -> FunctionSpec:
    """What the steps of a compaction have in common."""
    return FunctionSpec(
        folder=folder,
        name=own_name(settings, folder.replace("_", "-")),
        description=description,
        memory_mb=memory_mb,
        disk_mb=disk_mb,
        timeout_s=BATCH_TIMEOUT_S,
        after_failure="Step Functions waits for its answer: the run retries, fails by name and can be redriven.",
        environment={"RAW_BUCKET": lake.raw, "PROCESSED_BUCKET": lake.processed, "LAKE_DATABASE": lake.database},
        statements=[*statements, iam.use_key(lake.key_arn, "s3", kms.Decrypt, kms.GenerateDataKey)],
    )


def _catalog(database: object, *actions: object) -> list[Statement]:
    """Actions on a table of the lake; Glue checks them on the catalog, the database and the table."""
    return [
        iam.allow(iam.arn("glue", "catalog"), *actions),
        iam.allow(iam.arn("glue", "database/${Database}", Database=database), *actions),
        iam.allow(iam.arn("glue", "table/${Database}/readings", Database=database), *actions),
    ]


def _find_database(database: object) -> list[Statement]:
    """PyIceberg looks at the database before it creates a table in it."""
    return [
        iam.allow(iam.arn("glue", "catalog"), glue.GetDatabase),
        iam.allow(iam.arn("glue", "database/${Database}", Database=database), glue.GetDatabase),
    ]
