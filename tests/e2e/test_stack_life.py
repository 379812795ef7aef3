"""A stack's life: created, changed, rolled back, deleted, with another environment of the same system beside it."""

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from troposphere import Template, cloudwatch

import build
from config import settings as config
from config.settings import Settings
from local import deploy as deployment
from local import process
from templates import monitoring, root
from templates.shared.layers import layer_of
from templates.shared.packages import Target, write_layer
from tests.changed import changed
from tests.e2e.change_sets import change_set, changes, endangered
from tests.e2e.resources import eventually
from tests.e2e.systems import Deploy, System, deployer

pytestmark = pytest.mark.e2e

REFUSED = r"^Broken \(AWS::CloudWatch::Alarm\) in nested stack Monitoring: .*_FAILED: MetricName and Namespace are"


def settings_of(suffix: str) -> Settings:
    """The system `manufacturing`, quick enough to wait for."""
    own = {"ENVIRONMENT_SUFFIX": suffix, "TOPIC_PREFIX": "manufacturing-{suffix}/sensors"}
    settings = config.load("manufacturing", own)
    return changed(settings, realtime={"event_source": {"window_s": 0}}, ingest={"firehose_buffer_s": 1})


@pytest.fixture(scope="module")
def deploy(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    return deployer(emulator, tmp_path_factory.mktemp("life"))


@pytest.fixture(scope="module")
def system(deploy: Deploy) -> System:
    """The environment whose life is told here."""
    return deploy(settings_of("life"))


@pytest.fixture(scope="module")
def neighbour(deploy: Deploy) -> System:
    """Another environment of the same system in the same account and region."""
    return deploy(settings_of("neighbour"))


@contextlib.contextmanager
def a_broken_template() -> Iterator[None]:
    """The last stack has a resource that CloudFormation must refuse, when all others are made."""

    def with_a_broken_alarm(settings: Settings) -> Template:
        template = monitoring.build(settings)
        alarm = {"ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Statistic": "Sum"}
        template.add_resource(cloudwatch.Alarm("Broken", **alarm))
        return template

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(root.STACKS, "monitoring", with_a_broken_alarm)
        yield


@contextlib.contextmanager
def another_package() -> Iterator[None]:
    """The layer of the function that stores readings has a module more."""
    lock = layer_of("process_readings").lock

    def with_a_module(given: Path, target: Target, cache: Path, out: Path) -> int:
        unzipped_bytes = write_layer(given, target, cache, out)
        if given.read_bytes() == lock.read_bytes():
            content = out.read_bytes()
            out.unlink()  # it is a link to what the cache keeps
            out.write_bytes(content)
            with zipfile.ZipFile(out, "a") as archive:
                archive.writestr("python/another.py", "")
        return unzipped_bytes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "write_layer", with_a_module)
        yield


def packages(system: System) -> str:
    """What tells the layer's content from any other."""
    (layer,) = system.function()["Layers"]
    found = system.client("lambda").get_layer_version_by_arn(Arn=layer["Arn"])
    return str(found["Content"]["CodeSha256"])


OTHER_SETTINGS: dict[str, dict[str, Any]] = {
    "metrics": {"temperature": {"thresholds": ({"above": 90.0},)}},
    "raw_bucket": {"noncurrent_days": 7, "transitions": [{"after_days": 30, "storage_class": "GLACIER"}]},
    "hot_table": {"retention_days": 3},
    "realtime": {"function": {"memory_mb": 512}, "event_source": {"batch_size": 50}},
    "ingest": {"firehose_buffer_s": 2, "stream_retention_h": 48},
    "compaction": {"worker_memory_mb": 2048, "concurrency": 3},
    "monitoring": {"function_errors": 5},
    "audit": {"data_events": "write"},
}


def kept_days(system: System, log_group: str) -> int:
    (found,) = system.client("logs").describe_log_groups(logGroupNamePrefix=log_group)["logGroups"]
    return int(found["retentionInDays"])


@pytest.mark.promise("iot-processing", "retention")
def test_other_settings_replace_nothing_that_holds_data_and_lose_none(
    system: System, deploy: Deploy, tmp_path: Path
) -> None:
    system.send("before", temperature=95)
    assert eventually(lambda: system.readings("before"))
    assert eventually(system.archived)
    before, archived, function = system.readings("before"), system.archived(), system.function()
    other = changed(system.settings, log_retention_days=90, **OTHER_SETTINGS)

    with change_set(system, other, tmp_path) as arn:
        found = list(changes(system, arn))
    after = deploy(other)

    assert endangered(found) == []
    altered = {f"{change.stack}.{change.logical_id}" for change in found if change.action == "Modify"}
    assert altered >= {
        "Storage.RawBucket", "Ingest.ReadingsStream", "Ingest.ArchiveDelivery", "Realtime.ProcessReadings",
        "Realtime.ProcessReadingsLogs", "Batch.WriteParquet", "Monitoring.FunctionErrors", "Audit.AuditTrail",
    }  # fmt: skip
    assert after.outputs == system.outputs
    assert after.readings("before") == before
    assert archived.items() <= after.archived().items()
    assert after.function()["CodeSha256"] != function["CodeSha256"]
    stream = after.client("kinesis").describe_stream_summary(StreamName=after.outputs["StreamName"])
    assert stream["StreamDescriptionSummary"]["RetentionPeriodHours"] == 48
    assert kept_days(after, f"/aws/lambda/{function['FunctionName']}") == 90
    assert after.stores_a_reading()


@pytest.mark.parametrize(
    ("section", "endangers"),
    [
        ({"hot_table": {"name": "another-{suffix}"}}, "Storage.ReadingsTable"),
        ({"ingest": {"stream_name": "another-{suffix}"}}, "Ingest.ReadingsStream"),
        ({"raw_bucket": {"name": "another-{suffix}"}}, "Storage.RawBucket"),
        ({"audit": {"enabled": False}, "outputs": {"CloudtrailName": None}}, ".Audit"),
    ],
    ids=["table", "stream", "bucket", "a whole stack"],
)
def test_the_change_set_tells_when_something_that_holds_data_would_be_replaced(
    system: System, tmp_path: Path, section: dict[str, Any], endangers: str
) -> None:
    with change_set(system, changed(system.settings, **section), tmp_path) as arn:
        assert endangers in endangered(list(changes(system, arn)))


def test_a_failed_update_names_the_resource_and_goes_back_to_a_working_system(system: System, deploy: Deploy) -> None:
    cloudformation, stack = system.client("cloudformation"), system.settings.stack_name
    outputs, function, held = deployment.outputs(cloudformation, stack), system.function(), packages(system)
    other = changed(
        system.settings, log_level="DEBUG", realtime={"function": {"memory_mb": 1024}}, metrics={"vibration": None}
    )

    with a_broken_template(), another_package(), pytest.raises(deployment.DeployError, match=REFUSED):
        deploy(other)

    assert deployment.status(cloudformation, stack) == "UPDATE_ROLLBACK_COMPLETE"
    assert deployment.outputs(cloudformation, stack) == outputs
    assert eventually(lambda: system.function() == function)  # Lambda takes a moment to be active again
    assert packages(system) == held
    assert system.stores_a_reading()


def test_environments_of_one_system_see_nothing_of_each_other(system: System, neighbour: System) -> None:
    system.send("only-here", temperature=20)
    neighbour.send("only-there", temperature=20)

    assert eventually(lambda: system.readings("only-here"))
    assert eventually(lambda: neighbour.readings("only-there"))
    assert (system.readings("only-there"), neighbour.readings("only-here")) == ([], [])


class Deleted:
    """The system's stack is deleted after it has stored a reading; what there was before."""

    def __init__(self, system: System) -> None:
        system.send("kept", temperature=20)
        self.readings, self.archived = eventually(lambda: system.readings("kept")), eventually(system.archived)
        assert self.readings
        assert self.archived
        cloudformation, stack = system.client("cloudformation"), system.settings.stack_name
        cloudformation.delete_stack(StackName=stack)
        assert deployment.settle(cloudformation, stack) is None


@pytest.fixture(scope="module")
def deleted(system: System, neighbour: System) -> Deleted:
    return Deleted(system)


def test_a_deleted_stack_leaves_its_data_and_its_neighbour(deleted: Deleted, system: System, neighbour: System) -> None:
    assert system.readings("kept") == deleted.readings
    assert deleted.archived.items() <= system.archived().items()
    key = system.client("kms").describe_key(KeyId=system.outputs["KeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    assert system.client("glue").get_database(Name=system.outputs["LakeDatabaseName"])
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        system.function()
    assert neighbour.stores_a_reading()


def test_a_stack_cannot_be_created_over_the_data_of_a_deleted_one(
    deleted: Deleted, system: System, deploy: Deploy
) -> None:
    archived = system.archived()

    with pytest.raises(deployment.DeployError, match=r"\(AWS::.* in nested stack .* already exists"):
        deploy(system.settings)

    assert system.readings("kept") == deleted.readings
    assert system.archived() == archived


def named(settings: Settings) -> dict[str, list[str]]:
    """What there is under names with the settings' suffix, by kind."""

    def client(service: str) -> Any:
        return boto3.client(service, region_name=settings.region)

    found = {
        "table": client("dynamodb").list_tables()["TableNames"],
        "bucket": [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]],
        "stream": client("kinesis").list_streams()["StreamNames"],
        "database": [database["Name"] for database in client("glue").get_databases()["DatabaseList"]],
        "log group": [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]],
        "function": [function["FunctionName"] for function in client("lambda").list_functions()["Functions"]],
        "alias": [alias["AliasName"] for alias in client("kms").list_aliases()["Aliases"]],
        "thing type": [one["thingTypeName"] for one in client("iot").list_thing_types()["thingTypes"]],
    }
    own = {kind: [name for name in names if settings.suffix in name] for kind, names in found.items()}
    return {kind: names for kind, names in own.items() if names}


def test_a_first_deployment_that_fails_leaves_nothing_in_the_way_of_the_next(
    deleted: Deleted, system: System, deploy: Deploy
) -> None:
    settings = changed(settings_of("second"), hot_table={"deletion_protection": False})
    with a_broken_template(), pytest.raises(deployment.DeployError, match=REFUSED):
        deploy(settings)
    assert named(settings) == {}

    assert deploy(settings).stores_a_reading()
    assert system.readings("kept") == deleted.readings


def test_of_a_first_deployment_that_fails_the_protected_table_stays(deploy: Deploy) -> None:
    settings = settings_of("third")
    cloudformation = boto3.client("cloudformation", region_name=settings.region)

    with a_broken_template(), pytest.raises(deployment.DeployError, match=REFUSED):
        deploy(settings)

    assert deployment.status(cloudformation, settings.stack_name) == "ROLLBACK_FAILED"
    assert named(settings) == {"table": ["sensor-metrics-third"]}

    dynamodb = boto3.client("dynamodb", region_name=settings.region)
    dynamodb.update_table(TableName="sensor-metrics-third", DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName="sensor-metrics-third")
    assert named(settings) == {}
