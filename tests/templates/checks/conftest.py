"""The systems that the checks look at, and the tools that they need."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tests.templates.checks.systems import System, systems

RULE_PACKS = Path(sys.prefix, "rulepacks")
"""Where tox installs requirements-rulepacks.lock, beside the environment of the tests."""

MISSING = [name for name in ("guardpycfn", "parliament", "statelint") if importlib.util.find_spec(name) is None]
if not RULE_PACKS.is_dir():
    MISSING.append("rulepacks")
if MISSING and "TOX_ENV_NAME" in os.environ:
    raise RuntimeError(f"{MISSING} should be installed by tox.ini")
collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_report_header() -> list[str]:
    return [f"tests/templates/checks left out without {MISSING}: `tox run -e templates` has them"] if MISSING else []


@pytest.fixture(scope="session")
def checked() -> dict[str, System]:
    return systems()


@pytest.fixture(scope="session")
def rule_packs() -> Path:
    return RULE_PACKS
