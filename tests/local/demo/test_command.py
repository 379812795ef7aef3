"""The command around the demo: its answer, its report, and what it says when something fails."""

import dataclasses
import json
from pathlib import Path

import pytest

from local import demo
from local.__main__ import main
from local.demo.accounts import Accounts
from local.demo.settling import UnsettledError
from tests.local.demo.test_accounts import BALANCED


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(demo.process, "ROOT", tmp_path)
    monkeypatch.setattr(demo, "REPORT", tmp_path / "build" / "demo" / "report.json")
    return tmp_path / "build" / "demo" / "report.json"


def end_with(monkeypatch: pytest.MonkeyPatch, outcome: Accounts | BaseException) -> None:
    def run(_: demo.Demo, __: Path) -> Accounts:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(demo.Demo, "run", run)


def test_balanced_books_end_with_0_a_report_and_every_figure(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end_with(monkeypatch, BALANCED)

    assert main(["demo"]) == 0
    assert json.loads(report.read_text()) == BALANCED.as_dict()
    printed = capsys.readouterr().out
    assert "100 published = 90 stored + 6 duplicate + 4 quarantined" in " ".join(printed.split())
    assert "make down" in printed


def test_books_that_do_not_balance_end_with_1_and_the_fault_by_name(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end_with(monkeypatch, dataclasses.replace(BALANCED, stored=89))

    assert main(["demo"]) == 1
    assert "published 100 ≠ stored 89" in " ".join(capsys.readouterr().out.split())
    assert json.loads(report.read_text())["faults"]


def test_a_stage_that_fails_ends_with_1_its_sentence_and_no_report_of_an_earlier_run(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    end_with(monkeypatch, UnsettledError("archived: 12 of 100 are missing"))

    assert main(["demo"]) == 1
    assert "archived: 12 of 100 are missing" in capsys.readouterr().err
    assert not report.exists()


def test_an_interrupted_demo_says_how_to_go_on(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end_with(monkeypatch, KeyboardInterrupt())

    assert main(["demo"]) == 130
    assert "make demo" in capsys.readouterr().err
