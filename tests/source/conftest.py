"""The tools that these checks run: `tox run -e lint` has them, other environments may not."""

import importlib.util
import os

MISSING = [name for name in ("bandit", "detect_secrets") if importlib.util.find_spec(name) is None]
if MISSING and "TOX_ENV_NAME" in os.environ:
    raise RuntimeError(f"{MISSING} should be installed by tox.ini")
collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_report_header() -> list[str]:
    return [f"tests/source left out without {MISSING}: `tox run -e lint` has them"] if MISSING else []
