"""What `python -m ops reprocess` is asked for: its options, and the input that they stand for, both ways."""

import argparse
import json
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.errors import OpsError

_LISTS = ("devices", "reasons", "targets")
_FLAGS = ("allow_fewer", "fresh")
_WORDS = ("source", "failed_tasks_of", "alerts", "max_rate")
_NOTES = {"dry_run": "dry run", "backtest": "back-test"}
"""What the ledger says of a run that changes nothing, and whose reason nobody has given."""
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "source": (None, "archive"),
    "targets": (None, ["table", "hot"]),
    "alerts": (None, "suppress"),
}
"""What need not be said."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which readings, what is done with them, and how."""
    which = parser.add_argument_group("which readings")
    which.add_argument(
        "--from",
        dest="start",
        metavar="ISO",
        help="the first time of measurement, 2026-03-01T09:00Z; a new run needs it",
    )
    which.add_argument("--to", dest="end", metavar="ISO", help="the end, not included; without it, now")
    which.add_argument("--devices", metavar="LIST", help="names and globs: pump-1,'press-*'; without it all devices")
    which.add_argument("--source", metavar="SOURCE", help="archive (as without it), or quarantine: what was rejected")
    which.add_argument("--reasons", metavar="LIST", help="of the quarantine, what was rejected for these: bad_metric,…")
    which.add_argument("--failed-tasks-of", metavar="RUN_ID", help="the objects of the tasks that failed in that run")
    _add_modes(parser)
    how = parser.add_argument_group("how")
    how.add_argument("--targets", metavar="LIST", help="table,hot (as without it), or one of them")
    how.add_argument("--note", metavar="TEXT", help="why; the ledger keeps it. Needed with --apply, may go with --undo")
    how.add_argument("--allow-fewer", action="store_true", help="publish although readings vanish")
    how.add_argument("--fresh", action="store_true", help="begin anew, although an unfinished run could be carried on")
    how.add_argument(
        "--alerts",
        metavar="WHAT",
        help="with --apply: suppress (as without it), or send alerts of the alarms that are new",
    )
    how.add_argument("--max-rate", type=int, metavar="N", help="items a second written to the hot table, at most")
    how.add_argument("--restore-tier", metavar="TIER", help="of frozen objects: Expedited, Standard or Bulk")
    how.add_argument("--restore-days", type=int, metavar="N", help="days that their copies stay")


def _add_modes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is done; without one of these, a dry run")
    modes = group.add_mutually_exclusive_group()
    modes.add_argument(
        "--dry-run", dest="mode", action="store_const", const="dry_run", help="report what would change, change nothing"
    )
    modes.add_argument("--apply", dest="mode", action="store_const", const="apply", help="do it")
    modes.add_argument(
        "--backtest",
        metavar="FILE",
        help="report the alarms that other thresholds would have raised, change nothing; the thresholds are those of a "
        "settings file (TOML or JSON), or of one that has nothing but some of its metrics",
    )


def input_of(given: argparse.Namespace) -> dict[str, Any]:
    """The execution's input as far as the options say it; empty without options.

    Raises OpsError when the file of a back-test cannot be read.
    """
    found = {"from": given.start, "to": given.end, "mode": given.mode, "note": given.note}
    found |= {name: getattr(given, name) for name in _WORDS}
    found |= {name: _split(getattr(given, name)) for name in _LISTS}
    if given.backtest is not None:
        found |= {"mode": "backtest", "rules": rules_of(Path(given.backtest))}
    restore = {"tier": given.restore_tier, "days": given.restore_days}
    found["restore"] = _without_none(restore) or None
    found |= {name: getattr(given, name) or None for name in _FLAGS}
    return _without_none(found)


def completed(run_input: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The input with what is meant where an option is left out: until now, both targets, a dry run."""
    mode = run_input.get("mode", "dry_run")
    defaults: dict[str, Any] = {"to": f"{now:%Y-%m-%dT%H:%M:%SZ}", "mode": mode}
    if mode in _NOTES:
        defaults["note"] = _NOTES[mode]
    if mode != "backtest":
        defaults["targets"] = ["table", "hot"]
    if "failed_tasks_of" not in run_input:
        defaults["source"] = "archive"
    return {**defaults, **run_input}


def options_of(run_input: Mapping[str, Any]) -> list[str]:
    """The options that ask for the same as an execution's input; a file of thresholds is called `RULES.toml`."""
    if "undo" in run_input:
        return ["--undo", str(run_input["undo"]), *_note(run_input)]
    restore = run_input.get("restore") or {}
    flat = {**run_input, **{f"restore_{name}": value for name, value in restore.items()}}
    names = ("from", "to", *_LISTS, *_WORDS, "restore_tier", "restore_days")
    said = [name for name in names if flat.get(name) not in _DEFAULTS.get(name, (None,))]
    options = [word for name in said for word in _typed(name, flat)]
    modes = {"apply": ["--apply"], "backtest": ["--backtest", "RULES.toml"]}
    options += modes.get(run_input.get("mode", ""), [])
    options += [_option(name) for name in _FLAGS if run_input.get(name)]
    return [*options, *_note(run_input)]


def as_option(message: str) -> str:
    """A sentence about a field of the input, about the option that gives it: `--max-rate: …`."""
    if message.startswith("rules"):
        return f"--backtest: {message}"
    field, colon, reason = message.partition(":")
    return f"{_option(field)}{colon}{reason}"


def rules_of(file: Path) -> dict[str, Any]:
    """Thresholds by metric, of a settings file, or of one that has nothing but some of its metrics. Raises OpsError."""
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise OpsError(f"--backtest: {file} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # of both JSON and TOML, and of bytes that are no text
        raise OpsError(f"--backtest: {file} is not {'JSON' if file.suffix == '.json' else 'TOML'}: {error}.") from None
    try:
        metrics = found["metrics"].items()
        rules = {str(name): metric["thresholds"] for name, metric in metrics if "thresholds" in metric}
    except (AttributeError, KeyError, TypeError):
        rules = {}
    if not rules:
        raise OpsError(
            f"--backtest: {file} has no metrics with thresholds. Write them as in the settings: "
            "[[metrics.temperature.thresholds]], and below it severity and above or below."
        )
    return rules


def _split(text: str | None) -> list[str] | None:
    """The words of a list; no device, reason or target has a comma in its name."""
    return None if text is None else [word.strip() for word in text.split(",")]


def _without_none(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}


def _option(field: str) -> str:
    return "--" + field.replace("_", "-").replace(".", "-")


def _typed(name: str, found: Mapping[str, Any]) -> list[str]:
    value = found[name]
    return [_option(name), ",".join(value) if isinstance(value, list) else str(value)]


def _note(run_input: Mapping[str, Any]) -> list[str]:
    note = run_input.get("note")
    return ["--note", str(note)] if note and note not in _NOTES.values() else []
