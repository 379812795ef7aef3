"""What the steps of a run know of each other: a step is a package, and what steps share is beside the packages."""

import pytest

from templates.shared.layers import LAMBDAS
from templates.shared.modules import reachable

PACKAGE = LAMBDAS / "reprocessing"
STEPS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def steps_behind(folder: str) -> set[str]:
    """The steps that the modules of a folder of the package reach."""
    modules = [".".join(path.relative_to(LAMBDAS).with_suffix("").parts) for path in (PACKAGE / folder).glob("*.py")]
    assert modules
    files = {
        path.relative_to(PACKAGE) for name in modules for path in reachable(LAMBDAS, name) if PACKAGE in path.parents
    }
    return {file.parts[0] for file in files if len(file.parts) > 1}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_knows_no_other_but_the_report_how_a_merge_compares(step):
    assert steps_behind(step) == {step} | ({"merge"} if step == "report" else set())


def test_what_steps_share_knows_no_step():
    assert steps_behind("") == set()
