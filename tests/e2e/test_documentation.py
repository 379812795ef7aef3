"""Every command of the documents is run as it is written, or stands in a list that says what runs it."""

import os
from pathlib import Path

import boto3
import pytest

from tests.e2e.checkout import environment
from tests.e2e.documents import NEWCOMER, QUERYING, README, REPROCESSING, ROOT, RUNBOOK, commands, type_in

DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

RUN_ELSEWHERE = {
    "make test": "runs this test",
    "make lint": "the environment `lint`, which make test runs",
    ".venv/bin/tox run -e templates -- -k guard": "the environment `templates`, which make test runs whole",
    ".venv/bin/tox run -e py -- -k decoder": "the environment `py`, which make test runs whole",
}

TRIED = [line for heading in NEWCOMER for line in commands(README, heading)]
"""Run by test_demo.py, but for those that are run elsewhere."""
DEPLOYED = commands(README, "Deploy to AWS")
QUERIED = commands(QUERYING)
"""Asked by tests/readers/test_querying.py, of a table whose answer it knows."""
REPROCESSED = commands(REPROCESSING)
"""Run by test_reprocess.py."""
OPERATED = commands(RUNBOOK)
"""Run by test_monitoring.py and test_webhook.py, against systems in trouble; one is only checked (see REDRIVE)."""


def test_every_documented_command_is_run_by_a_test() -> None:
    documented = [line for document in DOCUMENTS for line in commands(document)]

    assert len(documented) > 5
    assert set(documented) == {*TRIED, *DEPLOYED, *QUERIED, *REPROCESSED, *OPERATED, *RUN_ELSEWHERE}


@pytest.mark.e2e
@pytest.mark.usefixtures("emulator")
def test_the_documented_build_uploads_and_prints_the_deploy_command(checkout: Path) -> None:
    region = os.environ["AWS_REGION"]
    boto3.client("s3").create_bucket(Bucket="my-artifacts", CreateBucketConfiguration={"LocationConstraint": region})

    built = type_in(checkout, DEPLOYED, dict(os.environ) | {"PATH": environment(checkout)["PATH"]})

    assert built.returncode == 0, built.stdout[-6000:]
    assert built.stdout.rstrip().splitlines()[-1].startswith("aws cloudformation deploy ")
