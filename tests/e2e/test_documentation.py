"""Every command of the documents is run as it is written, or stands in a list that says what runs it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from local import process

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RUN_ELSEWHERE = {
    "make test": "runs this test",
    "make lint": "the environment `lint`, which make test runs",
    ".venv/bin/tox run -e py -- -k decoder": "the environment `py`, which make test runs whole",
}


def commands(document: Path, heading: str = "") -> list[str]:
    """The lines of a document's shell blocks, of the section under `heading` when it is given."""
    text = document.read_text(encoding="utf-8")
    if heading:
        text = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for block in SHELL_BLOCK.findall(text) for line in block.splitlines() if line.strip()]


TRIED = [
    *commands(ROOT / "README.md", "Try it"),
    *commands(ROOT / "README.md", "Look around"),
]
DEPLOYED = commands(ROOT / "README.md", "Deploy to AWS")


def test_every_documented_command_is_run_by_a_test() -> None:
    documented = [line for document in DOCUMENTS for line in commands(document)]

    assert len(documented) > 5
    assert set(documented) == {*TRIED, *DEPLOYED, *RUN_ELSEWHERE}


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the working tree as a newcomer has it, with the environment that runs the tests as its `.venv`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    copy = tmp_path / "sensorkeep"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    environment = Path(sys.prefix)
    (environment / "ready").touch()
    (copy / ".venv").symlink_to(environment)
    (copy / "build").mkdir()
    if (ROOT / "build" / ".cache").is_dir():  # the packages of the zips, which other tests have installed
        (copy / "build" / ".cache").symlink_to(ROOT / "build" / ".cache")
    yield copy
    process.stop(copy / ".local")


@pytest.mark.e2e
def test_the_readme_leads_from_a_checkout_to_a_demo_and_around_it(checkout: Path) -> None:
    ended = type_in(checkout, [line for line in TRIED if line not in RUN_ELSEWHERE], newcomer())

    assert ended.returncode == 0, ended.stdout[-6000:]
    assert "nothing was lost" in ended.stdout
    assert process.running(checkout / ".local") is None


@pytest.mark.e2e
@pytest.mark.usefixtures("emulator")
def test_the_documented_build_uploads_and_prints_the_deploy_command(checkout: Path) -> None:
    region = os.environ["AWS_REGION"]
    boto3.client("s3").create_bucket(Bucket="my-artifacts", CreateBucketConfiguration={"LocationConstraint": region})

    built = type_in(checkout, DEPLOYED, dict(os.environ))

    assert built.returncode == 0, built.stdout[-6000:]
    assert built.stdout.rstrip().splitlines()[-1].startswith("aws cloudformation deploy ")


def newcomer() -> dict[str, str]:
    """The environment without anything that points at another AWS."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name not in {"ENVIRONMENT_SUFFIX", "PYTHONPATH"}
    } | {"SENSORKEEP_DATA": os.environ.get("SENSORKEEP_DATA", str(ROOT.parent / "shared" / "data"))}


def type_in(folder: Path, lines: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run lines in one shell, as a person types them; it stops at the first that fails."""
    environment["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-exo", "pipefail", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
