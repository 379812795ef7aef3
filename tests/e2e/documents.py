"""The documents' commands: read from their shell blocks, and typed into a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
README = ROOT / "README.md"
QUERYING = ROOT / "docs" / "querying.md"
REPROCESSING = ROOT / "docs" / "reprocessing.md"
NEWCOMER = ("Try it", "Look around", "Reprocess", "Stop")
"""Sections of the README that a newcomer follows on a laptop, one after the other."""
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(document: Path, heading: str = "") -> list[str]:
    """The lines of a document's shell blocks, of the section under `heading`, of any level, when it is given."""
    text = document.read_text(encoding="utf-8")
    if heading:
        before, _, text = text.partition(f"# {heading}\n")
        level = len(before) - len(before.rstrip("#")) + 1
        text = re.split(rf"^#{{2,{level}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]
    return [line for block in SHELL_BLOCK.findall(text) for line in block.splitlines() if line.strip()]


REDRIVE = commands(RUNBOOK, "Redrive a compaction")
"""MiniStack cannot redrive: the AWS CLI checks the request and does not send it."""
OF_THE_WEBHOOK = [*commands(RUNBOOK, "alerts-undelivered"), *commands(RUNBOOK, "rotation-failed")]
"""Runbook lines that only a system with a webhook has a use for."""


def operator_of(stack: str, aws_cli: Path) -> dict[str, str]:
    """The variables of somebody who operates a stack of the embedded AWS from this checkout; the folder of `aws`."""
    return dict(os.environ) | {
        "STACK": stack,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'lambdas'}",
        "PATH": os.pathsep.join([str(aws_cli), str(Path(sys.prefix) / "bin"), os.environ["PATH"]]),
    }


def type_in(folder: Path, lines: list[str], variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run lines in one shell, as a person types them; it stops at the first that fails."""
    return subprocess.run(
        ["bash", "-exo", "pipefail", "-c", "\n".join(lines)],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
