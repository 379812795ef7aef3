"""The typed settings of one environment: the only reader of `config/<environment>.toml`."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from config.alerts import Alerts, Credentials
from config.devices import Devices
from config.fields import MetricName, Model
from config.monitoring import Monitoring
from config.network import Network
from config.sections import (
    Athena,
    Audit,
    Compaction,
    Decoding,
    HotTable,
    Ingest,
    Lake,
    Metric,
    Optimization,
    Realtime,
    Reprocessing,
    Security,
    Tags,
)
from config.storage import AccessLogs, ProcessedBucket, RawBucket

CONFIG_DIR = Path(__file__).parent

OVERRIDES = {
    "ENVIRONMENT_SUFFIX": ("suffix",),
    "AWS_REGION": ("region",),
    "TOPIC_PREFIX": ("ingest", "topic_prefix"),
    "REPOSITORY": ("tags", "repository"),
    "COMMIT_SHA": ("tags", "commit_sha"),
    "COMMIT_AUTHOR": ("tags", "commit_author"),
}
"""Environment variables that replace a setting of the file, for pipelines that deploy one file many times."""


class SettingsError(Exception):
    """A settings file that cannot be used; the message names the file, the field and what is allowed."""


class Settings(Model):
    """Everything that distinguishes one deployable system from another."""

    system: str = Field(pattern=r"^[a-z][a-z0-9-]{1,29}$", description="Name of the system; starts the stack's name.")
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
    network: Network = Field(default_factory=Network, description="Private network.")
    raw_bucket: RawBucket = Field(description="Archive of what devices sent.")
    processed_bucket: ProcessedBucket = Field(description="Iceberg table, quarantine and run manifests.")
    access_logs: AccessLogs = Field(default_factory=AccessLogs, description="S3 access logs.")
    audit: Audit = Field(default_factory=Audit, description="Audit trail.")
    ingest: Ingest = Field(default_factory=Ingest, description="MQTT, stream and archive delivery.")
    devices: Devices = Field(default_factory=Devices, description="Device registry.")
    hot_table: HotTable = Field(default_factory=HotTable, description="Recent readings by key.")
    realtime: Realtime = Field(description="Real-time processing.")
    decoding: Decoding = Field(default_factory=Decoding, description="Decoder limits.")
    metrics: dict[MetricName, Metric] = Field(default_factory=dict, description="Declared metrics by name.")
    alerts: Alerts = Field(default_factory=Alerts, description="Notifications.")
    credentials: Credentials | None = Field(None, description="Signing secret of the webhook; unset means none.")
    lake: Lake = Field(default_factory=Lake, description="Iceberg table.")
    compaction: Compaction = Field(default_factory=Compaction, description="Archive compaction.")
    optimization: Optimization = Field(default_factory=Optimization, description="Upkeep of the table.")
    reprocessing: Reprocessing = Field(default_factory=Reprocessing, description="Reprocessing of the archive.")
    athena: Athena = Field(default_factory=Athena, description="Queries with Athena.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Dashboard and alarms.")
    outputs: dict[str, str] = Field(
        default_factory=dict,
        description="Further outputs of the root stack: name → the output of a nested stack that it repeats.",
    )

    @model_validator(mode="after")
    def _buckets_apart(self) -> "Settings":
        fields = {
            "raw_bucket.name": self.raw_bucket.name,
            "processed_bucket.name": self.processed_bucket.name,
            "access_logs.bucket_name": self.access_logs.bucket_name,
            "audit.bucket_name": self.audit.bucket_name,
        }
        users: dict[str, list[str]] = {}
        for field, template in fields.items():
            users.setdefault(self.name(template), []).append(field)
        for name, shared in users.items():
            if len(shared) > 1:
                raise ValueError(f"{' and '.join(shared)} must differ, and all are '{name}'")
        return self

    @model_validator(mode="after")
    def _webhook_signed(self) -> "Settings":
        if self.alerts.webhook and not self.credentials:
            raise ValueError("alerts.webhook needs the section [credentials]: its secret signs what is delivered")
        return self

    @model_validator(mode="after")
    def _alarms_tell_trouble_from_health(self) -> "Settings":
        limits = self.monitoring
        if limits.function_duration_ms >= self.realtime.function.timeout_s * 1000:
            raise ValueError("monitoring.function_duration_ms must be less than realtime.function.timeout_s allows")
        if limits.firehose_age_s <= self.ingest.firehose_buffer_s:
            raise ValueError("monitoring.firehose_age_s must be more than ingest.firehose_buffer_s")
        if limits.backlog_age_s <= (60 + self.compaction.grace_minutes) * 60:
            raise ValueError("monitoring.backlog_age_s must be more than an hour and compaction.grace_minutes")
        return self

    @model_validator(mode="after")
    def _staged_while_a_run_goes_on(self) -> "Settings":
        if self.processed_bucket.staging_days < self.optimization.orphan_days:
            raise ValueError(
                "processed_bucket.staging_days must be at least optimization.orphan_days: so long a run may go on"
            )
        return self

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


def load(environment: str, overrides: Mapping[str, str] | None = None, config_dir: Path = CONFIG_DIR) -> Settings:
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
    overrides = os.environ if overrides is None else overrides
    _apply(values, overrides)
    try:
        settings = Settings.model_validate(values)
        Settings.model_validate(_filled_in(settings, settings.model_dump()))  # names as AWS will see them
    except ValidationError as error:
        raise SettingsError(_explain(path, error, overrides)) from error
    return settings


def nested_model(annotation: object) -> type[Model] | None:
    """The section behind a field's type, also inside an optional, a tuple or a dictionary; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next(filter(None, map(nested_model, get_args(annotation))), None)


def _filled_in(settings: Settings, value: Any) -> Any:
    """The dumped value with the placeholders of its names filled in."""
    if isinstance(value, dict):
        return {key: _filled_in(settings, inner) for key, inner in value.items()}
    if isinstance(value, str):
        return value.replace("{system}", settings.system).replace("{suffix}", settings.suffix)
    return value


def _apply(values: dict[str, Any], overrides: Mapping[str, str]) -> None:
    for variable, (*sections, field) in OVERRIDES.items():
        if value := overrides.get(variable):
            section = values
            for part in sections:
                section = section.setdefault(part, {})
            if isinstance(section, dict):  # anything else is refused by the validation, with its name
                section[field] = value


def _explain(path: Path, error: ValidationError, overrides: Mapping[str, str]) -> str:
    lines = [f"  {_explain_fault(fault['loc'], fault['msg'], fault['input'], overrides)}" for fault in error.errors()]
    return "\n".join([f"{path} has {error.error_count()} setting(s) that cannot be used:", *lines])


def _explain_fault(location: tuple[int | str, ...], message: str, value: object, overrides: Mapping[str, str]) -> str:
    """One sentence: field, what is wrong, what was given and where from, what the field means or which fields exist."""
    section: type[Model] = Settings
    for part in location[:-1]:
        field = section.model_fields.get(str(part))
        section = (field and nested_model(field.annotation)) or section
    field = section.model_fields.get(str(location[-1])) if location else None
    text = f"{'.'.join(str(part) for part in location) or 'together'}: {message}"
    if isinstance(value, str | int | float):
        text += f", got {value!r}"
    source = next((name for name, at in OVERRIDES.items() if at == location and overrides.get(name)), None)
    if source:
        text += f" from the environment variable {source}"
    if field is None and message.startswith("Extra inputs"):
        return f"{text}; allowed here: {', '.join(sorted(section.model_fields))}"
    return f"{text}. {field.description}" if field is not None else text
