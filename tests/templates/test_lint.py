"""What cfn-lint says about every environment as it is built."""

import pytest
from cfnlint.config import ConfigMixIn
from cfnlint.runner import Runner

from config.settings import environments, load
from templates import root

ONLY_PACKAGED = "W3002"
"""Code may be a local path only for `aws cloudformation package`: that is what this build is for."""


@pytest.mark.parametrize("environment", environments())
def test_cfn_lint_finds_nothing(built, environment):
    templates = sorted(path for path in built(environment).directory.glob("*.json") if path.name != "manifest.json")
    options = ["--regions", load(environment, {}).region, "--ignore-checks", ONLY_PACKAGED, "--template"]

    assert len(templates) == len(root.STACKS) + 1
    assert [str(match) for match in Runner(ConfigMixIn([*options, *map(str, templates)])).run()] == []
