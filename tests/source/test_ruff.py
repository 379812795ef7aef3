"""Rules of security and of errors are on, and where a line is left out of one it says why."""

import re
import tomllib

import pytest

from local.process import ROOT

REQUIRED = {"S", "B", "BLE", "DTZ", "TRY", "LOG", "G"}
SILENCED = re.compile(r"#\s*noqa: (?P<rules>[A-Z]+\d+(?:, ?[A-Z]+\d+)*)(?P<reason>.*)")
FOLDERS = ("bench", "config", "lambdas", "local", "ops", "templates", "tests")


def unexplained(line: str) -> bool:
    """Whether the line is left out of one of these rules and does not say why."""
    silenced = SILENCED.search(line)
    if silenced is None:
        return False
    families = {re.sub(r"\d", "", rule.strip()) for rule in silenced["rules"].split(",")}
    return bool(families & REQUIRED) and not silenced["reason"].startswith(" - ")


def test_the_rules_are_selected_and_exceptions_that_except_nothing_are_found() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]

    assert set(lint["select"]) >= REQUIRED | {"RUF"}  # RUF100 finds a `noqa` that is not needed
    assert {rule for rule in lint["ignore"] if rule.startswith(tuple(REQUIRED))} == {"S603", "S607", "TRY003"}


def test_every_line_that_is_left_out_says_why() -> None:
    files = [ROOT / "build.py", *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
    lines = [(path, line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]

    assert [(path.name, line.strip()) for path, line in lines if unexplained(line)] == []


@pytest.mark.parametrize(
    ("comment", "expected"),
    [("S310", True), ("S310  (ours)", True), ("N803, BLE001", True), ("S310 - our own server", False), ("N803", False)],
)
def test_a_line_without_a_reason_is_found(comment: str, expected: bool) -> None:
    assert unexplained(f"call()  # {'noqa'}: {comment}") is expected
