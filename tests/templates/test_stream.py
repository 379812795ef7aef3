"""The way in: topic rules, stream, archive delivery and event source."""

import pytest

from tests.templates.walking import stacks_named

ingest = pytest.mark.parametrize("stack", stacks_named("ingest"), ids=lambda stack: stack.environment)
realtime = pytest.mark.parametrize("stack", stacks_named("realtime"), ids=lambda stack: stack.environment)


@ingest
def test_every_message_of_the_topic_takes_exactly_one_rule(stack):
    rules = [rule["TopicRulePayload"] for rule in stack.properties("AWS::IoT::TopicRule").values()]
    conditions = {rule["Sql"].partition(" WHERE ")[2] for rule in rules}

    assert conditions == {"isUndefined(timestamp)", "NOT isUndefined(timestamp)"}
    for rule in rules:
        assert f" FROM '{stack.settings.name(stack.settings.ingest.topic_prefix)}/+/data' " in rule["Sql"]
        assert "topic(3) AS topic_device_id" in rule["Sql"]
        assert "timestamp() AS received_at" in rule["Sql"]
        assert rule["AwsIotSqlVersion"] == "2016-03-23"
        assert rule["RuleDisabled"] is False


@ingest
def test_of_a_payload_that_may_be_binary_a_rule_selects_functions_only(stack):
    (sql,) = [
        rule["TopicRulePayload"]["Sql"]
        for rule in stack.properties("AWS::IoT::TopicRule").values()
        if "WHERE isUndefined" in rule["TopicRulePayload"]["Sql"]
    ]

    assert sql.startswith("SELECT encode(*, 'base64') AS payload_b64, topic(3)")


@ingest
def test_rules_keep_the_order_of_a_device_and_lose_nothing_silently(stack):
    for rule in stack.properties("AWS::IoT::TopicRule").values():
        (action,) = rule["TopicRulePayload"]["Actions"]
        assert action["Kinesis"]["PartitionKey"] == "${topic(3)}", "inside Fn::Sub it would need an exclamation mark"
        assert action["Kinesis"]["StreamName"] == {"Ref": "ReadingsStream"}
        error = rule["TopicRulePayload"]["ErrorAction"]["S3"]
        assert error["BucketName"] == {"Ref": "RawBucketName"}
        assert error["Key"].startswith("errors/")


@ingest
def test_the_stream_is_encrypted_and_has_the_capacity_that_the_settings_say(stack):
    stream, settings = stack.only("AWS::Kinesis::Stream"), stack.settings.ingest

    assert stream["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": {"Ref": "KeyArn"}}
    assert stream["RetentionPeriodHours"] == settings.stream_retention_h
    if settings.stream_mode == "provisioned":
        assert stream["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
        assert stream["ShardCount"] == settings.stream_shards
    else:
        assert stream["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
        assert "ShardCount" not in stream


def test_the_streams_of_both_systems_are_as_promised():
    streams = {stack.environment: stack.only("AWS::Kinesis::Stream") for stack in stacks_named("ingest")}

    assert streams["iot-processing"]["Name"] == "iot-data-stream-dev"
    assert streams["iot-processing"]["ShardCount"] == 10
    assert streams["manufacturing"]["Name"] == "iot-sensor-stream-dev"
    assert streams["manufacturing"]["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}


@ingest
def test_the_archive_is_gzip_by_hour_of_arrival(stack):
    delivery = stack.only("AWS::KinesisFirehose::DeliveryStream")
    archive = delivery["ExtendedS3DestinationConfiguration"]

    assert delivery["DeliveryStreamType"] == "KinesisStreamAsSource"
    assert archive["Prefix"] == (
        "raw-data/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"
    )
    assert archive["ErrorOutputPrefix"].startswith("errors/firehose/!{firehose:error-output-type}/")
    assert archive["CompressionFormat"] == "GZIP"
    assert archive["BufferingHints"] == {
        "IntervalInSeconds": stack.settings.ingest.firehose_buffer_s,
        "SizeInMBs": stack.settings.ingest.firehose_buffer_mb,
    }


@ingest
def test_the_archive_is_encrypted_and_its_delivery_logged(stack):
    archive = stack.only("AWS::KinesisFirehose::DeliveryStream")["ExtendedS3DestinationConfiguration"]

    assert archive["EncryptionConfiguration"] == {"KMSEncryptionConfig": {"AWSKMSKeyARN": {"Ref": "KeyArn"}}}
    assert archive["CloudWatchLoggingOptions"] == {
        "Enabled": True,
        "LogGroupName": {"Ref": "ArchiveDeliveryLogs"},
        "LogStreamName": {"Ref": "ArchiveDeliveryErrors"},
    }


@realtime
def test_the_event_source_is_as_the_settings_say(stack):
    source, settings = stack.only("AWS::Lambda::EventSourceMapping"), stack.settings.realtime.event_source

    assert source["BatchSize"] == settings.batch_size
    assert source["MaximumBatchingWindowInSeconds"] == settings.window_s
    assert source["ParallelizationFactor"] == settings.parallelization
    assert source["MaximumRetryAttempts"] == settings.retries
    assert source["MaximumRecordAgeInSeconds"] == settings.record_age_s


@realtime
def test_the_alerts_topic_is_encrypted(stack):
    assert stack.only("AWS::SNS::Topic")["KmsMasterKeyId"] == {"Ref": "KeyArn"}
