"""What checkov's rules say about every system, and whether a template holds what looks like a secret."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.templates.checks.findings import AGREED, Finding, disagreement, suppressed_for_checkov
from tests.templates.checks.systems import System

BROKEN = "broken"
LEAKED = "AKIA" + "Z7QHD5VTKB3MWXYP"
"""Has the form of an access key."""


@pytest.fixture(scope="module")
def found(checked: dict[str, System], rule_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> set[Finding]:
    """Findings in all systems and in a broken one, in one run: most of a run's time goes into its start.

    Metadata is left out, so that what is suppressed is found and can be compared.
    """
    folder = tmp_path_factory.mktemp("checkov")
    broken = checked["dev"].changed("RawBucket", PublicAccessBlockConfiguration=None)
    broken = broken.changed("AlertsTopic", DisplayName=LEAKED)._replace(name=BROKEN)
    for system in [*checked.values(), broken]:
        template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": system.bare()}
        (folder / f"{system.name}.json").write_text(json.dumps(template, indent=1), encoding="utf-8")
    command = [rule_packs / "bin" / "checkov", "--framework", "cloudformation", "secrets", "--directory", folder]
    # nothing is asked of or sent to the checks' makers
    command += ["--skip-download", "--skip-results-upload", "--output", "json", "--quiet", "--compact", "--soft-fail"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return {finding for report in json.loads(result.stdout) for finding in findings(report)}


def findings(report: dict[str, Any]) -> set[Finding]:
    """The failed checks of one framework; nothing may have kept a template from being read."""
    assert report["summary"]["parsing_errors"] == 0
    return {
        Finding(Path(check["file_path"]).stem, check["resource"].rsplit(".", 1)[-1], check["check_id"])
        for check in report["results"]["failed_checks"]
    }


def test_checkov_finds_what_is_suppressed_with_a_reason_and_nothing_else(
    found: set[Finding], checked: dict[str, System]
) -> None:
    allowed = {key: reason for system in checked.values() for key, reason in suppressed_for_checkov(system).items()}

    assert disagreement({finding for finding in found if finding.system != BROKEN}, allowed) == AGREED
    assert all(allowed.values())


def test_checkov_finds_a_bucket_that_may_become_public(found: set[Finding]) -> None:
    assert Finding(BROKEN, "RawBucket", "CKV_AWS_53") in found


def test_checkov_finds_a_secret_in_a_template(found: set[Finding]) -> None:
    assert {finding.rule for finding in found if finding.rule.startswith("CKV_SECRET")} == {"CKV_SECRET_2"}
