"""The deployed workgroup of a test's lake, and a caller of it who has the query policy and nothing else."""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import boto3

from config.settings import Settings, load
from templates import queries
from tests.lake import Lake, client

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
DAY_MS = 86_400_000


def make_older(lake: Lake, days: int) -> None:
    """Let the table's only snapshot be of an earlier day."""
    key = lake.table().metadata_location.removeprefix(f"s3://{lake.processed}/")
    metadata = json.loads(lake.store.read(key) or b"")
    for entry in (metadata["snapshots"][0], metadata["snapshot-log"][0]):
        entry["timestamp-ms"] -= days * DAY_MS
    lake.store.write(key, json.dumps(metadata).encode())


class QueryFailedError(Exception):
    """Athena's reason."""


class Workgroup:
    """The stack `queries` over the buckets and the database of a lake, on the embedded AWS."""

    def __init__(self, lake: Lake, settings: Settings | None = None) -> None:
        self.lake = lake
        self.stack = f"queries-{uuid.uuid4().hex[:8]}"
        self.settings = (settings or load("local", {})).model_copy(update={"system": self.stack})
        key = client("kms").create_key()["KeyMetadata"]["Arn"]
        given = {"ProcessedBucketName": lake.processed, "LakeDatabaseName": lake.database, "KeyArn": key}
        client("cloudformation").create_stack(
            StackName=self.stack,
            TemplateBody=queries.build(self.settings).to_json(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        )
        client("cloudformation").get_waiter("stack_create_complete").wait(
            StackName=self.stack, WaiterConfig={"Delay": 1}
        )
        (stack,) = client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.name = self.outputs["AthenaWorkgroupName"]
        self.session = self._caller()
        self.athena = self.session.client("athena")

    def delete(self) -> None:
        client("cloudformation").delete_stack(StackName=self.stack)
        client("cloudformation").get_waiter("stack_delete_complete").wait(
            StackName=self.stack, WaiterConfig={"Delay": 1}
        )

    def saved(self) -> dict[str, dict[str, Any]]:
        """The saved queries by name."""
        ids = self.athena.list_named_queries(WorkGroup=self.name)["NamedQueryIds"]
        found = self.athena.batch_get_named_query(NamedQueryIds=ids)["NamedQueries"] if ids else []
        return {query["Name"]: query for query in found}

    def ask_saved(self, name: str, *parameters: str) -> list[dict[str, str | None]]:
        return self.ask(self.saved()[name]["QueryString"], *parameters)

    def ask(self, query: str, *parameters: str, **options: Any) -> list[dict[str, str | None]]:
        """Rows of the answer, all values as text. Raises QueryFailedError."""
        given = {"ExecutionParameters": list(parameters)} if parameters else {}
        query_id = self.athena.start_query_execution(
            QueryString=query,
            WorkGroup=self.name,
            QueryExecutionContext={"Database": self.lake.database},
            **given,
            **options,
        )["QueryExecutionId"]
        status = self.wait(query_id)["Status"]
        if status["State"] != "SUCCEEDED":
            raise QueryFailedError(status["StateChangeReason"])
        pages = self.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
        names, *rows = [
            [value.get("VarCharValue") for value in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]
        ]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def wait(self, query_id: str) -> dict[str, Any]:
        """The execution, when it is over."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return found
            time.sleep(0.02)
        raise TimeoutError(query_id)

    @contextlib.contextmanager
    def refusing(self, action: str, resource: str) -> Iterator[None]:
        """The caller is denied an action on resources whose ARN ends so."""
        denied = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": action, "Resource": f"*{resource}"}],
        }
        role = f"analyst-{self.stack}"
        client("iam").put_role_policy(RoleName=role, PolicyName="deny", PolicyDocument=json.dumps(denied))
        try:
            yield
        finally:
            client("iam").delete_role_policy(RoleName=role, PolicyName="deny")

    def _caller(self) -> boto3.Session:
        """A session of a role that has the query policy attached."""
        iam, role = client("iam"), f"analyst-{self.stack}"
        arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.attach_role_policy(RoleName=role, PolicyArn=self.outputs["QueryPolicyArn"])
        given = client("sts").assume_role(RoleArn=arn, RoleSessionName="ada")["Credentials"]
        return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
