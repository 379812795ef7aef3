"""No secret in any file that git knows."""

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from local.process import ROOT
from tests.source.allowances import SECRETS

DIGITS = 8
"""Of the SHA-1 of what was found."""

SILENCED = "detect_secrets.filters.allowlist.is_line_allowlisted"
"""Comments that would hide a finding are not heard: reasons stand in one list."""

Found = tuple[str, str, str]


def findings(folder: Path, *options: str) -> set[Found]:
    """File, kind and start of the hash of each finding in what git tracks of the folder."""
    command = [sys.executable, "-m", "detect_secrets", "--cores", "2", "scan", "--no-verify"]
    command += ["--disable-filter", SILENCED, *options]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    results = json.loads(result.stdout)["results"]
    return {(name, item["type"], item["hashed_secret"][:DIGITS]) for name, items in results.items() for item in items}


def matches(found: Found, pattern: Found) -> bool:
    return all(fnmatchcase(part, allowed) for part, allowed in zip(found, pattern, strict=True))


def test_no_file_holds_a_secret_but_those_made_up() -> None:
    found = findings(ROOT)
    explained = {(each, pattern) for each in found for pattern in SECRETS if matches(each, pattern)}

    assert sorted(found - {each for each, _ in explained}) == []
    assert sorted(set(SECRETS) - {pattern for _, pattern in explained}) == []


def test_a_secret_is_found_even_when_a_comment_would_hide_it(tmp_path: Path) -> None:
    key = "AKIA" + "Z7QHD5VTKB3MWXYP"
    (tmp_path / "leak.py").write_text(f'ACCESS_KEY = "{key}"  # pragma: allowlist secret\n', encoding="utf-8")

    assert {name for name, *_ in findings(tmp_path, "--all-files")} == {"leak.py"}
