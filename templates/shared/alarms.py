"""The alarms: what is watched, from when on it is trouble, and what to do about it.

Missing data is no trouble (`notBreaching`): AWS sends these metrics only while there is traffic.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from troposphere import cloudwatch

from config.settings import Settings
from templates.shared.functions import NAMESPACE
from templates.shared.naming import own_name

PERIOD_S = 300
ERRORS_FILTER = "errors"
"""Name of the raw bucket's request metrics below `errors/`."""


@dataclass(frozen=True)
class Alarm:
    """Trouble when what it watches, a metric or an expression over several, exceeds `above` in each of `periods`."""

    title: str
    meaning: str
    watches: Mapping[str, object]
    above: float
    periods: int = 1


def alarms(settings: Settings, watched: Mapping[str, object], topic_arn: object) -> Iterator[cloudwatch.Alarm]:
    """Every alarm; each tells the topic when trouble begins and when it is over."""
    for alarm in (
        *_ingest(settings, watched),
        *_event_source(settings, watched),
        *_function(settings, watched),
        *_compaction(watched),
    ):
        yield cloudwatch.Alarm(
            alarm.title,
            AlarmName=own_name(settings, _words(alarm.title)),
            AlarmDescription=alarm.meaning,
            Threshold=alarm.above,
            EvaluationPeriods=alarm.periods,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[topic_arn],
            OKActions=[topic_arn],
            **alarm.watches,
        )


def _ingest(settings: Settings, watched: Mapping[str, object]) -> Iterator[Alarm]:
    limits = settings.monitoring
    yield Alarm(
        "StreamThrottled",
        "Writes to the stream are refused: add shards, or look for a device that floods its partition.",
        _metric("AWS/Kinesis", "WriteProvisionedThroughputExceeded", "Sum", StreamName=watched["StreamName"]),
        limits.throttled_records,
        periods=2,
    )
    yield Alarm(
        "MessagesUndelivered",
        "A topic rule or Firehose could not hand messages on: they lie in the raw bucket below errors/.",
        # counted where they end up, since IoT's own count of failed actions has no dimension for the rule alone
        _metric("AWS/S3", "PutRequests", "Sum", BucketName=watched["RawBucketName"], FilterId=ERRORS_FILTER),
        0,
    )
    yield Alarm(
        "ArchiveBehind",
        "Firehose does not deliver: its log group and the objects below errors/firehose/ say why.",
        _metric("AWS/Firehose", "DeliveryToS3.DataFreshness", "Maximum", DeliveryStreamName=watched["FirehoseName"]),
        limits.firehose_age_s,
    )


def _event_source(settings: Settings, watched: Mapping[str, object]) -> Iterator[Alarm]:
    source = {"EventSourceMappingUUID": watched["EventSourceId"]}
    yield Alarm(
        "ReadingsBehind",
        "Readings are stored late: add shards or parallelization, or look for a batch that keeps failing.",
        _metric("AWS/Lambda", "IteratorAge", "Maximum", FunctionName=watched["ProcessReadingsName"]),
        settings.monitoring.iterator_age_ms,
        periods=2,
    )
    yield Alarm(
        "RecordsSetAside",
        "Records were given up after all retries: they lie in the processed bucket below aws/lambda/.",
        _metric("AWS/Lambda", "OnFailureDestinationDeliveredEventCount", "Sum", **source),
        0,
    )
    yield Alarm(
        "RecordsDropped",
        "Records were given up and could not be set aside: compaction still takes them from the archive.",
        _metric("AWS/Lambda", "DroppedEventCount", "Sum", **source),
        0,
    )


def _function(settings: Settings, watched: Mapping[str, object]) -> Iterator[Alarm]:
    limits = settings.monitoring
    name = watched["ProcessReadingsName"]
    yield Alarm(
        "FunctionErrors",
        "process_readings fails: its logs say why; the batches are retried.",
        _metric("AWS/Lambda", "Errors", "Sum", FunctionName=name),
        limits.function_errors,
    )
    yield Alarm(
        "FunctionDuration",
        "process_readings comes close to its timeout: give it more memory or smaller batches.",
        _metric("AWS/Lambda", "Duration", "Average", FunctionName=name),
        limits.function_duration_ms,
    )
    yield Alarm(
        "ReadingsQuarantined",
        "Too many readings are rejected: the reasons stand in the processed bucket below quarantine/.",
        _share("ReadingsQuarantined", "ReadingsReceived", service=settings.stack_name),
        limits.quarantined_percent,
    )


def _compaction(watched: Mapping[str, object]) -> Iterator[Alarm]:
    for title, metric in (("CompactionFailed", "ExecutionsFailed"), ("CompactionTimedOut", "ExecutionsTimedOut")):
        yield Alarm(
            title,
            "A compaction did not end well and published nothing: redrive it, or let the next one plan its hours.",
            _metric("AWS/States", metric, "Sum", StateMachineArn=watched["CompactStateMachineArn"]),
            0,
        )


def _words(title: str) -> str:
    """`StreamThrottled` → `stream-throttled`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in title).removeprefix("-")


def _metric(namespace: str, name: str, statistic: str, **dimensions: object) -> dict[str, object]:
    """One statistic of one metric."""
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": _dimensions(dimensions),
        "Statistic": statistic,
        "Period": PERIOD_S,
    }


def _share(part: str, whole: str, **dimensions: object) -> dict[str, object]:
    """The sum of one of our own metrics as percent of another's."""
    sums = [
        cloudwatch.MetricDataQuery(
            Id=query,
            ReturnData=False,
            MetricStat=cloudwatch.MetricStat(
                Metric=cloudwatch.Metric(Namespace=NAMESPACE, MetricName=name, Dimensions=_dimensions(dimensions)),
                Period=PERIOD_S,
                Stat="Sum",
            ),
        )
        for query, name in (("part", part), ("whole", whole))
    ]
    percent = cloudwatch.MetricDataQuery(Id="percent", Expression="100 * part / whole", ReturnData=True)
    return {"Metrics": [*sums, percent]}


def _dimensions(values: Mapping[str, object]) -> list[cloudwatch.MetricDimension]:
    return [cloudwatch.MetricDimension(Name=name, Value=value) for name, value in values.items()]
