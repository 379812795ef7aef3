"""Alerts: one SNS message for every rule that a device broke in a batch."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from sensors.reading import Reading
from sensors.rules import Rule, broken
from sensors.times import iso_ms

PUBLISH_BATCH: Final = 10  # SNS's limit
ATTEMPTS: Final = 3
ALERT_ID_CHARS: Final = 32  # 128 bits of the hash


class Alert(msgspec.Struct, frozen=True):
    """The message. `threshold` holds `above` or `below`; times are ISO-8601; `value` is the most extreme.

    `alert_id` is the same when a batch is delivered again, so that a receiver can drop what it has seen.
    """

    alert_id: str
    system: str
    device_id: str
    metric: str
    unit: str
    severity: str
    threshold: dict[str, float]
    count: int
    first_at: str
    last_at: str
    value: float


class AlertsError(Exception):
    """Alerts that SNS did not take, after every attempt."""


def alerts(system: str, readings: Iterable[Reading], rules: Sequence[Rule]) -> list[Alert]:
    """The alerts of a batch, in the order in which their rules were first broken."""
    breaches: defaultdict[tuple[str, Rule], list[Reading]] = defaultdict(list)
    for reading in readings:
        for rule in broken(reading, rules):
            breaches[reading.device_id, rule].append(reading)
    return [_alert(system, device_id, rule, held) for (device_id, rule), held in breaches.items()]


def publish(sns: Any, topic_arn: str, messages: Sequence[Alert]) -> None:
    """Publish alerts with the attributes that filter policies select by. Raises AlertsError, or what boto3 raises."""
    for start in range(0, len(messages), PUBLISH_BATCH):
        entries = [_entry(str(at), alert) for at, alert in enumerate(messages[start : start + PUBLISH_BATCH])]
        for _ in range(ATTEMPTS):
            answer = sns.publish_batch(TopicArn=topic_arn, PublishBatchRequestEntries=entries)
            failed = {fault["Id"]: fault for fault in answer.get("Failed", [])}
            entries = [entry for entry in entries if entry["Id"] in failed]
            if not entries:
                break
        else:
            raise AlertsError(f"SNS did not take {len(entries)} alerts: {list(failed.values())}")


def alert_id(
    system: str, device_id: str, metric: str, severity: str, threshold: dict[str, float], first_at: str
) -> str:
    """What an alert has that was first seen at this time, whoever sends it, and however often."""
    identity = msgspec.json.encode([system, device_id, metric, severity, threshold, first_at])
    return hashlib.sha256(identity).hexdigest()[:ALERT_ID_CHARS]


def _alert(system: str, device_id: str, rule: Rule, readings: Sequence[Reading]) -> Alert:
    first_at = iso_ms(min(reading.measured_at_ms for reading in readings))
    limits = {"above": rule.threshold.above, "below": rule.threshold.below}
    threshold = {side: limit for side, limit in limits.items() if limit is not None}
    return Alert(
        alert_id=alert_id(system, device_id, rule.metric, rule.threshold.severity, threshold, first_at),
        system=system,
        device_id=device_id,
        metric=rule.metric,
        unit=rule.unit,
        severity=rule.threshold.severity,
        threshold=threshold,
        count=len(readings),
        first_at=first_at,
        last_at=iso_ms(max(reading.measured_at_ms for reading in readings)),
        value=rule.worst(reading.metrics[rule.metric] for reading in readings),
    )


def _entry(entry_id: str, alert: Alert) -> dict[str, Any]:
    attributes = {"device_id": alert.device_id, "metric": alert.metric, "severity": alert.severity}
    return {
        "Id": entry_id,
        "Message": msgspec.json.encode(alert).decode(),
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    }
