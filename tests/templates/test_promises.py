"""docs/reference-systems.md, the templates and the tests say the same of both reference systems."""

import configparser

import pytest

from tests.templates.promises import PAGE, ROOT, Line, lines, marked
from tests.templates.walking import all_stacks

SYSTEMS = ("iot-processing", "manufacturing")
LINES = lines(PAGE.read_text(encoding="utf-8"))


def faults(found: list[Line], marks: set[tuple[str, str, str]]) -> list[str]:
    """A sentence for each line and each mark that the other side does not know."""
    written = {(line.system, line.name, test) for line in found for test in line.tests}
    return [
        *(f"{line.system}, {line.name}: no test" for line in found if not line.tests),
        *(f"{system}, {name}: {test} does not exist or is not marked" for system, name, test in written - marks),
        *(f"{test} is marked for {system}, {name}, but is not on the page" for system, name, test in marks - written),
    ]


def test_every_line_has_its_tests_and_every_mark_its_line() -> None:
    assert faults(LINES, set(marked(ROOT / "tests"))) == []


@pytest.mark.parametrize(
    ("page", "marks", "fault"),
    [
        ("| a |  |  |  |", set(), "s, a: no test"),
        ("| a |  |  | `f.py::t` |", set(), "s, a: f.py::t does not exist"),
        ("| a |  |  | `f.py::t` |", {("s", "a", "f.py::t"), ("s", "b", "f.py::t")}, "f.py::t is marked for s, b"),
    ],
)
def test_a_difference_would_be_told(page: str, marks: set[tuple[str, str, str]], fault: str) -> None:
    assert any(sentence.startswith(fault) for sentence in faults(lines(f"# Title\n\n## s\n\n{page}\n"), marks))


@pytest.mark.promise("both", "checks")
def test_tox_runs_lint_and_every_kind_of_test() -> None:
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")

    assert tox["tox"]["env_list"] == "lint, templates, py, readers, e2e"


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_resource_on_the_page_is_in_the_templates(system: str) -> None:
    known = {
        f"{stack.name}.{title}"
        for stack in all_stacks()
        if stack.environment == system
        for title in stack.body["Resources"]
    }
    named = {resource for line in LINES if line.system in (system, "both") for resource in line.resources}

    assert named
    assert named <= known
