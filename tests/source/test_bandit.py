"""What bandit says about what we ship and run; ruff's rules of the same origin look at the tests, too."""

import json
import subprocess
import sys
from pathlib import Path

from local.process import ROOT
from tests.source.allowances import BANDIT, BANDIT_ANYWHERE

OURS = ("bench", "build.py", "config", "lambdas", "local", "ops", "templates")

Found = tuple[str, str]


def findings(*paths: str) -> set[Found]:
    """File and test of each finding. Comments that silence bandit are not heard: reasons stand in one list."""
    command = [sys.executable, "-m", "bandit", "--quiet", "--ignore-nosec", "--exit-zero", "--format", "json"]
    result = subprocess.run(
        [*command, "--recursive", *paths], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    answer = json.loads(result.stdout)
    assert answer["errors"] == []
    return {(str(Path(item["filename"])), item["test_id"]) for item in answer["results"]}


def test_bandit_finds_what_is_allowed_with_a_reason_and_nothing_else() -> None:
    found = findings(*OURS)

    assert {item for item in found if item[1] not in BANDIT_ANYWHERE} == set(BANDIT)
    assert {test for _, test in found} >= set(BANDIT_ANYWHERE)


def test_bandit_finds_a_shell_even_when_a_comment_would_silence_it(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import subprocess\n\nsubprocess.run(command, shell=True)  # nosec\n", encoding="utf-8")

    assert (str(bad), "B602") in findings(str(bad))
