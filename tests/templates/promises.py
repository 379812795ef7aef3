"""The lines of docs/reference-systems.md, and the tests that say they cover one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference-systems.md"


class Line(NamedTuple):
    """One row of the page: which system promises it, its name, its resources (`stack.LogicalId`) and its tests."""

    system: str
    name: str
    resources: list[str]
    tests: list[str]


def lines(text: str) -> list[Line]:
    """Every row of every table of the page."""
    found = []
    for section in text.split("\n## ")[1:]:
        system, _, body = section.partition("\n")
        for row in re.findall(r"^\| (?!line |--)(.+) \|$", body, re.MULTILINE):
            name, _, resources, tests = row.split(" | ")
            found.append(Line(system, name, _quoted(resources), _quoted(tests)))
    return found


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def marked(folder: Path) -> Iterator[tuple[str, str, str]]:
    """System, line and `file::function` of every mark `promise` below the folder, found without importing anything."""
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef):
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.promise":
                        system, line = (ast.literal_eval(argument) for argument in decorator.args)
                        yield system, line, f"{path.relative_to(folder)}::{node.name}"
