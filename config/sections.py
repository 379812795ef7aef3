"""The sections of an environment's settings. Units stand in the names; each field says what it sets."""

from typing import Literal

from pydantic import Field, model_validator

from config.fields import (
    BucketName,
    DatabaseName,
    FirehoseName,
    FunctionName,
    MemoryMb,
    Model,
    ResourceName,
    RuleName,
    Scale,
    ScheduleExpression,
    TagValue,
    TopicPrefix,
    TrailName,
)


class Tags(Model):
    """Cost-allocation tags on everything that takes tags."""

    project: TagValue = Field("sensorkeep", description="Value of the tag `Project`.")
    owner: TagValue = Field("platform", description="Value of the tag `Owner`.")
    repository: TagValue = Field("unknown", description="Value of the tag `Repository`.")
    commit_sha: TagValue = Field("unknown", description="Value of the tag `CommitSha`.")
    commit_author: TagValue = Field("unknown", description="Value of the tag `CommitAuthor`.")


class Security(Model):
    """The customer-managed key that encrypts every store."""

    key_alias: ResourceName = Field("{system}-{suffix}", description="Alias of the KMS key, without `alias/`.")
    key_deletion_window_days: int = Field(30, ge=7, le=30, description="Days a scheduled key deletion can be undone.")


class Audit(Model):
    """The record of who did what in the account: a CloudTrail trail, its bucket, its log group and its insights."""

    enabled: bool = Field(False, description="Whether there is a trail. An account has at most five in a region.")
    trail_name: TrailName = Field("{system}-audit-{suffix}", description="Name of the trail.")
    bucket_name: BucketName = Field("{system}-trail-{suffix}", description="Start of the name of the trail's bucket.")
    multi_region: bool = Field(
        True,
        description="Record every region, not only this one. IAM, STS and CloudFront report to us-east-1: a trail of"
        " another region alone does not see them.",
    )
    data_events: Literal["none", "write", "all"] = Field(
        "none",
        description="Which requests for objects of the raw and the processed bucket are recorded, each at a cost; those"
        " for the trail's own bucket and the access logs never are.",
    )
    retention_days: int = Field(365, ge=1, description="Days the trail's bucket keeps what the trail wrote.")
    noncurrent_days: int = Field(30, ge=1, description="Days an overwritten or deleted object version is kept there.")


class Ingest(Model):
    """How readings come in: MQTT topic, Kinesis stream, archive delivery."""

    topic_prefix: TopicPrefix = Field(
        "sensors/{system}-{suffix}",
        description="First two levels of the MQTT topic; a device publishes to `<prefix>/<device>/data`. Topics belong"
        " to the account and region: two environments there need two prefixes, or each gets what both are sent.",
    )
    rule_name: RuleName = Field("readings_rule_{suffix}", description="Name of the IoT topic rule.")
    stream_name: ResourceName = Field("readings-{suffix}", description="Name of the Kinesis stream.")
    stream_mode: Literal["provisioned", "on_demand"] = Field("provisioned", description="Capacity mode of the stream.")
    stream_shards: int = Field(1, ge=1, le=500, description="Shards of a provisioned stream (1 MB/s in each).")
    stream_retention_h: int = Field(24, ge=24, le=8760, description="Hours the stream keeps a record.")
    firehose_name: FirehoseName = Field("archive-{suffix}", description="Name of the Firehose delivery stream.")
    firehose_buffer_mb: int = Field(5, ge=1, le=128, description="Megabytes Firehose collects before it writes.")
    firehose_buffer_s: int = Field(300, ge=0, le=900, description="Seconds Firehose waits before it writes.")


class SensorTypeIndex(Model):
    """An index of the hot table by sensor type, spread over shards so that one type is not one hot partition."""

    name: ResourceName = Field("SensorTypeIndex", description="Name of the index.")
    shards: int = Field(10, ge=1, le=200, description="Partitions one sensor type is spread over.")


class HotTable(Model):
    """The DynamoDB table of recent readings."""

    name: ResourceName = Field("readings-{suffix}", description="Name of the table.")
    device_key: Literal["device_id", "sensor_id"] = Field("device_id", description="Name of the partition key.")
    time_format: Literal["epoch_seconds", "iso8601"] = Field(
        "epoch_seconds",
        description="Sort key `timestamp` as a number of seconds with ms decimals, or as ISO-8601 text in UTC with ms.",
    )
    retention_days: int = Field(30, ge=1, description="Days after arrival at which a reading leaves the hot table.")
    deletion_protection: bool = Field(
        True, description="Refuse to delete the table. A first deployment that fails then has to be cleared by hand."
    )
    sensor_type_index: SensorTypeIndex | None = Field(None, description="Index by sensor type; unset means none.")


class Function(Model):
    """Size and limits of one Lambda function."""

    name: FunctionName = Field(description="Name of the function.")
    memory_mb: MemoryMb = Field(512, description="Memory; CPU grows with it (1 vCPU at 1,769 MB).")
    timeout_s: int = Field(60, ge=1, le=900, description="Seconds after which an invocation is ended.")
    reserved_concurrency: int | None = Field(
        None,
        ge=0,
        description="Executions kept for this function; unset shares the account's (small quotas refuse it).",
    )


class EventSource(Model):
    """How Lambda reads the stream."""

    batch_size: int = Field(500, ge=1, le=10000, description="Most records of one invocation.")
    window_s: int = Field(5, ge=0, le=300, description="Seconds Lambda may wait to fill a batch.")
    parallelization: int = Field(1, ge=1, le=10, description="Concurrent batches of one shard.")
    retries: int = Field(3, ge=0, le=10000, description="Attempts after the first before a batch is set aside.")
    record_age_s: int = Field(86400, ge=60, le=604800, description="Age at which a failing record is set aside.")


class Realtime(Model):
    """The function that decodes and stores readings as they arrive."""

    function: Function = Field(description="The function.")
    event_source: EventSource = Field(default_factory=EventSource, description="Its event source mapping.")


class Threshold(Model):
    """One limit of a metric; a reading beyond it raises an alert."""

    severity: Literal["info", "warning", "critical"] = Field("critical", description="Severity of the alert.")
    above: float | None = Field(None, description="Alert when the value is greater than this.")
    below: float | None = Field(None, description="Alert when the value is less than this.")

    @model_validator(mode="after")
    def _has_one_limit(self) -> "Threshold":
        if (self.above is None) == (self.below is None):
            raise ValueError("give exactly one of 'above' and 'below'")
        return self


class Metric(Model):
    """A metric that gets a column of its own in the Iceberg table, and may have rules."""

    unit: str = Field(description="Unit of the values, for people.")
    thresholds: tuple[Threshold, ...] = Field((), description="Limits that raise alerts.")
    scale: Scale = Field(
        1.0,
        description="Calibration: what a device sends, times this, plus `offset`, is what is stored, in the unit, and"
        " what thresholds are compared with. Readings that are stored already change by a reprocessing.",
    )
    offset: float = Field(0.0, allow_inf_nan=False, description="What is added to the scaled value.")


class Decoding(Model):
    """What the decoder accepts beside the contract's fixed limits."""

    late_after_h: int = Field(
        24, ge=1, le=8760, description="Age at arrival from which a reading is counted as late; a year at most."
    )
    future_tolerance_s: int = Field(
        300, ge=0, le=86400, description="How far ahead of arrival a timestamp may be; a day at most."
    )


class Lake(Model):
    """The Iceberg table of all readings."""

    database: DatabaseName = Field("sensorkeep_{suffix}", description="Glue database; it holds the table `readings`.")
    partition_by: Literal["day", "hour"] = Field(
        "day",
        description="Partition of `measured_at`. `hour` for thousands of readings a second ([why](scale.md)).",
    )


class Compaction(Model):
    """The batch side: archive objects to Parquet in the Iceberg table."""

    schedule: ScheduleExpression = Field(
        "cron(20 * * * ? *)",
        description="When it starts, in UTC. Twenty past: Firehose may hold a record for 15 minutes.",
    )
    enabled: bool = Field(True, description="Whether the schedule is active; a person can always start a run.")
    grace_minutes: int = Field(
        16, ge=0, description="Minutes after its end for which an arrival hour stays open, for what Firehose holds."
    )
    lookback_days: int | None = Field(
        None,
        ge=2,
        description="Days of settled arrival hours that a scheduled run lists again, for objects that came late"
        " (Firehose delivers for up to a day). Unset lists the whole archive: $0.005 and two minutes a million, and"
        " beyond seven million planning runs out of time. 7 for thousands of readings a second.",
    )
    task_mb: int = Field(
        64,
        ge=1,
        le=1024,
        description="Compressed archive megabytes of one task. 256 for thousands of readings a second, with"
        " `worker_disk_mb` 4096 ([why](scale.md)).",
    )
    concurrency: int = Field(40, ge=1, le=10000, description="Tasks that run at the same time.")
    planner_memory_mb: MemoryMb = Field(1024, description="Memory of `plan_compaction`.")
    worker_memory_mb: MemoryMb = Field(
        1769,
        description="Memory of `write_parquet`. It needs 512; 1769 comes with one whole processor, all that it uses.",
    )
    worker_disk_mb: int = Field(
        2048,
        ge=512,
        le=10240,
        description="Disk of `write_parquet`, where rows are sorted: about the size of a task's JSON, uncompressed.",
    )
    file_mb: int = Field(128, ge=1, le=1024, description="Megabytes at which a Parquet file is complete.")
    bloom_filter: bool = Field(
        False, description="Whether files have a Bloom filter on `device_id`, 16 KB a row group."
    )
    committer_memory_mb: MemoryMb = Field(1024, description="Memory of `commit_table`.")


class Optimization(Model):
    """The table's upkeep: files rewritten, old snapshots expired, orphans swept. Sizes are those of `compaction`."""

    schedule: ScheduleExpression = Field("cron(50 3 * * ? *)", description="When it starts, in UTC: once a day.")
    enabled: bool = Field(True, description="Whether the schedule is active; a person can always start a run.")
    concurrency: int = Field(20, ge=1, le=10000, description="Tasks that run at the same time.")
    keep_snapshots: int = Field(10, ge=1, description="Snapshots that are kept, however old they are.")
    keep_days: int = Field(7, ge=1, description="Days a snapshot is kept, for readers and for going back to it.")
    orphan_days: int = Field(
        16,
        ge=2,
        description="Days after which a file of the table that no snapshot names is deleted. A run can be redriven for"
        " 14 days; one that was planned more than `orphan_days` less one ago is not committed any more.",
    )


class Reprocessing(Model):
    """Archived readings once more through today's rules, by hand. Sizes of tasks and functions are `compaction`'s."""

    concurrency: int = Field(40, ge=1, le=10000, description="Tasks that decode or merge at the same time.")
    hot_writers: int = Field(
        4,
        ge=1,
        le=100,
        description="Tasks that write to the hot table at the same time, each some hundred items a second at most.",
    )
    max_rate: int = Field(
        500,
        ge=1,
        description="Items a second that a run writes to the hot table, unless its input says otherwise.",
    )
    restore_tier: Literal["Expedited", "Standard", "Bulk"] = Field(
        "Standard",
        description="How fast frozen objects are restored, unless the input says otherwise: `Expedited` minutes (not"
        " from Deep Archive), `Standard` 3 to 5 hours (12), `Bulk` 5 to 12 hours (48).",
    )
    restore_days: int = Field(7, ge=1, le=365, description="Days for which a restored copy is kept.")


class Athena(Model):
    """The workgroup in which people query the table."""

    scan_limit_gb: int = Field(
        100, ge=1, le=7_000_000, description="Gigabytes after which a query is ended; Athena bills $5 a terabyte."
    )
    results_days: int = Field(
        30, ge=1, description="Days the answers of queries are kept below `athena/` of the processed bucket."
    )
