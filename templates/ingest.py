"""Ingest: topic rules take readings from MQTT to the stream, Firehose takes them from the stream to the archive."""

from awacs import kinesis as kinesis_actions
from awacs import kms, logs, s3
from awacs.aws import Condition, StringEquals
from troposphere import AccountId, Delete, Ref, Template, firehose, iot, kinesis
from troposphere.iam import Role
from troposphere.logs import LogStream

from config.settings import Settings
from templates.shared import iam
from templates.shared.log_groups import log_group
from templates.shared.wiring import needs, offers

HOURS = "year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"
"""Firehose fills in the arrival time, in UTC. A delivery that is retried lands in the hour of its first attempt."""

READINGS_SQL = (
    "SELECT *, topic(3) AS topic_device_id, timestamp() AS received_at FROM '{topic}' WHERE NOT isUndefined(timestamp)"
)
"""The device's own JSON object and two fields of ours."""

RAW_PAYLOAD_SQL = (
    "SELECT encode(*, 'base64') AS payload_b64, topic(3) AS topic_device_id, timestamp() AS received_at"
    " FROM '{topic}' WHERE isUndefined(timestamp)"
)
"""Whatever has no `timestamp`, garbage included: of such a payload a rule may select only functions, or it is lost
without a trace (https://docs.aws.amazon.com/iot/latest/developerguide/binary-payloads.html)."""


def build(settings: Settings) -> Template:
    """Topic rules, stream and archive delivery."""
    template = Template("Topic rules, stream and archive delivery")
    key_arn = needs(template, "KeyArn", "Key that encrypts the stream and the archive")
    raw_bucket = needs(template, "RawBucketName", "Bucket of the archive")
    stream = template.add_resource(_stream(settings, key_arn))
    readings_rule, raw_payload_rule = _topic_rules(template, settings, stream, raw_bucket, key_arn)
    delivery = _firehose(template, settings, stream, raw_bucket, key_arn)
    offers(
        template,
        StreamName=stream.ref(),
        StreamArn=stream.get_att("Arn"),
        FirehoseName=delivery.ref(),
        ReadingsRuleName=readings_rule.ref(),
        RawPayloadRuleName=raw_payload_rule.ref(),
        TopicPrefix=settings.name(settings.ingest.topic_prefix),
    )
    return template


def _stream(settings: Settings, key_arn: Ref) -> kinesis.Stream:
    provisioned = settings.ingest.stream_mode == "provisioned"
    return kinesis.Stream(
        "ReadingsStream",
        Name=settings.name(settings.ingest.stream_name),
        StreamModeDetails=kinesis.StreamModeDetails(StreamMode="PROVISIONED" if provisioned else "ON_DEMAND"),
        **({"ShardCount": settings.ingest.stream_shards} if provisioned else {}),
        RetentionPeriodHours=settings.ingest.stream_retention_h,
        StreamEncryption=kinesis.StreamEncryption(EncryptionType="KMS", KeyId=key_arn),
        # what matters of it is in the archive within minutes
        DeletionPolicy=Delete,
        UpdateReplacePolicy=Delete,
    )


def _topic_rules(
    template: Template, settings: Settings, stream: kinesis.Stream, raw_bucket: Ref, key_arn: Ref
) -> list[iot.TopicRule]:
    """Two rules whose conditions complement each other, so that every message takes exactly one of them."""
    topic = f"{settings.name(settings.ingest.topic_prefix)}/+/data"
    name = settings.name(settings.ingest.rule_name)
    rules = {"ReadingsRule": (name, READINGS_SQL), "RawPayloadRule": (f"{name}_raw", RAW_PAYLOAD_SQL)}
    names = [rule_name for rule_name, _ in rules.values()]
    role = template.add_resource(_rule_role(names, stream, raw_bucket, key_arn))
    return [
        template.add_resource(
            iot.TopicRule(
                title,
                RuleName=rule_name,
                TopicRulePayload=_rule(sql.format(topic=topic), stream, raw_bucket, role),
            )
        )
        for title, (rule_name, sql) in rules.items()
    ]


def _rule(sql: str, stream: kinesis.Stream, raw_bucket: Ref, role: Role) -> iot.TopicRulePayload:
    """To the stream, ordered by device; what the stream refuses goes to the archive's bucket as it came."""
    role_arn = role.get_att("Arn")
    to_stream = iot.KinesisAction(StreamName=stream.ref(), PartitionKey="${topic(3)}", RoleArn=role_arn)
    to_bucket = iot.S3Action(
        BucketName=raw_bucket,
        Key='errors/rule/${parse_time("yyyy/MM/dd", timestamp())}/${topic(3)}/${newuuid()}.json',
        RoleArn=role_arn,
    )
    return iot.TopicRulePayload(
        Sql=sql,
        AwsIotSqlVersion="2016-03-23",
        RuleDisabled=False,
        Actions=[iot.Action(Kinesis=to_stream)],
        ErrorAction=iot.Action(S3=to_bucket),
    )


def _rule_role(rule_names: list[str], stream: kinesis.Stream, raw_bucket: Ref, key_arn: Ref) -> Role:
    return iam.role(
        "TopicRuleRole",
        "iot.amazonaws.com",
        [
            iam.allow(stream.get_att("Arn"), kinesis_actions.PutRecord),
            iam.use_key(key_arn, "kinesis", kms.GenerateDataKey),
            iam.allow(iam.objects_arn(raw_bucket, "errors/rule/*"), s3.PutObject),
            iam.use_key(key_arn, "s3", kms.GenerateDataKey),
        ],
        iam.from_here(*(iam.arn("iot", f"rule/{name}") for name in rule_names)),
    )


def _firehose(
    template: Template, settings: Settings, stream: kinesis.Stream, raw_bucket: Ref, key_arn: Ref
) -> firehose.DeliveryStream:
    name = settings.name(settings.ingest.firehose_name)
    group = template.add_resource(log_group("ArchiveDeliveryLogs", settings, f"/aws/kinesisfirehose/{name}", key_arn))
    errors = template.add_resource(
        LogStream("ArchiveDeliveryErrors", LogGroupName=group.ref(), LogStreamName="delivery")
    )
    role = template.add_resource(_firehose_role(name, stream, raw_bucket, key_arn))
    return template.add_resource(
        firehose.DeliveryStream(
            "ArchiveDelivery",
            DeliveryStreamName=name,
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration=firehose.KinesisStreamSourceConfiguration(
                KinesisStreamARN=stream.get_att("Arn"), RoleARN=role.get_att("Arn")
            ),
            ExtendedS3DestinationConfiguration=_archive(
                settings,
                raw_bucket,
                key_arn,
                role,
                firehose.CloudWatchLoggingOptions(Enabled=True, LogGroupName=group.ref(), LogStreamName=errors.ref()),
            ),
        )
    )


def _archive(
    settings: Settings, raw_bucket: Ref, key_arn: Ref, role: Role, logging: firehose.CloudWatchLoggingOptions
) -> firehose.ExtendedS3DestinationConfiguration:
    # Firehose joins records with nothing between them unless told to.
    newline = firehose.ProcessorParameter(ParameterName="Delimiter", ParameterValue="\\n")
    delimiter = firehose.Processor(Type="AppendDelimiterToRecord", Parameters=[newline])
    return firehose.ExtendedS3DestinationConfiguration(
        BucketARN=iam.bucket_arn(raw_bucket),
        RoleARN=role.get_att("Arn"),
        Prefix=f"raw-data/{HOURS}",
        ErrorOutputPrefix=f"errors/firehose/!{{firehose:error-output-type}}/{HOURS}",
        BufferingHints=firehose.BufferingHints(
            SizeInMBs=settings.ingest.firehose_buffer_mb, IntervalInSeconds=settings.ingest.firehose_buffer_s
        ),
        CompressionFormat="GZIP",
        EncryptionConfiguration=firehose.EncryptionConfiguration(
            KMSEncryptionConfig=firehose.KMSEncryptionConfig(AWSKMSKeyARN=key_arn)
        ),
        ProcessingConfiguration=firehose.ProcessingConfiguration(Enabled=True, Processors=[delimiter]),
        CloudWatchLoggingOptions=logging,
    )


def _firehose_role(name: str, stream: kinesis.Stream, raw_bucket: Ref, key_arn: Ref) -> Role:
    """As in https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html, narrowed to our prefixes."""
    return iam.role(
        "ArchiveDeliveryRole",
        "firehose.amazonaws.com",
        [
            iam.allow(
                stream.get_att("Arn"),
                kinesis_actions.DescribeStream,
                kinesis_actions.GetRecords,
                kinesis_actions.GetShardIterator,
                kinesis_actions.ListShards,
            ),
            iam.use_key(key_arn, "kinesis", kms.Decrypt),
            iam.allow(iam.bucket_arn(raw_bucket), s3.GetBucketLocation, s3.ListBucket, s3.ListBucketMultipartUploads),
            iam.allow(iam.objects_arn(raw_bucket, "raw-data/*"), s3.AbortMultipartUpload, s3.PutObject),
            iam.allow(iam.objects_arn(raw_bucket, "errors/firehose/*"), s3.AbortMultipartUpload, s3.PutObject),
            iam.use_key(key_arn, "s3", kms.Decrypt, kms.GenerateDataKey),
            iam.allow(iam.arn("logs", f"log-group:/aws/kinesisfirehose/{name}:log-stream:delivery"), logs.PutLogEvents),
        ],
        Condition(StringEquals("sts:ExternalId", AccountId)),
    )
