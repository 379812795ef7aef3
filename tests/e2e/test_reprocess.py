"""A person reprocesses the deployed system with the command line: tries, applies, looks, takes back."""

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from compaction.hours import hour_prefix
from config import settings as config
from local import up
from ops.__main__ import main
from tests.e2e.documents import REPROCESSING, commands, operator_of, type_in

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("running")]

HOUR = datetime(2024, 2, 3, 4, tzinfo=UTC)
"""An hour that no other test has readings of."""
RANGE = ("--from", "2024-02-03T04:00Z", "--to", "2024-02-03T05:00Z")
READINGS = 60


@pytest.fixture(scope="module")
def stack(outputs: dict[str, str]) -> str:
    assert outputs["ReprocessStateMachineArn"]
    return config.load(up.ENVIRONMENT).stack_name


def archive(outputs: dict[str, str], scale: float) -> None:
    """Lay down an hour of a press's readings whose pressure is scaled, in the place of what was there."""
    records = []
    for minute in range(READINGS):
        at = int(HOUR.timestamp() * 1000) + minute * 60_000
        fields = {"device_id": "press-1", "timestamp": at, "topic_device_id": "press-1", "received_at": at + 50}
        records.append(json.dumps(fields | {"pressure": minute * scale}) + "\n")
    body = gzip.compress("".join(records).encode())
    boto3.client("s3").put_object(Bucket=outputs["RawBucketName"], Key=f"{hour_prefix(HOUR)}press.gz", Body=body)


def call(capsys: pytest.CaptureFixture[str], stack: str, *arguments: str) -> dict[str, Any]:
    """What the command answers to a program."""
    capsys.readouterr()
    code = main([*arguments, "--stack", stack, "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    answer: dict[str, Any] = json.loads(printed.out)
    return answer


def pressure(capsys: pytest.CaptureFixture[str], stack: str) -> float:
    """The sum that SQL sees."""
    question = "select sum(pressure) from readings where device_id = 'press-1' and measured_at < '2024-02-04'"
    (row,) = call(capsys, stack, "query", question)["rows"]
    return float(row[0])


def test_a_range_is_tried_applied_looked_at_and_taken_back(
    outputs: dict[str, str], stack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    archive(outputs, scale=10)
    call(capsys, stack, "compact", "--from", "2024-02-03T04:00Z", "--to", "2024-02-03T05:00Z", "--follow")
    wrong = pressure(capsys, stack)
    archive(outputs, scale=1)

    tried = call(capsys, stack, "reprocess", *RANGE)
    assert (tried["mode"], tried["outcome"], tried["snapshot_id"]) == ("dry_run", "looked", None)
    assert tried["readings"]["changed"] == READINGS - 1, "a pressure of 0 is the same"
    assert pressure(capsys, stack) == wrong

    applied = call(capsys, stack, "reprocess", *RANGE, "--apply", "--note", "bar, not decibar")
    assert (applied["outcome"], applied["readings"]["changed"]) == ("applied", READINGS - 1)
    assert pressure(capsys, stack) == pytest.approx(wrong / 10)

    again = call(capsys, stack, "reprocess", *RANGE, "--apply", "--note", "once more")
    assert (again["readings"]["same"], again["readings"]["changed"]) == (READINGS, 0)
    assert (again["outcome"], again["snapshot_id"]) == ("applied", None)

    shown = call(capsys, stack, "runs", applied["run_id"])
    assert (shown["machine"], shown["status"]) == ("reprocess", "SUCCEEDED")
    assert shown["ledger"]["note"] == "bar, not decibar"
    assert shown["ledger"]["by"] == boto3.client("sts").get_caller_identity()["Arn"]
    assert shown["report"]["readings"] == applied["readings"]
    assert applied["run_id"] in [run["run_id"] for run in call(capsys, stack, "runs")["runs"]]


def test_a_run_is_taken_back(outputs: dict[str, str], stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = pressure(capsys, stack)
    archive(outputs, scale=7)
    applied = call(capsys, stack, "reprocess", *RANGE, "--targets", "table", "--apply", "--note", "wrong again")
    assert pressure(capsys, stack) != before

    undone = call(capsys, stack, "reprocess", "--undo", applied["run_id"], "--note", "it was right")

    assert undone["undone"]["rows_restored"] >= READINGS
    assert pressure(capsys, stack) == before
    assert call(capsys, stack, "runs", applied["run_id"])["ledger"]["outcome"] == "undone"


def test_people_see_what_a_dry_run_has_found_and_what_to_type_next(
    stack: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")

    assert main(["reprocess", *RANGE, "--devices", "press-*", "--stack", stack]) == 0

    told = capsys.readouterr().out
    assert "nothing was changed" in told
    assert "report.html" in told
    assert f"--from {RANGE[1]} --to {RANGE[3]} --devices 'press-*' --apply --note WHY" in told


def test_other_thresholds_are_tried_on_past_readings(
    stack: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[metrics.pressure.thresholds]]\nabove = 1.5\n")

    tested = call(capsys, stack, "reprocess", *RANGE, "--backtest", str(rules))

    assert tested["mode"] == "backtest"
    assert tested["alarms_given"]["total"] >= 1
    assert tested["alarms_after"]["total"] == 0, "today's settings have no threshold of it"


def test_the_documents_start_a_run_with_the_aws_cli(outputs: dict[str, str], stack: str, aws_cli: Path) -> None:
    variables = operator_of(stack, aws_cli) | {"ReprocessStateMachineArn": outputs["ReprocessStateMachineArn"]}

    typed = type_in(Path(os.curdir), commands(REPROCESSING), variables)

    assert typed.returncode == 0, typed.stdout
    assert "executionArn" in typed.stdout
