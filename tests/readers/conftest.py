"""The packages that the tests of readers need beside the repository's own."""

import importlib.util
import os

NEEDED = ("chdb", "datafusion", "polars", "pyiceberg_core")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if MISSING and "TOX_ENV_NAME" in os.environ:
    raise RuntimeError(f"{MISSING} should be installed by tox.ini")
collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_report_header() -> list[str]:
    return [f"tests/readers left out without {MISSING}: `tox run -e readers` has them"] if MISSING else []
