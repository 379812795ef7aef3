"""The functions of the state machine `reprocess`: for each its size and exactly what it may do.

Sizes are those of the compaction: planning and commits hold what its commit holds, a task what one of its tasks holds.
"""

import functools

from awacs import dynamodb, glue, kms, s3, sns, states
from awacs.aws import Statement

from config.settings import Settings
from templates.shared import iam
from templates.shared.functions import FunctionSpec
from templates.shared.lake_functions import Lake, Step, catalog, find_database, lake_function, objects
from templates.shared.naming import own_name

ARCHIVE = "raw-data/*"
MANIFESTS = "runs/reprocess/*"
STAGED = "staging/reprocess/*"
LEDGER = "ledger/reprocess/*"
CLAIMS = "ledger/reprocess/claims/*"
MARKS = "ledger/quarantine/*"
QUARANTINE = "quarantine/*"
TABLE = "warehouse/readings/*"


def steps(table: object, topic_arn: object) -> tuple[Step, ...]:
    """In the order in which the machine takes them; `table` is the hot table's name."""
    return (
        plan_reprocess,
        restore_objects,
        decode_objects,
        plan_merge,
        merge_readings,
        commit_reprocess,
        functools.partial(write_hot_table, table=table),
        functools.partial(report_reprocess, topic_arn=topic_arn),
        undo_reprocess,
    )


def plan_reprocess(settings: Settings, lake: Lake) -> FunctionSpec:
    """Checks the input, claims the range, and finds what is to be decoded."""
    return lake_function(
        settings,
        lake,
        folder="plan_reprocess",
        description="Check the input, claim the range, find what is to be decoded",
        memory_mb=settings.compaction.planner_memory_mb,
        statements=[
            iam.look_for_keys(lake.raw),
            iam.allow(iam.objects_arn(lake.raw, ARCHIVE), s3.GetObject),
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, "runs/compact/*", s3.GetObject),  # the tasks that failed in a run
            objects(lake, "ledger/*", s3.GetObject),
            objects(lake, TABLE, s3.GetObject),
            *catalog(lake.database, glue.GetTable),
            *_claim(settings, lake),
        ],
    )


def restore_objects(settings: Settings, lake: Lake) -> FunctionSpec:
    """Has frozen objects restored, and looks how far that is."""
    return lake_function(
        settings,
        lake,
        folder="restore_objects",
        description="Have frozen objects of the archive restored",
        memory_mb=settings.compaction.planner_memory_mb,
        statements=[
            iam.look_for_keys(lake.raw),
            iam.allow(iam.objects_arn(lake.raw, ARCHIVE), s3.GetObject, s3.RestoreObject),
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
        ],
    )


def decode_objects(settings: Settings, lake: Lake) -> FunctionSpec:
    """Decodes the objects of one task."""
    return lake_function(
        settings,
        lake,
        folder="decode_objects",
        description="Decode the objects of one task",
        memory_mb=settings.compaction.worker_memory_mb,
        disk_mb=settings.compaction.worker_disk_mb,
        statements=[
            iam.look_for_keys(lake.raw),
            iam.allow(iam.objects_arn(lake.raw, ARCHIVE), s3.GetObject),
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, MARKS, s3.GetObject),
            objects(lake, QUARANTINE, s3.GetObject),
            objects(lake, STAGED, s3.PutObject),
        ],
    )


def plan_merge(settings: Settings, lake: Lake) -> FunctionSpec:
    """Says which files are merged with what was decoded."""
    return lake_function(
        settings,
        lake,
        folder="plan_merge",
        description="Plan which files of the table are merged with what was decoded",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, TABLE, s3.GetObject),
            *catalog(lake.database, glue.GetTable),
        ],
    )


def merge_readings(settings: Settings, lake: Lake) -> FunctionSpec:
    """Merges the rows of one task, and compares before and after."""
    return lake_function(
        settings,
        lake,
        folder="merge_readings",
        description="Merge decoded readings with the rows of one task, and compare",
        memory_mb=settings.compaction.worker_memory_mb,
        disk_mb=settings.compaction.worker_disk_mb,
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, STAGED, s3.GetObject),
            objects(lake, TABLE, s3.GetObject, s3.PutObject),
        ],
    )


def commit_reprocess(settings: Settings, lake: Lake) -> FunctionSpec:
    """Verifies a run and publishes its files in the place of those that it has merged."""
    return lake_function(
        settings,
        lake,
        folder="commit_reprocess",
        description="Verify a reprocessing and publish it as one snapshot",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, STAGED, s3.GetObject),
            objects(lake, QUARANTINE, s3.PutObject),
            objects(lake, MARKS, s3.PutObject),
            # no file may be deleted here: what is replaced stays for the older snapshots
            objects(lake, TABLE, s3.GetObject, s3.PutObject),
            *catalog(lake.database, glue.GetTable, glue.CreateTable, glue.UpdateTable),
            *find_database(lake.database),
            objects(lake, CLAIMS, s3.GetObject),
            *_claim(settings, lake),
        ],
    )


def write_hot_table(settings: Settings, lake: Lake, *, table: object) -> FunctionSpec:
    """Writes the readings of one task to the hot table."""
    return lake_function(
        settings,
        lake,
        folder="write_hot_table",
        description="Write the readings of one task to the hot table, at the run's rate",
        memory_mb=settings.compaction.worker_memory_mb,
        environment={"READINGS_TABLE": table},
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, STAGED, s3.GetObject),
            iam.allow(iam.table_arn(table), dynamodb.BatchGetItem, dynamodb.PutItem),
            # DynamoDB opens the table's own key with the caller's permissions
            iam.use_key(lake.key_arn, "dynamodb", kms.Decrypt),
        ],
    )


def report_reprocess(settings: Settings, lake: Lake, *, topic_arn: object) -> FunctionSpec:
    """Says what a run has changed, and closes it."""
    return lake_function(
        settings,
        lake,
        folder="report_reprocess",
        description="Say what a reprocessing has changed, send its alerts when asked, and close it",
        memory_mb=settings.compaction.committer_memory_mb,
        environment={"ALERTS_TOPIC_ARN": topic_arn},
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, LEDGER, s3.GetObject, s3.PutObject),
            objects(lake, CLAIMS, s3.DeleteObject),
            objects(lake, MARKS, s3.PutObject),
            # of the readings whose values have changed, for the charts
            objects(lake, STAGED, s3.GetObject),
            objects(lake, TABLE, s3.GetObject),
            # whether what was published is in the table's history still
            *catalog(lake.database, glue.GetTable),
            iam.allow(topic_arn, sns.Publish),
            iam.use_key(lake.key_arn, "sns", kms.Decrypt, kms.GenerateDataKey),
        ],
    )


def undo_reprocess(settings: Settings, lake: Lake) -> FunctionSpec:
    """Takes a run's files out of the table and puts those from before it back."""
    return lake_function(
        settings,
        lake,
        folder="undo_reprocess",
        description="Take back what a reprocessing has published",
        memory_mb=settings.compaction.committer_memory_mb,
        statements=[
            iam.look_for_keys(lake.processed),
            objects(lake, MANIFESTS, s3.GetObject, s3.PutObject),
            objects(lake, LEDGER, s3.GetObject, s3.PutObject),
            objects(lake, MARKS, s3.DeleteObject, s3.GetObject),
            objects(lake, QUARANTINE, s3.DeleteObject),
            objects(lake, TABLE, s3.GetObject, s3.PutObject),
            *catalog(lake.database, glue.GetTable, glue.UpdateTable),
            *find_database(lake.database),
            objects(lake, CLAIMS, s3.DeleteObject),  # which are read and written as part of the ledger
            _look_at_execution(settings),
        ],
    )


def _claim(settings: Settings, lake: Lake) -> list[Statement]:
    """Claim a range and give it back; a claim of others is worth as much as the execution that has made it."""
    return [
        objects(lake, CLAIMS, s3.DeleteObject, s3.PutObject),
        _look_at_execution(settings),
    ]


def _look_at_execution(settings: Settings) -> Statement:
    return iam.allow(iam.arn("states", f"execution:{own_name(settings, 'reprocess')}:*"), states.DescribeExecution)
