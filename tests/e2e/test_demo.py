"""The demo as a person runs it, in a copy of the repository, and what the README says to type."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local import process
from tests.e2e.checkout import FILES, ROWS, environment
from tests.e2e.documents import NEWCOMER, README, commands, type_in

pytestmark = pytest.mark.e2e


def demo(root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "local", "demo"], cwd=root, env=environment(root), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.parametrize("stage", ["Starting the embedded AWS", "Security", "Waiting until every message"])
def test_an_interrupted_demo_ends_at_once_and_leaves_no_report(checkout: Path, stage: str) -> None:
    running = demo(checkout)
    assert running.stdout is not None
    seen = next(line for line in running.stdout if stage in line)

    running.send_signal(signal.SIGINT)

    printed = seen + running.stdout.read()
    assert running.wait() == 130, printed
    assert not (checkout / "build" / "demo" / "report.json").exists()


def test_after_interruptions_the_readme_leads_to_a_demo_that_accounts_for_every_message(checkout: Path) -> None:
    lines = [line for heading in NEWCOMER for line in commands(README, heading)]
    lines.remove("make test")
    ended = type_in(checkout, lines, environment(checkout))

    assert ended.returncode == 0, ended.stdout[-6000:]
    assert "nothing was lost" in ended.stdout
    assert process.running(checkout / ".local") is None
    report = json.loads((checkout / "build" / "demo" / "report.json").read_text())
    assert report["published"] == FILES * ROWS + 200 + 200 + 60
    assert report["archived"] == report["published"]
    assert report["stored"] == report["table_rows"] == FILES * ROWS + 60
    assert (report["duplicate"], report["quarantined"]) == (200, 200)
    assert sum(report["quarantined_by_reason"].values()) == 200
    assert report["alerts"] > 0
