"""Storage: the archive, the processed data, their access logs, the hot table and the lake's database."""

from awacs import s3 as s3_actions
from awacs.aws import Allow, ArnLike, Condition, Principal, Statement, StringEquals
from troposphere import AccountId, Ref, Retain, RetainExceptOnCreate, Template, dynamodb, glue, s3

from config.sections import Bucket
from config.settings import Settings
from templates.shared import iam
from templates.shared.naming import bucket_name
from templates.shared.wiring import needs, offers

INCOMPLETE_UPLOAD_DAYS = 7  # longer than any upload of ours could still be running
SENSOR_TYPE_SHARD = "sensor_type_shard"
KEEP = {"DeletionPolicy": RetainExceptOnCreate, "UpdateReplacePolicy": Retain}
"""Data outlives its stack, except when the deployment that created it is rolled back."""


def build(settings: Settings) -> Template:
    """Everything that holds data."""
    template = Template("Buckets, tables and catalog")
    key_arn = needs(template, "KeyArn", "Key that encrypts the data")
    logs = _access_logs(template, settings)
    glacier_days = settings.raw_bucket.glacier_after_days
    raw = _data_bucket(template, "RawBucket", settings, settings.raw_bucket, key_arn, logs, glacier_days)
    processed = _data_bucket(template, "ProcessedBucket", settings, settings.processed_bucket, key_arn, logs)
    _accept_access_logs(template, logs, [raw, processed])
    table = template.add_resource(_readings_table(settings, key_arn))
    database = template.add_resource(_lake_database(settings))
    offers(
        template,
        RawBucketName=raw.ref(),
        ProcessedBucketName=processed.ref(),
        ReadingsTableName=table.ref(),
        LakeDatabaseName=database.ref(),
    )
    return template


def _private() -> dict[str, object]:
    """What every bucket has in common: versions, no access lists, nothing public."""
    return {
        "VersioningConfiguration": s3.VersioningConfiguration(Status="Enabled"),
        "OwnershipControls": s3.OwnershipControls(
            Rules=[s3.OwnershipControlsRule(ObjectOwnership="BucketOwnerEnforced")]
        ),
        "PublicAccessBlockConfiguration": s3.PublicAccessBlockConfiguration(
            BlockPublicAcls=True, BlockPublicPolicy=True, IgnorePublicAcls=True, RestrictPublicBuckets=True
        ),
        **KEEP,
    }


def _encryption(rule: s3.ServerSideEncryptionByDefault, **options: object) -> s3.BucketEncryption:
    encrypt = s3.ServerSideEncryptionRule(ServerSideEncryptionByDefault=rule, **options)
    return s3.BucketEncryption(ServerSideEncryptionConfiguration=[encrypt])


def _access_logs(template: Template, settings: Settings) -> s3.Bucket:
    """The sink of access logs: SSE-S3, because log delivery cannot use the key."""
    days = settings.access_logs.retention_days
    expire = s3.LifecycleRule(
        Id="Expire",
        Status="Enabled",
        ExpirationInDays=days,
        NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=1),
        AbortIncompleteMultipartUpload=s3.AbortIncompleteMultipartUpload(DaysAfterInitiation=INCOMPLETE_UPLOAD_DAYS),
    )
    bucket = s3.Bucket(
        "AccessLogsBucket",
        BucketName=bucket_name(settings, settings.access_logs.bucket_name),
        BucketEncryption=_encryption(s3.ServerSideEncryptionByDefault(SSEAlgorithm="AES256")),
        LifecycleConfiguration=s3.LifecycleConfiguration(Rules=[expire]),
        **_private(),
    )
    return template.add_resource(bucket)


def _accept_access_logs(template: Template, logs: s3.Bucket, sources: list[s3.Bucket]) -> None:
    deliver = Statement(
        Effect=Allow,
        Principal=Principal("Service", "logging.s3.amazonaws.com"),
        Action=[s3_actions.PutObject],
        Resource=[iam.objects_arn(logs.ref(), "*")],
        Condition=Condition(
            [
                StringEquals("aws:SourceAccount", AccountId),
                ArnLike("aws:SourceArn", [source.get_att("Arn") for source in sources]),
            ]
        ),
    )
    statements = iam.policy(iam.refuse_plain_http(logs.ref()), deliver)
    template.add_resource(s3.BucketPolicy("AccessLogsBucketPolicy", Bucket=logs.ref(), PolicyDocument=statements))


def _data_bucket(
    template: Template,
    title: str,
    settings: Settings,
    bucket: Bucket,
    key_arn: Ref,
    logs: s3.Bucket,
    glacier_after_days: int | None = None,
) -> s3.Bucket:
    """A bucket of data with its policy."""
    by_key = s3.ServerSideEncryptionByDefault(SSEAlgorithm="aws:kms", KMSMasterKeyID=key_arn)
    resource = s3.Bucket(
        title,
        BucketName=bucket_name(settings, bucket.name),
        # the bucket key saves almost every KMS request
        BucketEncryption=_encryption(by_key, BucketKeyEnabled=True),
        LoggingConfiguration=s3.LoggingConfiguration(
            DestinationBucketName=logs.ref(), LogFilePrefix=f"{title.removesuffix('Bucket').lower()}/"
        ),
        LifecycleConfiguration=s3.LifecycleConfiguration(Rules=_lifecycle(bucket, glacier_after_days)),
        **_private(),
    )
    template.add_resource(resource)
    tls_only = iam.policy(iam.refuse_plain_http(resource.ref()))
    template.add_resource(s3.BucketPolicy(f"{title}Policy", Bucket=resource.ref(), PolicyDocument=tls_only))
    return resource


def _lifecycle(bucket: Bucket, glacier_after_days: int | None) -> list[s3.LifecycleRule]:
    tidy = s3.LifecycleRule(
        Id="Tidy",
        Status="Enabled",
        ExpiredObjectDeleteMarker=True,
        NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=bucket.noncurrent_days),
        AbortIncompleteMultipartUpload=s3.AbortIncompleteMultipartUpload(DaysAfterInitiation=INCOMPLETE_UPLOAD_DAYS),
    )
    if glacier_after_days is None:
        return [tidy]
    move = s3.LifecycleRuleTransition(StorageClass="GLACIER", TransitionInDays=glacier_after_days)
    return [tidy, s3.LifecycleRule(Id="Glacier", Status="Enabled", Transitions=[move])]


def _readings_table(settings: Settings, key_arn: Ref) -> dynamodb.Table:
    """Recent readings by device and time."""
    hot = settings.hot_table
    attributes = {hot.device_key: "S", hot.time_key: "N" if hot.time_format == "epoch_seconds" else "S"}
    if hot.sensor_type_index:
        attributes[SENSOR_TYPE_SHARD] = "S"
    return dynamodb.Table(
        "ReadingsTable",
        TableName=settings.name(hot.name),
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            dynamodb.AttributeDefinition(AttributeName=name, AttributeType=kind) for name, kind in attributes.items()
        ],
        KeySchema=_key_schema(hot.device_key, hot.time_key),
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
        KeySchema=_key_schema(SENSOR_TYPE_SHARD, settings.hot_table.time_key),
        Projection=dynamodb.Projection(ProjectionType="ALL"),
    )
    return {"GlobalSecondaryIndexes": [secondary]}


def _lake_database(settings: Settings) -> glue.Database:
    """The database; the first commit creates the table `readings` in it."""
    description = glue.DatabaseInput(
        Name=settings.name(settings.lake.database), Description=f"Readings of {settings.stack_name}"
    )
    return glue.Database("LakeDatabase", CatalogId=AccountId, DatabaseInput=description, **KEEP)
