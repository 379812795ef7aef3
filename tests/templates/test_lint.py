"""What cfn-lint says about every environment as it is built."""

from cfnlint.config import ConfigMixIn
from cfnlint.runner import Runner

from config.settings import environments, load
from templates import root

ONLY_PACKAGED = "W3002"
"""Code may be a local path only for `aws cloudformation package`: that is what this build is for."""


def test_cfn_lint_finds_nothing_in_any_environment(built):
    """In one run, because most of a run's time goes into its preparation."""
    templates = [
        str(path)
        for environment in environments()
        for path in sorted(built(environment).directory.glob("*.json"))
        if path.name != "manifest.json"
    ]
    regions = sorted({load(environment, {}).region for environment in environments()})
    options = ["--regions", *regions, "--ignore-checks", ONLY_PACKAGED, "--template", *templates]

    assert len(templates) == sum(len(root.stacks(load(environment, {}))) for environment in environments())
    assert [str(match) for match in Runner(ConfigMixIn(options)).run()] == []
