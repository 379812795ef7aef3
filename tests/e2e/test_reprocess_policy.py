"""Who has the policy of the reprocessing may start, watch, stop and read it, and nothing else of the system."""

import json
import time
import uuid
from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.resources import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("running")]

REPORT = "runs/reprocess/policy/report.json"
REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403", "UnauthorizedOperation"}

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
