"""The input of a reprocessing: checked field by field, completed from the settings. An error says field and reason."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast, get_args

from compaction.errors import InvalidInput, shown
from compaction.hours import moment_of
from reprocessing import fields
from reprocessing.fields import Given
from reprocessing.request import Mode, Request, Scope, Target, Tier, is_glob
from sensors.decode import is_device_id
from sensors.reading import MAX_METRIC_NAME_CHARS, RESERVED_NAMES, Reason
from sensors.settings import Reprocessing, Threshold

FIELDS: Final = (
    *("from", "to", "devices", "source", "reasons", "failed_tasks_of", "targets", "mode", "rules", "alerts"),
    *("max_rate", "allow_fewer", "fresh", "restore", "note", "by"),
)
MAX_DEVICES: Final = 1_000  # more are better said by a glob; a request is part of every manifest that tells of it
MAX_NOTE_CHARS: Final = 1_000
MAX_NAME_CHARS: Final = 256
MAX_RATE: Final = 100_000  # beyond what a table takes by default: 40,000 writes a second
MAX_RESTORE_DAYS: Final = 365
MAX_RULES: Final = 100
SEVERITIES: Final = ("info", "warning", "critical")

_MS: Final = timedelta(milliseconds=1)
_WHY: Final = f"why the run is made, in 1 to {MAX_NOTE_CHARS:,} characters: the ledger keeps it"
_GLOB: Final = re.compile(r"(?=.{1,256}\Z)(?:[A-Za-z0-9._:*?-]|\[!?[A-Za-z0-9._:-]+\])+")
_RUN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,80}")  # what an execution may be called, but for rare marks


def parse(run_input: object, settings: Reprocessing) -> Request:
    """The request that an execution's input is. Raises InvalidInput, as `field: reason. What to write.`"""
    given = fields.known("", run_input, FIELDS)
    mode: Mode = _word(given, "mode", get_args(Mode))
    failed_tasks_of = fields.optional(given, "failed_tasks_of", run_id)
    source = _source(given, failed_tasks_of)
    targets = _targets(given, mode)
    tier, days = _restore(given, settings)
    return Request(
        scope=_scope(given),
        source=source,
        targets=targets,
        mode=mode,
        max_rate=_max_rate(given, targets, settings),
        restore_tier=tier,
        restore_days=days,
        note=fields.text("note", fields.needed(given, "note", _WHY), MAX_NOTE_CHARS),
        reasons=_reasons(given, source),
        failed_tasks_of=failed_tasks_of,
        rules=_rules(given, mode),
        alerts=_alerts(given, mode),
        allow_fewer=fields.optional(given, "allow_fewer", fields.flag) or False,
        fresh=fields.optional(given, "fresh", fields.flag) or False,
        by=fields.optional(given, "by", lambda field, value: fields.text(field, value, MAX_NAME_CHARS)),
    )


def _scope(given: Given) -> Scope:
    moments = [
        moment_of(field, fields.needed(given, field, "a time like 2026-03-01T00:00:00Z")) for field in ("from", "to")
    ]
    start, end = (-((datetime.fromtimestamp(0, UTC) - moment) // _MS) for moment in moments)  # the next millisecond
    if start >= end:
        raise InvalidInput(
            f"from: {moments[0].isoformat()} is not before 'to', {moments[1].isoformat()}. The range has its "
            "beginning, and not its end: write a later 'to'."
        )
    return Scope(start, end, fields.optional(given, "devices", _devices) or ())


def _devices(field: str, value: object) -> tuple[str, ...]:
    listed = fields.items(field, [value] if isinstance(value, str) else value, "a device, a glob or a list of both")
    if len(listed) > MAX_DEVICES:
        raise InvalidInput(f"{field}: {len(listed)} entries, {MAX_DEVICES} at most. Write globs like 'pump-*'.")
    for device in listed:
        if not isinstance(device, str) or not (_GLOB.fullmatch(device) if is_glob(device) else is_device_id(device)):
            raise InvalidInput(
                f"{field}: {shown(device)} can be no device. Write names of A-Z a-z 0-9 . _ : - with *, ? or [...] "
                "for characters that differ."
            )
    return tuple(sorted(set(listed)))


def _word(given: Given, field: str, words: Sequence[Any]) -> Any:
    return fields.word(field, fields.needed(given, field, f"one of {', '.join(words)}"), words)


def _source(given: Given, failed_tasks_of: str | None) -> Any:
    if failed_tasks_of is None:
        return _word(given, "source", ("archive", "quarantine"))
    if given.get("source", "archive") != "archive":
        raise InvalidInput("source: 'failed_tasks_of' says which objects of the archive. Leave one of the two out.")
    return "archive"


def _reasons(given: Given, source: str) -> tuple[str, ...]:
    if "reasons" not in given:
        return ()
    if source != "quarantine":
        raise InvalidInput("reasons: only records of the quarantine have one. Leave it out, or ask for 'quarantine'.")
    return fields.words("reasons", given["reasons"], tuple(reason.value for reason in Reason))


def _targets(given: Given, mode: Mode) -> tuple[Target, ...]:
    if "targets" not in given and mode == "backtest":
        return ("table",)
    value = fields.needed(given, "targets", "a list of 'table' and 'hot'")
    return fields.words("targets", value, cast("tuple[Target, ...]", get_args(Target)))


def _max_rate(given: Given, targets: Sequence[Target], settings: Reprocessing) -> int:
    if "max_rate" not in given:
        return settings.max_rate
    if "hot" not in targets:
        raise InvalidInput("max_rate: it caps writes to the hot table. Leave it out, or add 'hot' to 'targets'.")
    return fields.number("max_rate", given["max_rate"], MAX_RATE)


def _restore(given: Given, settings: Reprocessing) -> tuple[Tier, int]:
    restore = fields.known("restore", given.get("restore", {}), ("tier", "days"))
    tier, days = settings.restore_tier, settings.restore_days
    if "tier" in restore:
        tier = fields.word("restore.tier", restore["tier"], cast("tuple[Tier, ...]", get_args(Tier)))
    if "days" in restore:
        days = fields.number("restore.days", restore["days"], MAX_RESTORE_DAYS)
    return tier, days


def _alerts(given: Given, mode: Mode) -> Any:
    alerts = fields.word("alerts", given.get("alerts", "suppress"), ("suppress", "send"))
    if alerts == "send" and mode != "apply":
        raise InvalidInput(
            "alerts: 'send' goes with mode 'apply' only. Leave it out: the report has the alarms anyway."
        )
    return alerts


def _rules(given: Given, mode: Mode) -> dict[str, tuple[Threshold, ...]] | None:
    example = '{"temperature": [{"severity": "warning", "above": 80}]}'
    if mode != "backtest":
        if "rules" in given:
            raise InvalidInput("rules: only a back-test tries rules. Leave them out, or ask for mode 'backtest'.")
        return None
    value = fields.needed(given, "rules", f"the thresholds to try, like {example}")
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_RULES:
        raise InvalidInput(f"rules: not an object of 1 to {MAX_RULES} metrics. Write thresholds by metric: {example}.")
    return {_metric(name): _thresholds(name, listed) for name, listed in sorted(value.items())}


def _metric(name: str) -> str:
    if not 0 < len(name) <= MAX_METRIC_NAME_CHARS or name in RESERVED_NAMES or not fields.is_unicode(name):
        raise InvalidInput(f"rules: {shown(name)} can be no metric. Write the name of one that devices send.")
    return name


def _thresholds(metric: str, value: object) -> tuple[Threshold, ...]:
    field = f"rules.{metric}"
    what = "thresholds, each with 'severity' and one of 'above' and 'below', or [] for none"
    if not isinstance(value, list) or len(value) > MAX_RULES:
        raise InvalidInput(f"{field}: not a list of at most {MAX_RULES}. Write a list of {what}.")
    thresholds = []
    for number, item in enumerate(value):
        place = f"{field}[{number}]"
        limits = fields.known(place, item, ("severity", "above", "below"))
        if ("above" in limits) == ("below" in limits):
            raise InvalidInput(f"{place}: it needs exactly one of 'above' and 'below'. Write {what}.")
        severity = fields.word(f"{place}.severity", limits.get("severity", SEVERITIES[-1]), SEVERITIES)
        bounds = {name: fields.limit(f"{place}.{name}", limits[name]) for name in ("above", "below") if name in limits}
        thresholds.append(Threshold(severity, **bounds))
    return tuple(thresholds)


def run_id(field: str, value: object) -> str:
    """The name of a run. Raises InvalidInput."""
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise InvalidInput(
            f"{field}: {shown(value)} is no run. Write the name of an execution of compact or reprocess."
        )
    return value
