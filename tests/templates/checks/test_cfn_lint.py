"""What cfn-lint says about every system as it is built."""

import contextlib
import json
from pathlib import Path

import pytest
from cfnlint.config import ConfigMixIn
from cfnlint.rules import Match
from cfnlint.runner import Runner

from templates import root
from tests.templates.allowances import CFN_LINT
from tests.templates.checks.findings import AGREED, disagreement
from tests.templates.checks.systems import System, systems


def lint(folder: Path, region: str) -> list[Match]:
    """All that cfn-lint has to say, information included, with nothing left out.

    The root names the templates beside it, so that what it passes and asks for is compared with what they declare;
    cfn-lint looks at them only below the folder in which it runs.
    """
    templates = [str(path) for path in sorted(folder.glob("*.json"))]
    with contextlib.chdir(folder):
        return list(Runner(ConfigMixIn(["-c", "I", "--regions", region, "--template", *templates])).run())


def write(folder: Path, system: System) -> Path:
    """The templates as the build would write them, each in its own file."""
    for name, template in root.stacks(system.settings).items():
        (folder / f"{name}.json").write_text(template.to_json(), encoding="utf-8")
    return folder


def rules(matches: list[Match]) -> set[str]:
    return {match.rule.id for match in matches}


@pytest.mark.parametrize("name", systems())
def test_cfn_lint_finds_nothing_in_the_region_of_a_system(name: str, tmp_path: Path) -> None:
    system = systems()[name]
    found = lint(write(tmp_path, system), system.settings.region)

    assert [str(match) for match in found if match.rule.id not in CFN_LINT] == []
    assert disagreement(rules(found), CFN_LINT) == AGREED


def test_cfn_lint_finds_what_would_fail(tmp_path: Path) -> None:
    """Several faults in one run, because most of a run's time goes into its preparation."""
    system = systems()["dev"]
    templates = {name: template.to_dict() for name, template in root.stacks(system.settings).items()}
    nested = templates["root"]["Resources"]
    del nested["Ingest"]["Properties"]["Parameters"]["KeyArn"]
    nested["Storage"]["Properties"]["Parameters"]["KeyArn"] = {"Fn::GetAtt": ["Security", "Outputs.KeyArm"]}
    del templates["realtime"]["Resources"]["ProcessReadingsLogs"]["DeletionPolicy"]
    templates["storage"]["Resources"]["RawBucket"]["Properties"]["BucketNam"] = "raw"
    for name, template in templates.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(template), encoding="utf-8")

    found = {(Path(match.filename).stem, match.rule.id) for match in lint(tmp_path, system.settings.region)}

    assert {(stack, rule) for stack, rule in found if rule not in CFN_LINT} == {
        ("root", "E3043"),  # a parameter that is not passed
        ("root", "E1010"),  # an output that does not exist
        ("realtime", "I3011"),  # data whose end is left to a default
        ("storage", "E3002"),  # a property that does not exist
    }
