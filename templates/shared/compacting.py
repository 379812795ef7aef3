"""The functions of the state machine `compact`: for each its size and exactly what it may do."""

from awacs import glue, s3

from config.settings import Settings
from templates.shared import iam
from templates.shared.functions import FunctionSpec
from templates.shared.lake_functions import Lake, catalog, find_database, lake_function, objects


def plan_compaction(settings: Settings, lake: Lake) -> FunctionSpec:
    """Lists what is to be compacted and writes the plan."""
    return lake_function(
        settings,
        lake,
        folder="plan_compaction",
        description="List the archive's closed hours and plan their compaction",
        memory_mb=settings.compaction.planner_memory_mb,
        statements=[
            iam.list_keys(lake.raw, "raw-data/"),
            iam.look_for_keys(lake.processed),
            objects(lake, "runs/*", s3.GetObject, s3.PutObject),
            objects(lake, "ledger/*", s3.GetObject, s3.PutObject),
            objects(lake, "warehouse/*", s3.GetObject),
            *catalog(lake.database, glue.GetTable),
        ],
    )


def write_parquet(settings: Settings, lake: Lake) -> FunctionSpec:
    """Decodes the objects of one task and writes them as Parquet."""
    return lake_function(
        settings,
        lake,
        folder="write_parquet",
        description="Write the archive objects of one task as Parquet",
        memory_mb=settings.compaction.worker_memory_mb,
        disk_mb=settings.compaction.worker_disk_mb,
        statements=[
            iam.look_for_keys(lake.raw),
            iam.allow(iam.objects_arn(lake.raw, "raw-data/*"), s3.GetObject),
            objects(lake, "warehouse/*", s3.PutObject),
            objects(lake, "quarantine/*", s3.PutObject),
            objects(lake, "runs/*", s3.PutObject),
        ],
    )


def commit_table(settings: Settings, lake: Lake) -> FunctionSpec:
    """Publishes a run's files as one snapshot of the table."""
    return lake_function(
        settings,
        lake,
        folder="commit_table",
        description="Publish a run's files as one snapshot of the Iceberg table",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.list_keys(lake.raw, "raw-data/"),
            iam.look_for_keys(lake.processed),
            objects(lake, "runs/*", s3.GetObject, s3.PutObject),
            objects(lake, "ledger/*", s3.GetObject, s3.PutObject),
            # nothing may be deleted here: what PyIceberg cleans up after a failed commit stays as an orphan
            objects(lake, "warehouse/*", s3.GetObject, s3.PutObject),
            *catalog(lake.database, glue.GetTable, glue.CreateTable, glue.UpdateTable),
            *find_database(lake.database),
        ],
    )


STEPS = (plan_compaction, write_parquet, commit_table)
"""In the order in which the machine takes them."""
