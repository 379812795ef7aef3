"""Real time: the function that stores readings as they arrive, how it reads the stream, and the topic of its alerts."""

from awacs import sns as sns_actions
from awacs.aws import Allow, Bool, Condition, Deny, Principal, Statement
from troposphere import Ref, Template, awslambda, sns

from config.settings import Settings
from templates.shared import catalogue, iam
from templates.shared.functions import add_function
from templates.shared.wiring import needs, offers


def build(settings: Settings) -> Template:
    """Alerts topic, function and event source."""
    template = Template("Real-time processing and alerts")
    key_arn = needs(template, "KeyArn", "Key that encrypts stream, table, buckets, logs and topic")
    stream_arn = needs(template, "StreamArn", "Stream of readings")
    table = needs(template, "ReadingsTableName", "Table of recent readings")
    processed = needs(template, "ProcessedBucketName", "Bucket of quarantined records and failed batches")
    topic = _alerts_topic(template, settings, key_arn)
    spec = catalogue.process_readings(
        settings, key_arn=key_arn, stream_arn=stream_arn, table=table, processed=processed, topic_arn=topic.ref()
    )
    function = add_function(template, settings, spec, key_arn)
    source = template.add_resource(_event_source(settings, function, stream_arn, processed))
    offers(
        template,
        AlertsTopicArn=topic.ref(),
        AlertsTopicName=topic.get_att("TopicName"),
        ProcessReadingsName=function.ref(),
        EventSourceId=source.ref(),
    )
    return template


def _alerts_topic(template: Template, settings: Settings, key_arn: Ref) -> sns.Topic:
    topic = template.add_resource(
        sns.Topic("AlertsTopic", TopicName=settings.name(settings.alerts.topic_name), KmsMasterKeyId=key_arn)
    )
    # CloudWatch publishes alarms in its own name; a topic with a policy of its own has to name it.
    alarms = Statement(
        Effect=Allow,
        Principal=Principal("Service", "cloudwatch.amazonaws.com"),
        Action=[sns_actions.Publish],
        Resource=[topic.ref()],
        Condition=iam.from_here(iam.arn("cloudwatch", "alarm:*")),
    )
    plain_http = Statement(
        Effect=Deny,
        Principal=Principal("*"),
        Action=[sns_actions.Publish],
        Resource=[topic.ref()],
        Condition=Condition(Bool("aws:SecureTransport", "false")),
    )
    template.add_resource(
        sns.TopicPolicy("AlertsTopicPolicy", Topics=[topic.ref()], PolicyDocument=iam.policy(alarms, plain_http))
    )
    return topic


def _event_source(
    settings: Settings, function: awslambda.Function, stream_arn: Ref, processed: Ref
) -> awslambda.EventSourceMapping:
    """How Lambda reads the stream. Retries and age are limited, since Lambda's defaults block a shard for ever."""
    source = settings.realtime.event_source
    # A bucket, because only there Lambda keeps the records themselves; a queue or topic gets their positions.
    set_aside = awslambda.OnFailure(Destination=iam.bucket_arn(processed))
    return awslambda.EventSourceMapping(
        "ReadingsSource",
        EventSourceArn=stream_arn,
        FunctionName=function.ref(),
        # LATEST would miss what arrives while the mapping is created or changed.
        StartingPosition="TRIM_HORIZON",
        BatchSize=source.batch_size,
        MaximumBatchingWindowInSeconds=source.window_s,
        ParallelizationFactor=source.parallelization,
        MaximumRetryAttempts=source.retries,
        MaximumRecordAgeInSeconds=source.record_age_s,
        BisectBatchOnFunctionError=True,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        DestinationConfig=awslambda.DestinationConfig(OnFailure=set_aside),
        MetricsConfig=awslambda.MetricsConfig(Metrics=["EventCount"]),
    )
