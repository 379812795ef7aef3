"""Without any one action that a function's role allows, the function is refused and says so: none is there for nothing.

The cases are the statements of the templates, so that a new permission needs something here that uses it.
"""

import base64
import contextlib
import copy
import gzip
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from config import settings as config
from templates import batch, realtime
from tests.e2e.conftest import SUFFIX
from tests.e2e.resources import eventually

pytestmark = pytest.mark.e2e

FOLDERS = ("process_readings", "plan_compaction", "write_parquet", "commit_table")
REFUSED = re.compile("access.?denied|not authorized", re.IGNORECASE)
READ_STREAM = "kinesis:"
ON_FAILURE = "aws/lambda/"

NOT_ENFORCED_HERE = {
    "kms": "the embedded AWS encrypts nothing; tests/templates/test_permissions.py asserts the key's statements",
    "logs": "the embedded AWS writes a function's logs itself; tests/templates asserts that its role could",
}
UNSEEN = {
    ("write_parquet", "s3:ListBucket"): "the embedded AWS answers NoSuchKey to whoever asks, not only to who may list",
}
GLUE_ASKS_FOR = ":database/"
"""Of catalog, database and table, the resource on which the embedded AWS checks an action of Glue."""

Case = tuple[str, int, str]
"""Folder of the function, place of the statement in its policy, action."""

numbers = itertools.count()


def statements(folder: str) -> list[dict[str, Any]]:
    """The statements of a function's role as the template has them."""
    settings = config.load("local", {"ENVIRONMENT_SUFFIX": SUFFIX})
    stack = realtime if folder == "process_readings" else batch
    title = folder.title().replace("_", "")
    role = stack.build(settings).to_dict()["Resources"][f"{title}Role"]["Properties"]
    found: list[dict[str, Any]] = role["Policies"][0]["PolicyDocument"]["Statement"]
    return found


def cases() -> Iterator[Case]:
    """Every action of every function that the embedded AWS can refuse."""
    for folder in FOLDERS:
        for place, statement in enumerate(statements(folder)):
            for action in statement["Action"]:
                if is_enforced(folder, action, json.dumps(statement["Resource"])):
                    yield folder, place, action


def is_enforced(folder: str, action: str, resource: str) -> bool:
    """Whether the embedded AWS asks for the action on this resource."""
    service = action.split(":")[0]
    if service == "glue":
        return GLUE_ASKS_FOR in resource
    return service not in NOT_ENFORCED_HERE and (folder, action) not in UNSEEN


@pytest.fixture(scope="module", autouse=True)
def table(outputs: dict[str, str]) -> None:
    """A first commit, so that there is a table's metadata to read."""
    prepared(System(outputs), "commit_table", "", "")()


@pytest.fixture(scope="module")
def roles(outputs: dict[str, str]) -> dict[str, str]:
    """Name of each function's role."""
    names = {
        "process_readings": outputs["ProcessReadingsName"],
        "plan_compaction": outputs["PlanCompactionName"],
        "write_parquet": outputs["WriteParquetName"],
        "commit_table": outputs["CommitTableName"],
    }
    functions = boto3.client("lambda")
    return {
        folder: functions.get_function_configuration(FunctionName=name)["Role"].rsplit("/", 1)[-1]
        for folder, name in names.items()
    }


@contextlib.contextmanager
def without(role: str, *removed: tuple[int, str]) -> Iterator[None]:
    """The role without some actions of some of its statements, for as long as the block lasts."""
    iam = boto3.client("iam")
    name = iam.list_role_policies(RoleName=role)["PolicyNames"][0]
    whole: dict[str, Any] = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]  # type: ignore[assignment]
    part = copy.deepcopy(whole)
    for place, action in removed:
        part["Statement"][place]["Action"].remove(action)
    part["Statement"] = [statement for statement in part["Statement"] if statement["Action"]]
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(part))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(whole))


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}")
def test_a_function_is_refused_without(case: Case, outputs: dict[str, str], roles: dict[str, str]) -> None:
    folder, place, action = case
    resource = json.dumps(statements(folder)[place]["Resource"])
    removed = [(place, action)]
    if needs_a_failing_batch(folder, action, resource):
        removed.append(writing_to_the_table())
    use = prepared(System(outputs), folder, action, resource)

    with without(roles[folder], *removed):
        said = use()

    assert REFUSED.search(said), said
    assert names(action, said), said


@pytest.mark.parametrize("folder", FOLDERS)
def test_with_all_actions_it_is_not(folder: str, outputs: dict[str, str]) -> None:
    said = prepared(System(outputs), folder, "", "")()

    assert not REFUSED.search(said), said


def writing_to_the_table() -> tuple[int, str]:
    """Place and action of the statement that lets process_readings store anything."""
    action = "dynamodb:BatchWriteItem"
    return next((place, action) for place, one in enumerate(statements("process_readings")) if action in one["Action"])


def needs_a_failing_batch(folder: str, action: str, resource: str) -> bool:
    """Whether only Lambda uses the action, to set aside a batch that the function cannot process."""
    return folder == "process_readings" and (ON_FAILURE in resource or action == "s3:ListBucket")


def names(action: str, said: str) -> bool:
    """Whether a refusal is about the action; S3 asks s3:GetObject of whoever looks at an object's head, too."""
    operation = action.split(":")[1]
    return operation in said or (operation == "GetObject" and "HeadObject" in said)


def prepared(system: "System", folder: str, action: str, resource: str) -> Callable[[], str]:
    """What makes the function use everything it may; its preparations run now, with every permission."""
    if action.startswith(READ_STREAM) or needs_a_failing_batch(folder, action, resource):
        return lambda: system.read_the_stream(action)
    if folder == "process_readings":
        return system.process
    run_id = f"least-privilege-{next(numbers)}-{time.time_ns()}"
    key, etag = system.archive()
    if folder == "plan_compaction":
        system.forget_ledger()
        return lambda: system.plan(run_id)
    if folder == "write_parquet":
        return lambda: system.write(run_id, key, etag)
    system.plan(run_id)
    system.write_planned(run_id)
    if action in {"glue:CreateTable", "glue:GetDatabase"}:
        system.forget_table()
    return lambda: system.commit(run_id)


class System:
    """The deployed system, used in a way that needs every permission of its functions."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self._outputs = outputs

    def process(self) -> str:
        """A batch with a good reading, one that raises an alert, and one that is set aside."""
        records = [self._reading(21.5), self._reading(140.0), b"not json"]
        return self._invoke(
            "ProcessReadingsName", {"Records": [_record(number, r) for number, r in enumerate(records)]}
        )

    def read_the_stream(self, action: str) -> str:
        """A record on the stream, and what the event source says once it misses the action."""
        boto3.client("kinesis").put_record(
            StreamName=self._outputs["StreamName"], Data=self._reading(20.0), PartitionKey="press-1"
        )
        functions = boto3.client("lambda")

        def last_result() -> str:
            source = functions.list_event_source_mappings(FunctionName=self._outputs["ProcessReadingsName"])
            return str(source["EventSourceMappings"][0]["LastProcessingResult"])

        eventually(lambda: action in last_result())
        return last_result()

    def archive(self) -> tuple[str, str]:
        """An archive object with a reading and a line that is set aside; its key and entity tag."""
        key = f"raw-data/year=2026/month=01/day=02/hour=03/{time.time_ns()}.gz"
        body = gzip.compress(self._reading(20.0) + b"\nnot json\n")
        stored = boto3.client("s3").put_object(Bucket=self._outputs["RawBucketName"], Key=key, Body=body)
        return key, stored["ETag"]

    def plan(self, run_id: str) -> str:
        """Plan a run over the hour of `archive`."""
        window = {"from": "2026-01-02T03:00:00Z", "to": "2026-01-02T04:00:00Z"}
        return self._invoke("PlanCompactionName", {"run_id": run_id, "input": window})

    def write(self, run_id: str, key: str, etag: str) -> str:
        """Write the task of one object."""
        task = {"task_id": "00000", "objects": [{"key": key, "bytes": 100, "etag": etag}]}
        return self._invoke("WriteParquetName", {"run_id": run_id, "task": task})

    def write_planned(self, run_id: str) -> None:
        """Write every task of a run's plan."""
        plan = boto3.client("s3").get_object(
            Bucket=self._outputs["ProcessedBucketName"], Key=f"runs/compact/{run_id}/plan.jsonl"
        )
        for line in plan["Body"].read().splitlines():
            self._invoke("WriteParquetName", {"run_id": run_id, "task": json.loads(line)})

    def commit(self, run_id: str) -> str:
        """Commit a run."""
        return self._invoke("CommitTableName", {"run_id": run_id})

    def forget_ledger(self) -> None:
        """Let the next plan or commit write the ledger of the committed runs again."""
        s3, bucket = boto3.client("s3"), self._outputs["ProcessedBucketName"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="ledger/").get("Contents", [])
        for item in listed:
            s3.delete_object(Bucket=bucket, Key=item["Key"])

    def forget_table(self) -> None:
        """Let the next commit create the table."""
        glue = boto3.client("glue")
        with contextlib.suppress(glue.exceptions.EntityNotFoundException):
            glue.delete_table(DatabaseName=self._outputs["LakeDatabaseName"], Name="readings")

    def _reading(self, temperature: float) -> bytes:
        at = 1_767_323_000 + next(numbers)
        return json.dumps({"device_id": "press-1", "timestamp": at, "temperature": temperature}).encode()

    def _invoke(self, output: str, event: dict[str, Any]) -> str:
        answer = boto3.client("lambda").invoke(FunctionName=self._outputs[output], Payload=json.dumps(event))
        return answer["Payload"].read().decode()


def _record(number: int, data: bytes) -> dict[str, Any]:
    kinesis = {
        "sequenceNumber": str(number),
        "partitionKey": "press-1",
        "data": base64.b64encode(data).decode(),
        "approximateArrivalTimestamp": time.time(),
    }
    return {"kinesis": kinesis, "eventID": f"shardId-000000000000:{number}", "eventSource": "aws:kinesis"}
