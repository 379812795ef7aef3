"""The options of a reprocessing, and the execution's input that they stand for."""

import argparse
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from ops import asking
from ops.errors import OpsError

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def asked(line: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    asking.add_arguments(parser)
    return asking.input_of(parser.parse_args(shlex.split(line)))


def test_the_shortest_command_is_a_dry_run_of_all_devices_until_now() -> None:
    assert asking.completed(asked("--from 2026-11-21"), NOW) == {
        "from": "2026-11-21",
        "to": "2026-11-21T12:30:00Z",
        "source": "archive",
        "targets": ["table", "hot"],
        "mode": "dry_run",
        "note": "dry run",
    }


def test_nothing_is_applied_without_a_note_of_its_own() -> None:
    assert "note" not in asking.completed(asked("--from 2026-11-21 --apply"), NOW)


def test_every_option_has_its_place_in_the_input() -> None:
    line = (
        "--from 2026-03-01 --to 2026-04-01 --devices 'pump-1, press-*' --source quarantine "
        "--reasons bad_metric,no_metrics --apply --targets table --note 'limit raised' "
        "--allow-fewer --alerts send --max-rate 50 --restore-tier Bulk --restore-days 3"
    )

    assert asking.completed(asked(line), NOW) == {
        "from": "2026-03-01",
        "to": "2026-04-01",
        "devices": ["pump-1", "press-*"],
        "source": "quarantine",
        "reasons": ["bad_metric", "no_metrics"],
        "mode": "apply",
        "targets": ["table"],
        "note": "limit raised",
        "allow_fewer": True,
        "alerts": "send",
        "max_rate": 50,
        "restore": {"tier": "Bulk", "days": 3},
    }


def test_failed_tasks_are_their_own_source() -> None:
    assert "source" not in asking.completed(asked("--from 2026-03-01 --failed-tasks-of scheduled-1"), NOW)


@pytest.mark.parametrize(
    "line",
    [
        "--from 2026-03-01 --to 2026-04-01",
        "--from 2026-03-01 --to 2026-04-01 --devices pump-1,'press-*' --targets hot --max-rate 9 --apply --note 'it'",
        "--from 2026-03-01 --to 2026-04-01 --source quarantine --reasons not_json --alerts send --apply --note x",
        "--from 2026-03-01 --to 2026-04-01 --failed-tasks-of run-1 --restore-tier Bulk --restore-days 2 --fresh",
    ],
)
def test_the_options_of_an_input_ask_for_the_same_again(line: str) -> None:
    run_input = asking.completed(asked(line), NOW)

    again = asked(shlex.join(asking.options_of(run_input)))

    assert asking.completed(again, NOW) == run_input
    assert len(shlex.join(asking.options_of(run_input))) <= len(line)


def test_the_options_of_a_single_device_and_of_an_undo() -> None:
    assert asking.options_of({"devices": "pump-1"}) == ["--devices", "pump-1"]
    assert asking.options_of({"undo": "run-1", "note": "too early"}) == ["--undo", "run-1", "--note", "too early"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("max_rate: 0 is out of bounds.", "--max-rate: 0 is out of bounds."),
        ("restore.days: 0 is out of bounds.", "--restore-days: 0 is out of bounds."),
        ("rules.heat[0]: it needs a limit.", "--backtest: rules.heat[0]: it needs a limit."),
        ("from: missing: write one.", "--from: missing: write one."),
    ],
)
def test_what_is_wrong_with_a_field_is_said_of_its_option(message: str, said: str) -> None:
    assert asking.as_option(message) == said


def test_thresholds_come_from_a_file_of_some_metrics_in_toml_or_json(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text('[[metrics.heat.thresholds]]\nabove = 90\n[metrics.noise]\nunit = "dB"\n')
    (tmp_path / "rules.json").write_text(json.dumps({"metrics": {"heat": {"thresholds": [{"above": 90}]}}}))

    for name in ("rules.toml", "rules.json"):
        run_input = asking.completed(asked(f"--from 2026-03-01 --backtest {tmp_path / name}"), NOW)
        assert (run_input["mode"], run_input["rules"]) == ("backtest", {"heat": [{"above": 90}]})
        assert "targets" not in run_input


def test_the_settings_file_of_an_environment_is_such_a_file() -> None:
    rules = asking.rules_of(Path("config/local.toml"))

    assert rules.keys() == {name for name, metric in load("local", {}).metrics.items() if metric.thresholds}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rules.toml", "above 90", "rules.toml is not TOML: "),
        ("rules.json", "above 90", "rules.json is not JSON: "),
        ("rules.json", "[]", "has no metrics with thresholds"),
        ("rules.toml", "metrics = 3", "has no metrics with thresholds"),
        ("rules.toml", "[heat]", "has no metrics with thresholds"),
        ("rules.toml", "[[metrics.heat.threshold]]\nabove = 90", "has no metrics with thresholds"),
    ],
)
def test_a_file_without_thresholds_is_refused_in_a_sentence(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(OpsError, match=f"--backtest: .*{message}"):
        asking.rules_of(tmp_path / name)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(OpsError, match=r"--backtest: missing\.toml cannot be read: No such file"):
        asking.rules_of(Path("missing.toml"))
