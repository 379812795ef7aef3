"""Kinds of values that several sections of the settings share, with the limits AWS or the contract sets on them."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

RESERVED_NAMES = frozenset(
    {
        "device_id",
        "equipment_type",
        "expires_at",
        "facility",
        "location",
        "metrics",
        "payload_b64",
        "processed_at",
        "received_at",
        "reprocessed_by",
        "sensor_id",
        "sensor_type",
        "sensor_type_shard",
        "timestamp",
        "topic_device_id",
    }
)
"""Top-level fields of a payload and attributes of a stored reading that already mean something: no metric's name."""

TABLE_COLUMNS = frozenset({"measured_at", "other_metrics", "source_object"})
"""Columns of the Iceberg table beside those of reserved names."""


class Model(BaseModel):
    """What every section has in common: nothing changes after loading, and nothing unknown is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _known_placeholders(value: str) -> str:
    try:
        value.format(system="", suffix="")
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError("only the placeholders {system} and {suffix} are filled in") from error
    return value


def _not_reserved(value: str) -> str:
    taken = RESERVED_NAMES | TABLE_COLUMNS
    if value in taken:
        raise ValueError(f"'{value}' is reserved; no metric may be called {', '.join(sorted(taken))}")
    return value


def _not_zero(value: float) -> float:
    if value == 0:
        raise ValueError("a scale of 0 would make one value of all")
    return value


Placeholders = AfterValidator(_known_placeholders)

# Patterns and lengths are AWS's; they hold before and after the placeholders are filled in. Four characters of a rule's
# name are left for the ending of the second rule.
_NAME = r"^[A-Za-z0-9{][A-Za-z0-9_{}-]*$"

ResourceName = Annotated[str, Field(pattern=_NAME, max_length=128), Placeholders]
FirehoseName = Annotated[str, Field(pattern=_NAME, max_length=64), Placeholders]
FunctionName = Annotated[str, Field(pattern=_NAME, max_length=64), Placeholders]
QueueName = Annotated[str, Field(pattern=_NAME, max_length=80), Placeholders]
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9{][A-Za-z0-9_{}/+=.@-]*$", max_length=512), Placeholders]
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9{][a-z0-9{}-]*$", max_length=63), Placeholders]
TopicPrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_{}-]+/[A-Za-z0-9_{}-]+$", max_length=128), Placeholders]
RuleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_{}]+$", max_length=124), Placeholders]
TrailName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9{}]+([_-][A-Za-z0-9{}]+)*$", min_length=3, max_length=128), Placeholders
]
DatabaseName = Annotated[str, Field(pattern=r"^[a-z0-9_{}]+$", max_length=255), Placeholders]

TemplateName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_{}-]+$", max_length=64), Placeholders]
LogGroupName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_{}/.#-]+$", max_length=512), Placeholders]


TagValue = Annotated[str, Field(pattern=r"^[\p{L}\p{Z}\p{N}_.:/=+@-]+$", max_length=256)]
"""What every tagged service accepts; IAM and SNS refuse brackets, and with them the whole deployment."""

ThingAttribute = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,127}$")]
"""Name of an attribute of a thing in the device registry."""

MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$"), AfterValidator(_not_reserved)]
"""Name of a metric: a column of the Iceberg table and an attribute of the hot table."""

Scale = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_not_zero)]
"""What values are multiplied with."""

ScheduleExpression = Annotated[str, Field(pattern=r"^(cron|rate)\(.+\)$")]

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]

MemoryMb = Annotated[int, Field(ge=128, le=10240)]
"""Memory of a Lambda function; CPU grows with it (1 vCPU at 1,769 MB)."""
