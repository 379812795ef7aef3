"""The demo as a person runs it, in a copy of the repository, so that nothing of this one is touched."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import process

pytestmark = pytest.mark.e2e

NOT_COPIED = shutil.ignore_patterns(".*", "build", "__pycache__", "tests")
FILES, ROWS = 2, 300


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the repository with a little recorded data beside it."""
    root = tmp_path_factory.mktemp("demo") / "repository"
    shutil.copytree(process.ROOT, root, ignore=NOT_COPIED)
    recorded = root.parent / "data" / "skab" / "valve1"
    recorded.mkdir(parents=True)
    for file in range(FILES):
        rows = (f"2020-03-09 10:{row // 60:02}:{row % 60:02};{row / 10};{70 + file}" for row in range(ROWS))
        (recorded / f"{file}.csv").write_text("\n".join(["datetime;Pressure;Temperature", *rows]), encoding="utf-8")
    yield root
    subprocess.run([*python(), "-m", "local", "down"], cwd=root, check=False, env=environment(root))


def python() -> list[str]:
    return [sys.executable, "-u"]


def environment(root: Path) -> dict[str, str]:
    named = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ENVIRONMENT_SUFFIX"))}
    return named | {"SENSORKEEP_DATA": str(root.parent / "data"), "PYTHONPATH": str(root), "COLUMNS": "120"}


def demo(root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*python(), "-m", "local", "demo"], cwd=root, env=environment(root), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.parametrize("stage", ["Starting the embedded AWS", "Security", "Waiting until every message"])
def test_an_interrupted_demo_ends_at_once_and_leaves_no_report(copy: Path, stage: str) -> None:
    running = demo(copy)
    assert running.stdout is not None
    seen = next(line for line in running.stdout if stage in line)

    running.send_signal(signal.SIGINT)

    printed = seen + running.stdout.read()
    assert running.wait() == 130, printed
    assert not (copy / "build" / "demo" / "report.json").exists()


def test_after_interruptions_the_demo_accounts_for_every_message_and_stays_up(copy: Path) -> None:
    running = demo(copy)
    printed, _ = running.communicate()

    assert running.returncode == 0, printed
    report = json.loads((copy / "build" / "demo" / "report.json").read_text())
    assert report["published"] == FILES * ROWS + 200 + 200 + 60
    assert report["archived"] == report["published"]
    assert report["stored"] == report["table_rows"] == FILES * ROWS + 60
    assert (report["duplicate"], report["quarantined"]) == (200, 200)
    assert sum(report["quarantined_by_reason"].values()) == 200
    assert report["alerts"] > 0
    assert "nothing was lost" in printed
    status = subprocess.run(
        [*python(), "-m", "local", "status", "--json"],
        cwd=copy, env=environment(copy), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(status.stdout)["running"]
