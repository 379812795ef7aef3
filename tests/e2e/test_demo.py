"""The demo as a person runs it, in a copy of the repository."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.checkout import FILES, ROWS, environment

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


def test_after_interruptions_the_demo_accounts_for_every_message_and_stays_up(checkout: Path) -> None:
    running = demo(checkout)
    printed, _ = running.communicate()

    assert running.returncode == 0, printed
    report = json.loads((checkout / "build" / "demo" / "report.json").read_text())
    assert report["published"] == FILES * ROWS + 200 + 200 + 60
    assert report["archived"] == report["published"]
    assert report["stored"] == report["table_rows"] == FILES * ROWS + 60
    assert (report["duplicate"], report["quarantined"]) == (200, 200)
    assert sum(report["quarantined_by_reason"].values()) == 200
    assert report["alerts"] > 0
    assert "nothing was lost" in printed
    status = subprocess.run(
        [sys.executable, "-m", "local", "status", "--json"],
        cwd=checkout, env=environment(checkout), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(status.stdout)["running"]
