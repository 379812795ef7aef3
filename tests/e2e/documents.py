"""The documents' commands: read from their shell blocks, and typed into a shell."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
README = ROOT / "README.md"
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(document: Path, heading: str = "") -> list[str]:
    """The lines of a document's shell blocks, of the section under `heading` when it is given."""
    text = document.read_text(encoding="utf-8")
    if heading:
        text = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for block in SHELL_BLOCK.findall(text) for line in block.splitlines() if line.strip()]


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
