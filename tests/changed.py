"""Settings other than an environment's own, checked as if a file had held them."""

from collections.abc import Mapping
from typing import Any

from config.settings import Settings, load


def changed(settings: Settings, **sections: object) -> Settings:
    """The settings with some fields changed: a mapping changes fields of its section, None takes a field away.

    `changed(settings, audit={"enabled": False})`. Raises pydantic's ValidationError as loading a file would.
    """
    return Settings.model_validate(_merged(settings.model_dump(exclude_unset=True), sections))


def _merged(value: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(value)
    for field, change in changes.items():
        if isinstance(change, Mapping):
            merged[field] = _merged(merged.get(field) or {}, change)
        elif change is None:
            merged.pop(field, None)
        else:
            merged[field] = change
    return merged


def with_all_channels(settings: Settings) -> Settings:
    """The settings with every way of hearing of an alert."""
    return changed(
        settings,
        credentials={},
        alerts={
            "emails": ["ada@example.com"],
            "sms": ["+4915112345678"],
            "queue": {},
            "webhook": {"url": "https://alerts.example.com/sensorkeep?plant=1"},
        },
    )


def everything_on() -> Settings:
    """A system that has whatever settings can switch on."""
    return changed(
        with_all_channels(load("manufacturing", {})),
        audit={"data_events": "all"},
        devices={"rule_log_level": "INFO"},
        network={"enabled": True, "gateway_prefix_lists": ["pl-0000000a", "pl-0000000b"]},
        raw_bucket={"expire_after_days": 3650},
        processed_bucket={
            "transitions": [{"after_days": 30, "storage_class": "STANDARD_IA"}],
            "quarantine_days": 365,
            "set_aside_days": 365,
        },
        hot_table={"sensor_type_index": {"name": "SensorTypeIndex"}},
        realtime={"function": {"reserved_concurrency": 5}},
        compaction={"bloom_filter": True, "lookback_days": 7},
    )
