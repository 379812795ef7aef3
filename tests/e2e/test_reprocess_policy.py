"""Who has the policy of the reprocessing may start, watch, stop and read it, and nothing else of the system."""

import gzip
import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from compaction.hours import hour_prefix
from config import settings as config
from local import up
from ops.__main__ import main
from tests.e2e.resources import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("running")]

REPORT = "runs/reprocess/policy/report.json"
REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403", "UnauthorizedOperation"}

HOUR = datetime(2024, 2, 5, 6, tzinfo=UTC)
"""An hour that no other test has readings of."""

Outputs = dict[str, str]
Call = Callable[[boto3.Session, Outputs], object]


@pytest.fixture(scope="module")
def person(outputs: Outputs) -> Iterator[boto3.Session]:
    """A user who has the policy and nothing else; a report is there to be read."""
    iam, name = boto3.client("iam"), f"operator-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=outputs["ReprocessPolicyArn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    boto3.client("s3").put_object(Bucket=outputs["ProcessedBucketName"], Key=REPORT, Body=b"{}")
    yield boto3.Session(key["AccessKeyId"], key["SecretAccessKey"])
    boto3.client("s3").delete_object(Bucket=outputs["ProcessedBucketName"], Key=REPORT)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.detach_user_policy(UserName=name, PolicyArn=outputs["ReprocessPolicyArn"])
    iam.delete_user(UserName=name)


@pytest.fixture
def reading_of_the_hour(outputs: Outputs) -> Iterator[None]:
    """A press's only reading of the hour, in the archive."""
    record = {"device_id": "press-1", "timestamp": HOUR.timestamp(), "topic_device_id": "press-1", "temperature": 20.5}
    s3, place = boto3.client("s3"), {"Bucket": outputs["RawBucketName"], "Key": f"{hour_prefix(HOUR)}press.gz"}
    s3.put_object(**place, Body=gzip.compress(json.dumps(record).encode() + b"\n"))
    yield
    s3.delete_object(**place)


def ops(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What the command line answers to a program."""
    main([*arguments, "--stack", config.load(up.ENVIRONMENT).stack_name, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def start(session: boto3.Session, outputs: Outputs) -> str:
    """An execution that ends in its first step."""
    refused_input = json.dumps({"from": "never"})
    machine = outputs["ReprocessStateMachineArn"]
    started = session.client("stepfunctions").start_execution(
        stateMachineArn=machine, name=f"policy-{time.time_ns()}", input=refused_input
    )
    return str(started["executionArn"])


@pytest.mark.promise("both", "reprocessing")
def test_a_person_with_the_policy_starts_a_run_and_follows_it_to_its_end(
    person: boto3.Session, outputs: Outputs
) -> None:
    states = person.client("stepfunctions")
    arn = start(person, outputs)

    assert eventually(lambda: states.describe_execution(executionArn=arn)["status"] == "FAILED")
    assert states.describe_execution(executionArn=arn)["error"] == "InvalidInput"
    assert states.get_execution_history(executionArn=arn)["events"]
    assert states.list_map_runs(executionArn=arn)["mapRuns"] == []
    listed = states.list_executions(stateMachineArn=outputs["ReprocessStateMachineArn"])["executions"]
    assert arn in {execution["executionArn"] for execution in listed}


def test_a_person_with_the_policy_stops_a_run(person: boto3.Session, outputs: Outputs) -> None:
    states = person.client("stepfunctions")
    arn = start(person, outputs)

    try:
        states.stop_execution(executionArn=arn)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException", "it may have ended already"  # noqa: PT017
    assert eventually(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")


def test_a_person_with_the_policy_reads_reports_and_finds_the_system(person: boto3.Session, outputs: Outputs) -> None:
    s3, bucket = person.client("s3"), outputs["ProcessedBucketName"]

    assert s3.get_object(Bucket=bucket, Key=REPORT)["Body"].read() == b"{}"
    assert s3.list_objects_v2(Bucket=bucket, Prefix="runs/reprocess/policy/")["KeyCount"] == 1
    stacks = person.client("cloudformation").describe_stacks()["Stacks"]
    found = {output["OutputValue"] for stack in stacks for output in stack.get("Outputs", [])}
    assert outputs["ReprocessStateMachineArn"] in found


@pytest.mark.usefixtures("reading_of_the_hour")
def test_a_person_with_the_policy_reprocesses_with_the_command_line_and_looks_at_the_run(
    person: boto3.Session, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = person.get_credentials()
    assert credentials is not None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)

    tried = ops(capsys, "reprocess", "--from", "2024-02-05T06:00Z", "--to", "2024-02-05T07:00Z")
    shown = ops(capsys, "runs", tried["run_id"])

    assert (tried["outcome"], tried["found"]["objects"]) == ("looked", 1)
    assert (shown["machine"], shown["status"]) == ("reprocess", "SUCCEEDED")
    assert shown["report"]["readings"] == tried["readings"]
    assert shown["ledger"]["by"] == person.client("sts").get_caller_identity()["Arn"]
    assert ops(capsys, "reprocess", "--undo", tried["run_id"])["error"].startswith(
        f"--undo: {tried['run_id']} was a dry"
    )
    hidden = "There is no run nobody that you may see. Those of compact and optimize you may not."
    assert ops(capsys, "runs", "nobody") == {"error": hidden}


@pytest.mark.promise("both", "reprocessing")
@pytest.mark.parametrize(
    "call",
    [
        lambda session, outputs: session.client("stepfunctions").start_execution(
            stateMachineArn=outputs["CompactStateMachineArn"], input="{}"
        ),
        lambda session, outputs: session.client("stepfunctions").start_execution(
            stateMachineArn=outputs["OptimizeStateMachineArn"], input="{}"
        ),
        lambda session, outputs: session.client("stepfunctions").update_state_machine(
            stateMachineArn=outputs["ReprocessStateMachineArn"], definition="{}"
        ),
        lambda session, outputs: session.client("stepfunctions").delete_state_machine(
            stateMachineArn=outputs["ReprocessStateMachineArn"]
        ),
        lambda session, outputs: session.client("lambda").invoke(FunctionName=outputs["CommitReprocessName"]),
        lambda session, outputs: session.client("s3").put_object(
            Bucket=outputs["ProcessedBucketName"], Key=REPORT, Body=b"forged"
        ),
        lambda session, outputs: session.client("s3").delete_object(Bucket=outputs["ProcessedBucketName"], Key=REPORT),
        lambda session, outputs: session.client("s3").get_object(
            Bucket=outputs["ProcessedBucketName"], Key="warehouse/readings/data.parquet"
        ),
        lambda session, outputs: session.client("s3").list_objects_v2(
            Bucket=outputs["ProcessedBucketName"], Prefix="ledger/"
        ),
        lambda session, outputs: session.client("s3").list_objects_v2(
            Bucket=outputs["RawBucketName"], Prefix="raw-data/"
        ),
        lambda session, outputs: session.client("glue").get_table(
            DatabaseName=outputs["LakeDatabaseName"], Name="readings"
        ),
        lambda session, outputs: session.client("dynamodb").scan(TableName=outputs["ReadingsTableName"]),
        lambda session, outputs: session.client("sns").publish(TopicArn=outputs["AlertsTopicArn"], Message="hello"),
        lambda session, outputs: session.client("kinesis").put_record(
            StreamName=outputs["StreamName"], Data=b"{}", PartitionKey="a"
        ),
        lambda session, _: session.client("iam").create_user(UserName="another"),
        lambda session, outputs: session.client("cloudformation").delete_stack(StackName="sensorkeep-e2e"),
    ],
)
def test_a_person_with_the_policy_is_refused_everything_else(
    person: boto3.Session, outputs: Outputs, call: Call
) -> None:
    with pytest.raises(ClientError) as refused:
        call(person, outputs)

    assert refused.value.response["Error"]["Code"] in REFUSED
