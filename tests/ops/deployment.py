"""A stack in miniature on the embedded AWS: the machines with their real functions, and outputs that name them."""

import functools
import io
import itertools
import json
import time
import zipfile
from pathlib import Path
from typing import Any

from config.settings import Settings, load
from tests.lake import REGION, Lake, client

ROOT = Path(__file__).parents[2]
ACCOUNT = "000000000000"
MACHINES = {
    "compact": ("plan_compaction", "write_parquet", "commit_table"),
    "optimize": ("plan_optimization", "rewrite_parquet", "commit_rewrite", "expire_snapshots", "sweep_orphans"),
    "reprocess": (
        "plan_reprocess",
        "restore_objects",
        "decode_objects",
        "plan_merge",
        "merge_readings",
        "commit_reprocess",
        "write_hot_table",
        "report_reprocess",
        "undo_reprocess",
    ),
}


class Deployment:
    """What `python -m ops` finds, under a name of its own; the archive and the table are those of `lake`.

    Functions stay, with the processes that have loaded them; what a test sees of the others is made for it.
    """

    def __init__(self, lake: Lake, settings: Settings | None = None) -> None:
        self.lake = lake
        self._settings = settings or load("local", {})
        self.name = f"sensorkeep-{lake.database}".replace("_", "-")
        self.lake.metrics = tuple(self._settings.metrics)
        self._tests = itertools.count(1)
        self._create_topic_and_stream()
        self.functions = {name: f"{name}-{lake.database}" for names in MACHINES.values() for name in names}
        for name, function in self.functions.items():
            self._create_function(name, function)

    def begin(self) -> None:
        """For a test: an empty lake and hot table, machines without runs, and a stack with them."""
        test = next(self._tests)
        self.lake.clear()
        self._create_table()
        self.machines = {machine: self._create_machine(machine, test) for machine in MACHINES}
        self._create_stack()

    def end(self) -> None:
        """Wait for what still runs, and make room for the next: commands look at all stacks of the region."""
        for arn in self.machines.values():
            listed = client("stepfunctions").list_executions(stateMachineArn=arn, statusFilter="RUNNING")
            for execution in listed["executions"]:
                ended(execution["executionArn"])
        client("dynamodb").delete_table(TableName=self.name)
        client("cloudformation").delete_stack(StackName=self.name)

    def redeploy(self, settings: Settings) -> None:
        """Bring the functions to other settings, as a deployment does."""
        for function in self.functions.values():
            client("lambda").update_function_code(FunctionName=function, ZipFile=_code(settings.model_dump_json()))

    def start(self, name: str, run_input: object, machine: str = "compact") -> dict[str, Any]:
        """Run a machine to its end."""
        states = client("stepfunctions")
        arn = states.start_execution(stateMachineArn=self.machines[machine], name=name, input=json.dumps(run_input))
        return ended(arn["executionArn"])

    def _create_machine(self, machine: str, test: int) -> str:
        text = (ROOT / f"stepfunctions/{machine}.asl.json").read_text(encoding="utf-8")
        for name in MACHINES[machine]:
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.functions[name]}"
            text = text.replace(f"${{{_pascal(name)}Arn}}", arn)
        created = client("stepfunctions").create_state_machine(
            name=f"{machine}-{self.lake.database}-{test}",
            definition=text.replace('"${MaxConcurrency}"', "2").replace('"${HotWriters}"', "2"),
            roleArn=self._role("states"),
        )
        return str(created["stateMachineArn"])

    def _role(self, service: str) -> str:
        actions = [f"{name}:*" for name in ("s3", "glue", "lambda", "states", "dynamodb", "sns")]
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": f"{service}.amazonaws.com"}}
        name = f"{service}-{self.lake.database}"
        iam = client("iam")
        try:
            arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
            iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_policy(statement))
        except iam.exceptions.EntityAlreadyExistsException:
            arn = iam.get_role(RoleName=name)["Role"]["Arn"]
        return str(arn)

    def _create_function(self, name: str, function: str) -> None:
        client("lambda").create_function(
            FunctionName=function,
            Runtime="python3.13",
            Handler=f"{name}.handler.handle",
            Role=self._role("lambda"),
            Timeout=60,
            Code={"ZipFile": _code(self._settings.model_dump_json())},
            Environment={
                "Variables": {
                    "RAW_BUCKET": self.lake.raw,
                    "PROCESSED_BUCKET": self.lake.processed,
                    "LAKE_DATABASE": self.lake.database,
                    "READINGS_TABLE": self.name,
                    "ALERTS_TOPIC_ARN": self.topic,
                    "POWERTOOLS_METRICS_NAMESPACE": "Sensorkeep",
                    "POWERTOOLS_TRACE_DISABLED": "true",
                }
            },
        )

    def _create_topic_and_stream(self) -> None:
        self.topic = client("sns").create_topic(Name=self.name)["TopicArn"]
        client("kinesis").create_stream(StreamName=self.name, ShardCount=2)

    def _create_table(self) -> None:
        """The hot table, with the keys of the settings `local`."""
        client("dynamodb").create_table(
            TableName=self.name,
            KeySchema=[
                {"AttributeName": "device_id", "KeyType": "HASH"},
                {"AttributeName": "timestamp", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "device_id", "AttributeType": "S"},
                {"AttributeName": "timestamp", "AttributeType": "N"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def _create_stack(self) -> None:
        outputs = {
            "RawBucketName": self.lake.raw,
            "ProcessedBucketName": self.lake.processed,
            "ReadingsTableName": self.name,
            "LakeDatabaseName": self.lake.database,
            "StreamName": self.name,
            **{f"{_pascal(name)}Name": function for name, function in self.functions.items()},
            **{f"{_pascal(machine)}StateMachineArn": arn for machine, arn in self.machines.items()},
        }
        deploy(self.name, outputs)


@functools.cache
def deployed() -> Deployment:
    """The deployment of this test process: to load the functions takes longer than a test does."""
    return Deployment(Lake())


def ended(execution_arn: str) -> dict[str, Any]:
    """An execution, once it has ended. Raises TimeoutError."""
    deadline = time.monotonic() + 600  # for a machine with much else to do
    while time.monotonic() < deadline:
        found: dict[str, Any] = client("stepfunctions").describe_execution(executionArn=execution_arn)
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{execution_arn} is still running")


def deploy(name: str, outputs: dict[str, str], managed_by: str = "sensorkeep") -> None:
    """Create a stack with these outputs and wait for it."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=name, TemplateBody=json.dumps(template), Tags=[{"Key": "ManagedBy", "Value": managed_by}]
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def _pascal(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@functools.cache
def _code(settings_json: str) -> bytes:
    """Our own packages and the settings; the embedded AWS lends functions the packages of this environment."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(path for kind in ("*.py", "*.html") for path in (ROOT / "lambdas").rglob(kind)):
            archive.write(path, path.relative_to(ROOT / "lambdas"))
        archive.writestr("settings.json", settings_json)
    return packed.getvalue()
