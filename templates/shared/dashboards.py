"""The dashboard's body: what a person looks at first, each metric with the dimensions without which it is empty.

`${Name}` stands for the monitoring stack's parameter or alarm of that name.
"""

from collections.abc import Iterable, Iterator, Mapping

from config.settings import Settings
from templates.shared.alarm_catalogue import OF_OUR_RULES
from templates.shared.alarms import UNHEALTHY, runbook
from templates.shared.functions import NAMESPACE

GRID = 24  # columns of CloudWatch's
COLUMNS = 3
WIDTH = GRID // COLUMNS
HEIGHT = 6
HEADING_HEIGHT = 1
PERIOD_S = 60
RUNS = {
    "ExecutionsStarted": "Sum",
    "ExecutionsSucceeded": "Sum",
    "ExecutionsFailed": "Sum",
    "ExecutionsTimedOut": "Sum",
    "ExecutionsAborted": "Sum",
}
"""What a state machine counts of its executions."""

Widget = dict[str, object]
Line = list[object]


def body(settings: Settings, alarms: Iterable[str]) -> dict[str, list[Widget]]:
    """The widgets: the states of the alarms (by logical id), then a headed section for each part of the pipeline."""
    sections = {
        "Devices": _devices(),
        "Stream": _stream(),
        "process_readings": _process_readings(),
        "Readings": _readings(settings),
        "Hot table": _hot_table(settings),
        "Archive": _archive(),
        "Compaction": _compaction(settings),
        "Upkeep of the table": _upkeep(settings),
        "Reprocessing": _reprocessing(),
        **({"Webhook": _webhook(settings)} if settings.alerts.webhook else {}),
    }
    placed = [*_top(settings, alarms)]
    for heading, widgets in sections.items():
        placed += _below(placed, heading, widgets)
    return {"widgets": placed}


def _top(settings: Settings, alarms: Iterable[str]) -> Iterator[Widget]:
    text = f"# {settings.stack_name}\nWhat each alarm means and what to do: {_link(runbook(settings))}"
    yield _text(text, y=0, height=2)
    arns = [f"${{{title}}}" for title in sorted(alarms, key=lambda title: title != UNHEALTHY)]
    yield {
        "type": "alarm",
        "properties": {"title": "Alarms", "alarms": arns},
        "x": 0,
        "y": 2,
        "width": GRID,
        "height": HEIGHT,
    }


def _link(place: str) -> str:
    return f"[the runbook]({place})" if place.startswith("https://") else f"`{place}`"


def _below(placed: list[Widget], heading: str, widgets: list[Widget]) -> Iterator[Widget]:
    """The section's heading and its widgets in rows, below everything that is placed already."""
    bottom = max(_bottom(widget) for widget in placed)
    yield _text(f"## {heading}", y=bottom, height=HEADING_HEIGHT)
    for place, widget in enumerate(widgets):
        row, column = divmod(place, COLUMNS)
        y = bottom + HEADING_HEIGHT + row * HEIGHT
        yield {**widget, "x": column * WIDTH, "y": y, "width": WIDTH, "height": HEIGHT}


def _bottom(widget: Mapping[str, object]) -> int:
    return int(str(widget["y"])) + int(str(widget["height"]))


def _text(markdown: str, y: int, height: int) -> Widget:
    return {"type": "text", "properties": {"markdown": markdown}, "x": 0, "y": y, "width": GRID, "height": height}


def _graph(title: str, *groups: list[Line]) -> Widget:
    lines = [line for group in groups for line in group]
    properties = {"title": title, "region": "${AWS::Region}", "period": PERIOD_S, "view": "timeSeries"}
    return {"type": "metric", "properties": {**properties, "metrics": lines}}


def _lines(namespace: str, dimensions: Mapping[str, str], /, **statistics: str) -> list[Line]:
    """A line for each metric of `statistics` (`__` stands for the dot in a metric's name)."""
    place = [part for dimension in dimensions.items() for part in dimension]
    return [[namespace, name.replace("__", "."), *place, {"stat": stat}] for name, stat in statistics.items()]


def _query(name: str) -> list[Line]:
    """A line that sums a metric over our topic rules and the types of their actions."""
    found = {"id": name.lower(), "label": name, "period": PERIOD_S}
    return [[{"expression": f"SELECT SUM({name}) {OF_OUR_RULES}", **found}]]


def _devices() -> list[Widget]:
    # IoT counts connections and publishes for the account as a whole
    broker = {"Protocol": "MQTT"}
    rules = [{"RuleName": "${ReadingsRuleName}"}, {"RuleName": "${RawPayloadRuleName}"}]
    return [
        _graph(
            "Connects (whole account)",
            _lines("AWS/IoT", broker, Connect__Success="Sum", Connect__AuthError="Sum", Connect__Throttle="Sum"),
        ),
        _graph(
            "Publishes (whole account)",
            _lines("AWS/IoT", broker, PublishIn__Success="Sum", PublishIn__AuthError="Sum", PublishIn__Throttle="Sum"),
        ),
        _graph(
            "Topic rules: messages matched, throttled",
            *(_lines("AWS/IoT", rule, TopicMatch="Sum", RuleMessageThrottled="Sum") for rule in rules),
        ),
        _graph("Topic rules: actions", _query("Success"), _query("Failure")),
        _graph("Topic rules: error actions", _query("ErrorActionSuccess"), _query("ErrorActionFailure")),
    ]


def _stream() -> list[Widget]:
    dimensions = {"StreamName": "${StreamName}"}
    throttled = {"WriteProvisionedThroughputExceeded": "Sum", "ReadProvisionedThroughputExceeded": "Sum"}
    return [
        _graph("Records", _lines("AWS/Kinesis", dimensions, IncomingRecords="Sum")),
        _graph("Bytes", _lines("AWS/Kinesis", dimensions, IncomingBytes="Sum")),
        _graph("Throttled", _lines("AWS/Kinesis", dimensions, **throttled)),
    ]


def _process_readings() -> list[Widget]:
    dimensions = {"FunctionName": "${ProcessReadingsName}"}
    source = {"EventSourceMappingUUID": "${EventSourceId}"}
    return [
        _graph("Invocations", _lines("AWS/Lambda", dimensions, Invocations="Sum", Errors="Sum", Throttles="Sum")),
        _graph("Duration, ms", _lines("AWS/Lambda", dimensions, Duration="Average")),
        _graph("Concurrency", _lines("AWS/Lambda", dimensions, ConcurrentExecutions="Maximum")),
        _graph("Behind the stream, ms", _lines("AWS/Lambda", dimensions, IteratorAge="Maximum")),
        _graph(
            "Set aside, dropped",
            _lines("AWS/Lambda", source, OnFailureDestinationDeliveredEventCount="Sum", DroppedEventCount="Sum"),
        ),
    ]


def _readings(settings: Settings) -> list[Widget]:
    dimensions = {"service": settings.stack_name}
    kept = {"ReadingsReceived": "Sum", "ReadingsStored": "Sum"}
    not_kept = {"ReadingsDuplicate": "Sum", "ReadingsQuarantined": "Sum"}
    return [
        _graph("Readings", _lines(NAMESPACE, dimensions, **kept, **not_kept)),
        _graph("Late, fields ignored", _lines(NAMESPACE, dimensions, ReadingsLate="Sum", FieldsIgnored="Sum")),
        _graph("Alerts", _lines(NAMESPACE, dimensions, Alerts="Sum")),
    ]


def _hot_table(settings: Settings) -> list[Widget]:
    dimensions = {"TableName": "${ReadingsTableName}"}
    throttled = _lines("AWS/DynamoDB", dimensions, ReadThrottleEvents="Sum", WriteThrottleEvents="Sum")
    if index := settings.hot_table.sensor_type_index:
        of_index = {**dimensions, "GlobalSecondaryIndexName": settings.name(index.name)}
        throttled += _lines("AWS/DynamoDB", of_index, WriteThrottleEvents="Sum")
    return [
        _graph("Read units", _lines("AWS/DynamoDB", dimensions, ConsumedReadCapacityUnits="Sum")),
        _graph("Write units", _lines("AWS/DynamoDB", dimensions, ConsumedWriteCapacityUnits="Sum")),
        _graph("Throttled", throttled),
    ]


def _archive() -> list[Widget]:
    dimensions = {"DeliveryStreamName": "${FirehoseName}"}
    return [
        _graph("Delivered", _lines("AWS/Firehose", dimensions, DeliveryToS3__Success="Average")),
        _graph("Oldest undelivered, s", _lines("AWS/Firehose", dimensions, DeliveryToS3__DataFreshness="Maximum")),
        _graph("Records", _lines("AWS/Firehose", dimensions, DeliveryToS3__Records="Sum")),
    ]


def _compaction(settings: Settings) -> list[Widget]:
    machine = {"StateMachineArn": "${CompactStateMachineArn}"}
    service = {"service": settings.stack_name}
    rows = {"RecordsRead": "Sum", "RowsCommitted": "Sum", "RecordsDuplicate": "Sum", "RecordsQuarantined": "Sum"}
    steps = [{"FunctionName": f"${{{name}}}"} for name in ("PlanCompactionName", "WriteParquetName", "CommitTableName")]
    return [
        _graph("Runs", _lines("AWS/States", machine, **RUNS)),
        _graph("Duration of a run, ms", _lines("AWS/States", machine, ExecutionTime="Maximum")),
        _graph("Steps: errors", *(_lines("AWS/Lambda", step, Errors="Sum", Throttles="Sum") for step in steps)),
        _graph("Backlog: objects", _lines(NAMESPACE, service, BacklogObjects="Maximum")),
        _graph("Backlog: bytes", _lines(NAMESPACE, service, BacklogBytes="Maximum")),
        _graph("Backlog: age, s", _lines(NAMESPACE, service, BacklogAgeSeconds="Maximum")),
        _graph("Records and rows", _lines(NAMESPACE, service, **rows)),
        _graph("Files written", _lines(NAMESPACE, service, FilesWritten="Sum")),
        _graph("Steps: duration, ms", *(_lines("AWS/Lambda", step, Duration="Maximum") for step in steps)),
    ]


def _upkeep(settings: Settings) -> list[Widget]:
    machine = {"StateMachineArn": "${OptimizeStateMachineArn}"}
    service = {"service": settings.stack_name}
    names = (
        "PlanOptimizationName",
        "RewriteParquetName",
        "CommitRewriteName",
        "ExpireSnapshotsName",
        "SweepOrphansName",
    )
    steps = [{"FunctionName": f"${{{name}}}"} for name in names]
    return [
        _graph("Runs", _lines("AWS/States", machine, **RUNS)),
        _graph("Files", _lines(NAMESPACE, service, FilesRewritten="Sum", OrphansDeleted="Sum")),
        _graph("Bytes", _lines(NAMESPACE, service, BytesRewritten="Sum", OrphanBytesDeleted="Sum")),
        _graph("Duplicates left out", _lines(NAMESPACE, service, RowsDeduplicated="Sum")),
        _graph("Snapshots expired", _lines(NAMESPACE, service, SnapshotsExpired="Sum")),
        _graph("Steps: errors", *(_lines("AWS/Lambda", step, Errors="Sum", Throttles="Sum") for step in steps)),
        _graph("Duration of a run, ms", _lines("AWS/States", machine, ExecutionTime="Maximum")),
        _graph("Steps: duration, ms", *(_lines("AWS/Lambda", step, Duration="Maximum") for step in steps)),
    ]


def _reprocessing() -> list[Widget]:
    machine = {"StateMachineArn": "${ReprocessStateMachineArn}"}
    names = (
        "PlanReprocessName",
        "RestoreObjectsName",
        "DecodeObjectsName",
        "PlanMergeName",
        "MergeReadingsName",
        "CommitReprocessName",
        "WriteHotTableName",
        "ReportReprocessName",
        "UndoReprocessName",
    )
    steps = [{"FunctionName": f"${{{name}}}"} for name in names]
    return [
        _graph("Runs", _lines("AWS/States", machine, **RUNS)),
        _graph("Steps: errors", *(_lines("AWS/Lambda", step, Errors="Sum", Throttles="Sum") for step in steps)),
        _graph("Steps: duration, ms", *(_lines("AWS/Lambda", step, Duration="Maximum") for step in steps)),
    ]


def _webhook(settings: Settings) -> list[Widget]:
    service = {"service": settings.stack_name}
    waiting = {"QueueName": "${WebhookFailuresQueueName}"}
    return [
        _graph("Tries", _lines(NAMESPACE, service, WebhooksDelivered="Sum", WebhooksFailed="Sum")),
        _graph("Given up", _lines("AWS/SQS", waiting, ApproximateNumberOfMessagesVisible="Maximum")),
    ]
