"""The dashboard's body: what a person looks at first, each metric with the dimensions without which it is empty.

`${Name}` stands for the monitoring stack's parameter of that name.
"""

from config.settings import Settings
from templates.shared.functions import NAMESPACE

COLUMNS = 3
WIDTH = 24 // COLUMNS  # CloudWatch's grid has 24 columns
HEIGHT = 6
PERIOD_S = 60

Widget = dict[str, object]


def body(settings: Settings) -> dict[str, list[Widget]]:
    """The widgets in rows: the stream, the function, the archive, the table, the readings and the compaction."""
    widgets = [*_stream(), *_function(), *_archive(), *_table(settings), *_readings(settings), *_compaction()]
    for place, widget in enumerate(widgets):
        widget |= {"x": place % COLUMNS * WIDTH, "y": place // COLUMNS * HEIGHT, "width": WIDTH, "height": HEIGHT}
    return {"widgets": widgets}


def _graph(title: str, namespace: str, dimensions: dict[str, str], **statistics: str) -> Widget:
    """A line for each metric of `statistics` (`__` stands for the dot in a metric's name)."""
    place = [part for dimension in dimensions.items() for part in dimension]
    lines = [[namespace, name.replace("__", "."), *place, {"stat": stat}] for name, stat in statistics.items()]
    properties = {"title": title, "region": "${AWS::Region}", "period": PERIOD_S, "view": "timeSeries"}
    return {"type": "metric", "properties": {**properties, "metrics": lines}}


def _stream() -> list[Widget]:
    dimensions = {"StreamName": "${StreamName}"}
    return [
        _graph("Stream: records", "AWS/Kinesis", dimensions, IncomingRecords="Sum"),
        _graph("Stream: bytes", "AWS/Kinesis", dimensions, IncomingBytes="Sum"),
        _graph(
            "Stream: throttled",
            "AWS/Kinesis",
            dimensions,
            WriteProvisionedThroughputExceeded="Sum",
            ReadProvisionedThroughputExceeded="Sum",
        ),
    ]


def _function() -> list[Widget]:
    dimensions = {"FunctionName": "${ProcessReadingsName}"}
    return [
        _graph("process_readings: invocations", "AWS/Lambda", dimensions, Invocations="Sum", Errors="Sum"),
        _graph("process_readings: duration, ms", "AWS/Lambda", dimensions, Duration="Average", IteratorAge="Maximum"),
        _graph("process_readings: concurrency", "AWS/Lambda", dimensions, ConcurrentExecutions="Maximum"),
    ]


def _archive() -> list[Widget]:
    dimensions = {"DeliveryStreamName": "${FirehoseName}"}
    return [
        _graph("Archive: delivered", "AWS/Firehose", dimensions, DeliveryToS3__Success="Average"),
        _graph("Archive: oldest undelivered, s", "AWS/Firehose", dimensions, DeliveryToS3__DataFreshness="Maximum"),
        _graph("Archive: records", "AWS/Firehose", dimensions, DeliveryToS3__Records="Sum"),
    ]


def _table(settings: Settings) -> list[Widget]:
    dimensions = {"TableName": "${ReadingsTableName}"}
    widgets = [
        _graph("Table: read units", "AWS/DynamoDB", dimensions, ConsumedReadCapacityUnits="Sum"),
        _graph("Table: write units", "AWS/DynamoDB", dimensions, ConsumedWriteCapacityUnits="Sum"),
        _graph("Table: throttled", "AWS/DynamoDB", dimensions, ReadThrottleEvents="Sum", WriteThrottleEvents="Sum"),
    ]
    if index := settings.hot_table.sensor_type_index:
        of_index = {**dimensions, "GlobalSecondaryIndexName": settings.name(index.name)}
        throttled = _graph("Index: throttled", "AWS/DynamoDB", of_index, WriteThrottleEvents="Sum")
        return [*widgets, throttled]
    return widgets


def _readings(settings: Settings) -> list[Widget]:
    dimensions = {"service": settings.stack_name}
    return [
        _graph(
            "Readings",
            NAMESPACE,
            dimensions,
            ReadingsReceived="Sum",
            ReadingsStored="Sum",
            ReadingsDuplicate="Sum",
            ReadingsQuarantined="Sum",
        ),
        _graph("Readings: late, fields ignored", NAMESPACE, dimensions, ReadingsLate="Sum", FieldsIgnored="Sum"),
        _graph("Alerts", NAMESPACE, dimensions, Alerts="Sum"),
    ]


def _compaction() -> list[Widget]:
    dimensions = {"StateMachineArn": "${CompactStateMachineArn}"}
    return [
        _graph(
            "Compaction: runs",
            "AWS/States",
            dimensions,
            ExecutionsStarted="Sum",
            ExecutionsSucceeded="Sum",
            ExecutionsFailed="Sum",
        ),
        _graph("Compaction: duration, ms", "AWS/States", dimensions, ExecutionTime="Maximum"),
    ]
