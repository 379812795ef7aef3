"""The typed settings of one environment: the only reader of `config/<environment>.toml`."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

CONFIG_DIR = Path(__file__).parent

OVERRIDES = {
    "ENVIRONMENT_SUFFIX": ("suffix",),
    "AWS_REGION": ("region",),
    "REPOSITORY": ("tags", "repository"),
    "COMMIT_SHA": ("tags", "commit_sha"),
    "COMMIT_AUTHOR": ("tags", "commit_author"),
}
"""Environment variables that replace a setting of the file, for pipelines that deploy one file many times."""

ResourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_{}/-]*$", max_length=128)]
ScheduleExpression = Annotated[str, Field(pattern=r"^(cron|rate)\(.+\)$")]


class SettingsError(Exception):
    """A settings file that cannot be used; the message names the file, the field and what is allowed."""


class Model(BaseModel):
    """What every section has in common: nothing changes after loading, and nothing unknown is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tags(Model):
    """Cost-allocation tags on everything that takes tags."""

    project: str = Field("sensorkeep", description="Value of the tag `Project`.")
    owner: str = Field("platform", description="Value of the tag `Owner`.")
    repository: str = Field("unknown", description="Value of the tag `Repository`.")
    commit_sha: str = Field("unknown", description="Value of the tag `CommitSha`.")
    commit_author: str = Field("unknown", description="Value of the tag `CommitAuthor`.")


class Security(Model):
    """The customer-managed key that encrypts every store."""

    key_alias: ResourceName = Field("{system}-{suffix}", description="Alias of the KMS key, without `alias/`.")
    key_deletion_window_days: int = Field(30, ge=7, le=30, description="Days a scheduled key deletion can be undone.")


class Bucket(Model):
    """One data bucket. The account and the region are appended to its name, because bucket names are global."""

    name: ResourceName = Field(description="Start of the bucket's name.")
    noncurrent_days: int = Field(30, ge=1, description="Days an overwritten or deleted object version is kept.")
    glacier_after_days: int | None = Field(
        None, ge=1, description="Days after which objects move to Glacier Flexible Retrieval; unset means never."
    )


class Ingest(Model):
    """How readings come in: MQTT topic, Kinesis stream, archive delivery."""

    topic_prefix: str = Field(
        "sensors/readings",
        pattern=r"^[^/+#]+/[^/+#]+$",
        description="First two levels of the MQTT topic; a device publishes to `<prefix>/<device>/data`.",
    )
    rule_name: str = Field(
        "readings_rule_{suffix}", pattern=r"^[A-Za-z0-9_{}]+$", description="Name of the IoT topic rule."
    )
    stream_name: ResourceName = Field("readings-{suffix}", description="Name of the Kinesis stream.")
    stream_mode: Literal["provisioned", "on_demand"] = Field("provisioned", description="Capacity mode of the stream.")
    stream_shards: int = Field(1, ge=1, le=500, description="Shards of a provisioned stream (1 MB/s in each).")
    stream_retention_h: int = Field(24, ge=24, le=8760, description="Hours the stream keeps a record.")
    firehose_name: ResourceName = Field("archive-{suffix}", description="Name of the Firehose delivery stream.")
    firehose_buffer_mb: int = Field(5, ge=1, le=128, description="Megabytes Firehose collects before it writes.")
    firehose_buffer_s: int = Field(300, ge=0, le=900, description="Seconds Firehose waits before it writes.")


class SensorTypeIndex(Model):
    """An index of the hot table by sensor type, spread over shards so that one type is not one hot partition."""

    name: ResourceName = Field("SensorTypeIndex", description="Name of the index.")
    shards: int = Field(10, ge=1, le=200, description="Partitions one sensor type is spread over.")


class HotTable(Model):
    """The DynamoDB table of recent readings."""

    name: ResourceName = Field("readings-{suffix}", description="Name of the table.")
    device_key: str = Field("device_id", description="Name of the partition key (a string).")
    time_key: str = Field("timestamp", description="Name of the sort key.")
    time_format: Literal["epoch_seconds", "iso8601"] = Field(
        "epoch_seconds",
        description="Sort key as a number of seconds with ms decimals, or as ISO-8601 text in UTC with ms.",
    )
    retention_days: int = Field(30, ge=1, description="Days after arrival at which a reading leaves the hot table.")
    sensor_type_index: SensorTypeIndex | None = Field(None, description="Index by sensor type; unset means none.")


class Function(Model):
    """Size and limits of one Lambda function."""

    name: ResourceName = Field(description="Name of the function.")
    memory_mb: int = Field(512, ge=128, le=10240, description="Memory; CPU grows with it (1 vCPU at 1,769 MB).")
    timeout_s: int = Field(60, ge=1, le=900, description="Seconds after which an invocation is ended.")


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


class Decoding(Model):
    """What the decoder accepts beside the contract's fixed limits."""

    late_after_h: int = Field(24, ge=1, description="Age at arrival from which a reading is counted as late.")
    future_tolerance_s: int = Field(300, ge=0, description="How far ahead of arrival a timestamp may be.")


class Alerts(Model):
    """Where alerts go."""

    topic_name: ResourceName = Field("alerts-{suffix}", description="Name of the SNS topic.")
    emails: tuple[str, ...] = Field((), description="Addresses that are subscribed to the topic.")


class Lake(Model):
    """The Iceberg table of all readings."""

    database: str = Field(
        "sensorkeep_{suffix}", pattern=r"^[a-z0-9_{}]+$", description="Glue database; it holds the table `readings`."
    )
    partition_by: Literal["day", "hour"] = Field("day", description="Partition of `measured_at`.")


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
    task_mb: int = Field(64, ge=1, le=1024, description="Compressed archive megabytes of one task.")
    concurrency: int = Field(40, ge=1, le=10000, description="Tasks that run at the same time.")
    planner_memory_mb: int = Field(1024, ge=128, le=10240, description="Memory of `plan_compaction`.")
    worker_memory_mb: int = Field(3008, ge=128, le=10240, description="Memory of `write_parquet`.")
    committer_memory_mb: int = Field(1024, ge=128, le=10240, description="Memory of `commit_table`.")


class Monitoring(Model):
    """Dashboard and alarms."""

    dashboard_name: ResourceName = Field("{system}-{suffix}", description="Name of the CloudWatch dashboard.")
    throttled_records: int = Field(100, ge=0, description="Alarm: throttled stream writes in each of 2 × 300 s.")
    function_errors: int = Field(10, ge=0, description="Alarm: failed invocations in 300 s.")
    function_duration_ms: int = Field(50000, ge=1, description="Alarm: average duration in 300 s.")


class Settings(Model):
    """Everything that distinguishes one deployable system from another."""

    system: str = Field(pattern=r"^[a-z][a-z0-9-]{1,40}$", description="Name of the system; starts the stack's name.")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="AWS region to deploy to.")
    suffix: str = Field(
        "dev", pattern=r"^[a-z0-9]{1,12}$", description="Tells deployments of one system in one account apart."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Log level of the functions.")
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653] = (
        Field(365, description="Days CloudWatch keeps the logs.")
    )
    tracing: bool = Field(True, description="X-Ray tracing of functions and state machines.")
    tags: Tags = Field(default_factory=Tags, description="Cost-allocation tags.")
    security: Security = Field(default_factory=Security, description="Encryption.")
    raw_bucket: Bucket = Field(description="Archive of what devices sent.")
    processed_bucket: Bucket = Field(description="Iceberg table, quarantine and run manifests.")
    ingest: Ingest = Field(default_factory=Ingest, description="MQTT, stream and archive delivery.")
    hot_table: HotTable = Field(default_factory=HotTable, description="Recent readings by key.")
    realtime: Realtime = Field(description="Real-time processing.")
    decoding: Decoding = Field(default_factory=Decoding, description="Decoder limits.")
    metrics: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")], Metric] = Field(
        default_factory=dict, description="Declared metrics by name."
    )
    alerts: Alerts = Field(default_factory=Alerts, description="Notifications.")
    lake: Lake = Field(default_factory=Lake, description="Iceberg table.")
    compaction: Compaction = Field(default_factory=Compaction, description="Archive compaction.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Dashboard and alarms.")
    outputs: dict[str, str] = Field(
        default_factory=dict,
        description="Further outputs of the root stack: name → the output of a nested stack that it repeats.",
    )

    def name(self, template: str) -> str:
        """A resource's name: the settings' text with `{system}` and `{suffix}` filled in."""
        return template.format(system=self.system, suffix=self.suffix)

    @property
    def stack_name(self) -> str:
        """Name of the root stack."""
        return f"{self.system}-{self.suffix}"


def environments(config_dir: Path = CONFIG_DIR) -> list[str]:
    """Names of the environments that have a settings file."""
    return sorted(path.stem for path in config_dir.glob("*.toml"))


def load(
    environment: str, overrides: Mapping[str, str] | None = None, config_dir: Path = CONFIG_DIR
) -> Settings:
    """Read the settings of one environment.

    `overrides` holds environment variables, by default the process's own; those of `OVERRIDES` that are set and not
    empty replace the file's values. Raises SettingsError, naming file, field and what is allowed.
    """
    path = config_dir / f"{environment}.toml"
    if environment not in environments(config_dir):
        known = ", ".join(environments(config_dir))
        raise SettingsError(f"Unknown environment '{environment}'. Known: {known}. Add {path} to make a new one.")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    _apply(values, os.environ if overrides is None else overrides)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(path, error)) from error


def _apply(values: dict[str, Any], overrides: Mapping[str, str]) -> None:
    for variable, field in OVERRIDES.items():
        if value := overrides.get(variable):
            section = values
            for part in field[:-1]:
                section = section.setdefault(part, {})
            section[field[-1]] = value


def _explain(path: Path, error: ValidationError) -> str:
    lines = [f"  {'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return "\n".join([f"{path} has {error.error_count()} setting(s) that cannot be used:", *lines])
