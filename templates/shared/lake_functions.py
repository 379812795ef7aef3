"""What the functions have in common that work on the Iceberg table: where it is, and what its catalog asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from awacs import glue, kms
from awacs.aws import Statement

from config.settings import Settings
from templates.shared import iam
from templates.shared.functions import FunctionSpec
from templates.shared.naming import own_name

TIMEOUT_S = 900  # Lambda's most: a step of the state machine has no one waiting for it


@dataclass(frozen=True)
class Lake:
    """What the steps of the machines on the lake work on: names of buckets and database, and the ARN of the key."""

    raw: object
    processed: object
    database: object
    key_arn: object


Step = Callable[[Settings, Lake], FunctionSpec]


def lake_function(
    settings: Settings,
    lake: Lake,
    *,
    folder: str,
    description: str,
    memory_mb: int,
    statements: list[Statement],
    disk_mb: int | None = None,
    environment: Mapping[str, object] | None = None,
) -> FunctionSpec:
    """What the steps of compaction, upkeep and reprocessing have in common; `environment` is what one has beside it."""
    return FunctionSpec(
        folder=folder,
        name=own_name(settings, folder.replace("_", "-")),
        description=description,
        memory_mb=memory_mb,
        disk_mb=disk_mb,
        timeout_s=TIMEOUT_S,
        after_failure="Step Functions waits for its answer: the run retries, fails by name and can be redriven.",
        environment={
            "RAW_BUCKET": lake.raw,
            "PROCESSED_BUCKET": lake.processed,
            "LAKE_DATABASE": lake.database,
            **(environment or {}),
        },
        statements=[*statements, iam.use_key(lake.key_arn, "s3", kms.Decrypt, kms.GenerateDataKey)],
    )


def objects(lake: Lake, keys: str, *actions: object) -> Statement:
    """Actions on objects of the processed bucket."""
    return iam.allow(iam.objects_arn(lake.processed, keys), *actions)


def catalog(database: object, *actions: object) -> list[Statement]:
    """Actions on a table of the lake; Glue checks them on the catalog, the database and the table."""
    return [
        iam.allow(iam.arn("glue", "catalog"), *actions),
        iam.allow(iam.arn("glue", "database/${Database}", Database=database), *actions),
        iam.allow(iam.arn("glue", "table/${Database}/readings", Database=database), *actions),
    ]


def find_database(database: object) -> list[Statement]:
    """PyIceberg looks at the database before it creates a table in it, and at each commit for who keeps its tables."""
    return [
        iam.allow(iam.arn("glue", "catalog"), glue.GetDatabase),
        iam.allow(iam.arn("glue", "database/${Database}", Database=database), glue.GetDatabase),
    ]
