"""The functions of the state machine `optimize`: for each its size and exactly what it may do.

Sizes are those of the compaction: planning and commits hold what its commit holds, a task what one of its tasks holds.
"""

from awacs import glue, s3

from config.settings import Settings
from templates.shared import iam
from templates.shared.functions import FunctionSpec
from templates.shared.lake_functions import Lake, catalog, find_database, lake_function, objects

MANIFESTS = "runs/optimize/*"
TABLE = "warehouse/readings/*"


def plan_optimization(settings: Settings, lake: Lake) -> FunctionSpec:
    """Finds the files that are to be rewritten and writes the plan."""
    return lake_function(
        settings,
        lake,
        folder="plan_optimization",
        description="Find the table's files that are small, unsorted or overlap, and plan their rewriting",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, TABLE, s3.GetObject),
            *catalog(lake.database, glue.GetTable),
        ],
    )


def rewrite_parquet(settings: Settings, lake: Lake) -> FunctionSpec:
    """Rewrites the rows of one task."""
    return lake_function(
        settings,
        lake,
        folder="rewrite_parquet",
        description="Rewrite the rows of one task, sorted and each once",
        memory_mb=settings.compaction.worker_memory_mb,
        disk_mb=settings.compaction.worker_disk_mb,
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, TABLE, s3.GetObject, s3.PutObject),
        ],
    )


def commit_rewrite(settings: Settings, lake: Lake) -> FunctionSpec:
    """Publishes a run's files in the place of those that it has rewritten."""
    return lake_function(
        settings,
        lake,
        folder="commit_rewrite",
        description="Publish a run's files in the place of those it has rewritten, as one snapshot",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject),
            # nothing may be deleted here: what is replaced stays for the older snapshots
            objects(lake, TABLE, s3.GetObject, s3.PutObject),
            *catalog(lake.database, glue.GetTable, glue.UpdateTable),
            *find_database(lake.database),
        ],
    )


def expire_snapshots(settings: Settings, lake: Lake) -> FunctionSpec:
    """Takes old snapshots out of the table, after the ledger has what only they may say."""
    return lake_function(
        settings,
        lake,
        folder="expire_snapshots",
        description="Complete the ledger and take old snapshots out of the table",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, "runs/compact/*", s3.GetObject),  # the plans that the ledger is completed from
            objects(lake, "ledger/*", s3.GetObject, s3.PutObject),
            objects(lake, TABLE, s3.GetObject, s3.PutObject),
            *catalog(lake.database, glue.GetTable, glue.UpdateTable),
            *find_database(lake.database),
        ],
    )


def sweep_orphans(settings: Settings, lake: Lake) -> FunctionSpec:
    """Deletes the files of the table that no snapshot names, and closes the run: the only one that may delete."""
    return lake_function(
        settings,
        lake,
        folder="sweep_orphans",
        description="Delete the table's files that no snapshot names, and close the run",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.look_for_keys(lake.processed),  # which also lets it list the table's files
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, "ledger/optimize/*", s3.PutObject),
            objects(lake, TABLE, s3.DeleteObject, s3.GetObject),
            *catalog(lake.database, glue.GetTable),
        ],
    )


STEPS = (plan_optimization, rewrite_parquet, commit_rewrite, expire_snapshots, sweep_orphans)
"""In the order in which the machine takes them."""
