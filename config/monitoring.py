"""The section `[monitoring]` of an environment's settings."""

from pydantic import Field

from config.fields import Model, ResourceName


class Monitoring(Model):
    """Dashboard and alarms. An alarm looks at 300 s at a time, unless its setting says otherwise."""

    dashboard_name: ResourceName = Field("{system}-{suffix}", description="Name of the CloudWatch dashboard.")
    throttled_records: int = Field(100, ge=0, description="Alarm above so many throttled stream writes, twice running.")
    function_errors: int = Field(10, ge=0, description="Alarm above so many failed invocations of `process_readings`.")
    function_duration_ms: int = Field(50000, ge=1, description="Alarm above this average duration of an invocation.")
    iterator_age_ms: int = Field(
        600000, ge=1, description="Alarm when `process_readings` is further behind the stream than this, twice running."
    )
    firehose_age_s: int = Field(
        1800, ge=1, description="Alarm when the oldest record that Firehose has not delivered is older than this."
    )
    quarantined_percent: float = Field(5.0, ge=0, le=100, description="Alarm above this share of rejected readings.")
    throttled_items: int = Field(
        100,
        ge=0,
        description="Alarm above so many throttled writes to the hot table, or to its index, twice running.",
    )
    step_errors: int = Field(
        2,
        ge=0,
        description="Alarm above so many failed invocations of one step of the compaction; two are tried again.",
    )
    compaction_overdue_h: int = Field(
        3,
        ge=1,
        le=168,
        description="Alarm when no compaction has ended well for so many hours. Set more than lie between two starts of"
        " `compaction.schedule`.",
    )
    backlog_age_s: int = Field(
        14400,
        ge=3600,
        description="Alarm when a compaction finds a closed hour that began longer ago than this and is not in the"
        " table.",
    )
