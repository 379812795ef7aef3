"""The catalogue of alarms: what is watched, from when on it is trouble, and what no data means."""

from collections.abc import Iterator, Mapping

from config.settings import Settings
from templates.shared.alarms import Alarm, math, metric, own_metric, query

ERRORS_FILTER = "errors"
"""Name of the raw bucket's request metrics below `errors/`."""

OF_OUR_RULES = "FROM \"AWS/IoT\" WHERE RuleName = '${ReadingsRuleName}' OR RuleName = '${RawPayloadRuleName}'"
"""A query, because IoT counts each action of a rule under a type of action, whose spelling no document gives
(https://docs.aws.amazon.com/iot/latest/developerguide/metrics_dimensions.html#rule-action-metrics)."""

READ_BY_FIREHOSE = "DataReadFromKinesisStream.Records"

HOUR_S = 3600

Watched = Mapping[str, object]
"""Names of the resources that are watched, by the name of the output that offers them."""


def alarms(settings: Settings, watched: Watched) -> Iterator[Alarm]:
    """Every alarm of a system."""
    yield from _ingest(settings, watched)
    yield from _event_source(settings, watched)
    yield from _process_readings(settings, watched)
    yield from _hot_table(settings, watched)
    yield from _compaction(settings, watched)
    yield from _steps(settings, watched)
    yield from _upkeep(watched)
    yield from _reprocessing(watched)
    yield _starting(watched)
    yield from _notifications(settings, watched)


def _ingest(settings: Settings, watched: Watched) -> Iterator[Alarm]:
    limits, firehose = settings.monitoring, watched["FirehoseName"]
    yield Alarm(
        "StreamThrottled",
        "Writes to the stream are refused: it has too few shards, or one device floods its partition.",
        metric("AWS/Kinesis", "WriteProvisionedThroughputExceeded", "Sum", {"StreamName": watched["StreamName"]}),
        limits.throttled_records,
        periods=2,
    )
    yield Alarm(
        "MessagesUndelivered",
        "A topic rule or Firehose could not hand messages on: they lie in the raw bucket below errors/.",
        metric("AWS/S3", "PutRequests", "Sum", {"BucketName": watched["RawBucketName"], "FilterId": ERRORS_FILTER}),
        0,
    )
    yield Alarm(
        "RuleActionsFailed",
        "A topic rule could not put messages on the stream.",
        query(f"SELECT SUM(Failure) {OF_OUR_RULES}", watched),
        0,
    )
    yield Alarm(
        "MessagesLost",
        "A topic rule could put messages neither on the stream nor into the raw bucket: they are lost.",
        query(f"SELECT SUM(ErrorActionFailure) {OF_OUR_RULES}", watched),
        0,
    )
    yield Alarm(
        "ArchiveBehind",
        "Firehose does not deliver to the archive.",
        metric("AWS/Firehose", "DeliveryToS3.DataFreshness", "Maximum", {"DeliveryStreamName": firehose}),
        limits.firehose_age_s,
    )
    yield Alarm(
        "ArchiveUnread",
        "Records come onto the stream and Firehose does not read them: what leaves the stream is lost to the archive.",
        # what Firehose has not read has no age there
        _unread(watched, metric("AWS/Firehose", READ_BY_FIREHOSE, "Sum", {"DeliveryStreamName": firehose})),
        0,
        periods=3,
    )


def _event_source(settings: Settings, watched: Watched) -> Iterator[Alarm]:
    source = {"EventSourceMappingUUID": watched["EventSourceId"]}
    function = {"FunctionName": watched["ProcessReadingsName"]}
    yield Alarm(
        "ReadingsBehind",
        "Readings are stored late: a batch keeps failing, or the stream has too few shards.",
        metric("AWS/Lambda", "IteratorAge", "Maximum", function),
        settings.monitoring.iterator_age_ms,
        periods=2,
    )
    yield Alarm(
        "ReadingsUnread",
        "Records come onto the stream and process_readings is not called.",
        # a function that is not called has no iterator age
        _unread(watched, metric("AWS/Lambda", "Invocations", "Sum", function)),
        0,
        periods=3,
    )
    yield Alarm(
        "RecordsSetAside",
        "Records were given up after all retries: they lie in the processed bucket below aws/lambda/.",
        metric("AWS/Lambda", "OnFailureDestinationDeliveredEventCount", "Sum", source),
        0,
    )
    yield Alarm(
        "RecordsDropped",
        "Records were given up and could not be set aside: only the archive has them.",
        metric("AWS/Lambda", "DroppedEventCount", "Sum", source),
        0,
    )


def _unread(watched: Watched, reads: Mapping[str, object]) -> dict[str, object]:
    """1 in a period in which records come onto the stream and a reader of it has done nothing."""
    return math(
        "IF(incoming > 0 AND FILL(reads, 0) < 1, 1, 0)",
        incoming=metric("AWS/Kinesis", "IncomingRecords", "Sum", {"StreamName": watched["StreamName"]}),
        reads=reads,
    )


def _process_readings(settings: Settings, watched: Watched) -> Iterator[Alarm]:
    limits = settings.monitoring
    name = watched["ProcessReadingsName"]
    yield Alarm(
        "FunctionErrors",
        "process_readings fails; its batches come again until they are set aside.",
        metric("AWS/Lambda", "Errors", "Sum", {"FunctionName": name}),
        limits.function_errors,
    )
    yield Alarm(
        "FunctionDuration",
        "process_readings comes close to its timeout.",
        metric("AWS/Lambda", "Duration", "Average", {"FunctionName": name}),
        limits.function_duration_ms,
        harmful=False,
    )
    yield Alarm(
        "ReadingsQuarantined",
        "Too many readings are rejected: they lie in the processed bucket below quarantine/.",
        math(
            "100 * part / whole",
            part=own_metric(settings, "ReadingsQuarantined", "Sum"),
            whole=own_metric(settings, "ReadingsReceived", "Sum"),
        ),
        limits.quarantined_percent,
    )


def _hot_table(settings: Settings, watched: Watched) -> Iterator[Alarm]:
    limit = settings.monitoring.throttled_items
    table = {"TableName": watched["ReadingsTableName"]}
    yield Alarm(
        "TableThrottled",
        "DynamoDB refuses writes to the hot table: readings are stored late.",
        _throttled(table),
        limit,
        periods=2,
    )
    if index := settings.hot_table.sensor_type_index:
        yield Alarm(
            "IndexThrottled",
            "DynamoDB refuses writes to the index by sensor type, and with them those to the table.",
            _throttled({**table, "GlobalSecondaryIndexName": settings.name(index.name)}),
            limit,
            periods=2,
        )


def _throttled(dimensions: Mapping[str, object]) -> dict[str, object]:
    """Throttled writes, and 0 where DynamoDB says nothing: an alarm over its metrics ignores missing data, whatever it
    is told, and would never end
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html)."""
    return math("FILL(throttled, 0)", throttled=metric("AWS/DynamoDB", "WriteThrottleEvents", "Sum", dimensions))


def _compaction(settings: Settings, watched: Watched) -> Iterator[Alarm]:
    """One failed run harms nobody, because the next plans its hours again; hours that stay out of the table do."""
    machine = {"StateMachineArn": watched["CompactStateMachineArn"]}
    for title, name, meaning in (
        ("CompactionFailed", "ExecutionsFailed", "A compaction failed and published nothing."),
        ("CompactionTimedOut", "ExecutionsTimedOut", "A compaction did not end in time and published nothing."),
        ("CompactionThrottled", "ExecutionThrottled", "Step Functions holds steps of a compaction back."),
    ):
        yield Alarm(title, meaning, metric("AWS/States", name, "Sum", machine), 0, harmful=False)
    yield Alarm(
        "BacklogOld",
        "Archived hours wait too long to be in the table.",
        own_metric(settings, "BacklogAgeSeconds", "Maximum"),
        settings.monitoring.backlog_age_s,
        missing="ignore",  # a plan says it once, and it stays true until the next
    )
    if settings.compaction.enabled:
        yield Alarm(
            "CompactionOverdue",
            "No compaction has ended well for too long, or none is started.",
            metric("AWS/States", "ExecutionsSucceeded", "Sum", machine, HOUR_S),
            1,
            periods=settings.monitoring.compaction_overdue_h,
            trouble="below",
            missing="breaching",  # without a run there is no count
        )


def _steps(settings: Settings, watched: Watched) -> Iterator[Alarm]:
    for title, output, step in (
        ("PlanErrors", "PlanCompactionName", "plan_compaction"),
        ("WriteErrors", "WriteParquetName", "write_parquet"),
        ("CommitErrors", "CommitTableName", "commit_table"),
    ):
        yield Alarm(
            title,
            f"{step} fails again and again: trying again does not get over it.",
            metric("AWS/Lambda", "Errors", "Sum", {"FunctionName": watched[output]}),
            settings.monitoring.step_errors,
            harmful=False,  # see the compaction as a whole
        )


def _upkeep(watched: Watched) -> Iterator[Alarm]:
    """The table is whole without it, only slower to read and larger than need be."""
    machine = {"StateMachineArn": watched["OptimizeStateMachineArn"]}
    for title, name, meaning in (
        ("OptimizationFailed", "ExecutionsFailed", "A run of the table's upkeep failed."),
        ("OptimizationTimedOut", "ExecutionsTimedOut", "A run of the table's upkeep did not end in time."),
    ):
        yield Alarm(title, meaning, metric("AWS/States", name, "Sum", machine), 0, harmful=False)


def _reprocessing(watched: Watched) -> Iterator[Alarm]:
    """The range stays as it was until a run has published it."""
    machine = {"StateMachineArn": watched["ReprocessStateMachineArn"]}
    for title, name, meaning in (
        ("ReprocessingFailed", "ExecutionsFailed", "A reprocessing failed, was refused or could not be undone."),
        ("ReprocessingTimedOut", "ExecutionsTimedOut", "A reprocessing did not end in time."),
    ):
        yield Alarm(title, meaning, metric("AWS/States", name, "Sum", machine), 0, harmful=False)


def _starting(watched: Watched) -> Alarm:
    machine = {"StateMachineArn": watched["StartRunStateMachineArn"]}
    return Alarm(
        "RunNotStarted",
        "A schedule could not start its machine.",
        metric("AWS/States", "ExecutionsFailed", "Sum", machine),
        0,
        harmful=False,  # the next schedule finds the same work
    )


def _notifications(settings: Settings, watched: Watched) -> Iterator[Alarm]:
    if settings.alerts.webhook:
        queue = {"QueueName": watched["WebhookFailuresQueueName"]}
        yield Alarm(
            "AlertsUndelivered",
            "Alerts did not reach the webhook: they lie in the queue of its failures.",
            metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", queue),
            0,
            missing="ignore",  # SQS falls silent about a queue that nobody touches, and its messages stay
        )
    if settings.credentials:
        yield Alarm(
            "RotationFailed",
            "The secret that signs the webhook could not be replaced; the one before stays valid.",
            metric("AWS/Lambda", "Errors", "Sum", {"FunctionName": watched["RotateSecretName"]}),
            0,
            harmful=False,
        )
