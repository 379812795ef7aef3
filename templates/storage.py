"""Storage: the archive, the processed data, their access logs, the hot table and the lake's database."""

from troposphere import AccountId, Ref, Template, dynamodb, glue, s3

from config.settings import Settings
from templates.shared.alarm_catalogue import ERRORS_FILTER
from templates.shared.buckets import KEEP, access_logs_bucket, data_bucket, expire, move, tidy
from templates.shared.wiring import needs, offers

TIME_KEY = "timestamp"
SENSOR_TYPE_SHARD = "sensor_type_shard"


def build(settings: Settings) -> Template:
    """Everything that holds data."""
    template = Template("Buckets, tables and catalog")
    key_arn = needs(template, "KeyArn", "Key that encrypts the data")
    access_logs = access_logs_bucket(template, settings, sources=_logged(settings))
    raw = _raw_bucket(template, settings, key_arn, access_logs)
    processed = _processed_bucket(template, settings, key_arn, access_logs)
    table = template.add_resource(_readings_table(settings, key_arn))
    database = template.add_resource(_lake_database(settings))
    offers(
        template,
        RawBucketName=raw.ref(),
        ProcessedBucketName=processed.ref(),
        AccessLogsBucketName=access_logs.ref(),
        ReadingsTableName=table.ref(),
        LakeDatabaseName=database.ref(),
    )
    return template


def _logged(settings: Settings) -> list[str]:
    """Names of the buckets that log to the access logs: those of this stack, and the audit trail's."""
    trail = [settings.audit.bucket_name] if settings.audit.enabled else []
    return [settings.raw_bucket.name, settings.processed_bucket.name, *trail]


def _raw_bucket(template: Template, settings: Settings, key_arn: Ref, access_logs: s3.Bucket) -> s3.Bucket:
    """The archive, and what could not be delivered to it."""
    bucket = settings.raw_bucket
    undelivered = s3.MetricsConfiguration(Id=ERRORS_FILTER, Prefix="errors/")
    return data_bucket(
        template,
        settings,
        "RawBucket",
        bucket.name,
        key_arn=key_arn,
        access_logs=access_logs,
        lifecycle=[
            tidy(bucket.noncurrent_days, bucket.incomplete_upload_days),
            expire(bucket.expire_after_days),
            *move(bucket.transitions),
        ],
        MetricsConfigurations=[undelivered],
    )


def _processed_bucket(template: Template, settings: Settings, key_arn: Ref, access_logs: s3.Bucket) -> s3.Bucket:
    """Iceberg table, quarantine, run manifests, what the event source gave up, and answers of queries.

    Table and manifests say what is committed, and never expire. Each place has a rule of its own for what expires,
    because two rules that expire the same objects may be refused as overlapping.
    """
    bucket = settings.processed_bucket
    kept_days = {
        "athena/": settings.athena.results_days,
        "aws/lambda/": bucket.set_aside_days,
        "quarantine/": bucket.quarantine_days,
        "staging/": bucket.staging_days,
        "runs/": None,
        "warehouse/": None,
    }
    return data_bucket(
        template,
        settings,
        "ProcessedBucket",
        bucket.name,
        key_arn=key_arn,
        access_logs=access_logs,
        lifecycle=[
            tidy(bucket.noncurrent_days, bucket.incomplete_upload_days),
            *(expire(days, prefix) for prefix, days in kept_days.items()),
            *move(bucket.transitions),
        ],
    )


def _readings_table(settings: Settings, key_arn: Ref) -> dynamodb.Table:
    """Recent readings by device and time."""
    hot = settings.hot_table
    attributes = {hot.device_key: "S", TIME_KEY: "N" if hot.time_format == "epoch_seconds" else "S"}
    if hot.sensor_type_index:
        attributes[SENSOR_TYPE_SHARD] = "S"
    return dynamodb.Table(
        "ReadingsTable",
        TableName=settings.name(hot.name),
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            dynamodb.AttributeDefinition(AttributeName=name, AttributeType=kind) for name, kind in attributes.items()
        ],
        KeySchema=_key_schema(hot.device_key, TIME_KEY),
        **_sensor_type_index(settings),
        PointInTimeRecoverySpecification=dynamodb.PointInTimeRecoverySpecification(PointInTimeRecoveryEnabled=True),
        SSESpecification=dynamodb.SSESpecification(SSEEnabled=True, SSEType="KMS", KMSMasterKeyId=key_arn),
        TimeToLiveSpecification=dynamodb.TimeToLiveSpecification(AttributeName="expires_at", Enabled=True),
        DeletionProtectionEnabled=hot.deletion_protection,
        **KEEP,
    )


def _key_schema(partition: str, sort: str) -> list[dynamodb.KeySchema]:
    return [
        dynamodb.KeySchema(AttributeName=partition, KeyType="HASH"),
        dynamodb.KeySchema(AttributeName=sort, KeyType="RANGE"),
    ]


def _sensor_type_index(settings: Settings) -> dict[str, object]:
    """The index's partition key is the sensor type and a shard number: one type alone would be one hot partition,
    and a throttled index throttles its table. A query asks every shard of the type and merges by time."""
    index = settings.hot_table.sensor_type_index
    if index is None:
        return {}
    secondary = dynamodb.GlobalSecondaryIndex(
        IndexName=settings.name(index.name),
        KeySchema=_key_schema(SENSOR_TYPE_SHARD, TIME_KEY),
        Projection=dynamodb.Projection(ProjectionType="ALL"),
    )
    return {"GlobalSecondaryIndexes": [secondary]}


def _lake_database(settings: Settings) -> glue.Database:
    """The database; the first commit creates the table `readings` in it."""
    description = glue.DatabaseInput(
        Name=settings.name(settings.lake.database), Description=f"Readings of {settings.stack_name}"
    )
    return glue.Database("LakeDatabase", CatalogId=AccountId, DatabaseInput=description, **KEEP)
