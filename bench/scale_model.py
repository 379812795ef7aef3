"""The batch side at 10,000 readings a second: runs, upkeep and a month's cost, from what one reading costs."""

import math
from typing import Final

import msgspec

from bench.scale_costs import METRICS_OF, Costs
from compaction import prices, rowgroups
from compaction.packing import MAX_OBJECTS
from config.sections import Compaction, Ingest, Lake, Optimization

READINGS_A_SECOND: Final = 10_000
DAYS: Final = 30
HOURS: Final = 24 * DAYS
MB, GB, TB = 1e6, 1e9, 1e12

MEASURED: Final = {
    200: Costs(197.0, 258.0, 41.3, 22.3, 7.34, 2.62, 0.40, 5.97),
    500: Costs(503.0, 564.0, 119.8, 70.3, 13.36, 3.49, 1.15, 9.82),
    1000: Costs(1007.0, 1068.0, 248.0, 147.6, 30.31, 6.60, 1.61, 20.28),
}
"""What `python -m bench scale --measure` found on a core of a shared x86-64 server, CPython 3.11."""

MANIFEST_BYTES: Final = {200: 500, 500: 700, 1000: 1140}
"""Of one file's entry in a manifest, compressed, which grows with the number of columns; tests/bench/test_scale.py."""
SNAPSHOT_BYTES: Final = 1_000  # of a snapshot in the metadata file, by the same test

DEFAULTS: Final = (Compaction(), Lake())
AT_THIS_RATE: Final = (Compaction(task_mb=256, worker_disk_mb=4096, lookback_days=7), Lake(partition_by="hour"))
"""Settings that the page compares."""
Settings = tuple[Compaction, Lake]

# assumptions
SLOWER: Final = 1.5  # one vCPU of Lambda (arm64, 1,769 MB) beside the core that was measured on
TASK_START_S: Final = 5.0  # cold start, first requests, last uploads
LIST_S_A_PAGE: Final = 0.12  # of 1,000 keys; docs/decisions/0024-ledger-of-committed-objects.md
FILL: Final = 0.8  # of a shard's limit that is planned with
SHARD_RECORDS, SHARD_BYTES = 1_000, 1 * MB  # a second, AWS's limits
ROW_BYTES, METRIC_BYTES = 100, 8  # in memory: keys, times and attributes, and each metric
REWRITTEN: Final = 1 + 4 / 24  # a day's readings: once when it is over, and its first hours before
FOOTER_REQUESTS, FOOTERS_AT_ONCE, REQUEST_S = 2, 16, 0.05
COMMIT_OBJECT_US: Final = 5.0  # docs/decisions/0024-ledger-of-committed-objects.md
PLAN_OBJECT_US: Final = 10.0  # python -m bench planner
STEP_S: Final = 10.0  # start of plan, commit and each change of state
TRANSITIONS_A_TASK, TRANSITIONS_A_RUN = 2, 6
S3_GB_MONTH: Final = 0.023  # https://aws.amazon.com/s3/pricing/, S3 Standard, first 50 TB


class Hour(msgspec.Struct, frozen=True):
    """One run of `compact`: its archive, its tasks, seconds of one and of each step, bytes of table of one."""

    objects: float
    archive_bytes: float
    tasks: int
    task_s: float
    plan_s: float
    map_s: float
    commit_s: float
    table_bytes: float

    @property
    def run_s(self) -> float:
        return self.plan_s + self.map_s + self.commit_s


class Day(msgspec.Struct, frozen=True):
    """One run of `optimize`: tasks, seconds of a task and of all, row groups read for one row group's worth of rows."""

    tasks: int
    task_s: float
    map_s: float
    amplification: float
    requests: float


def hour(costs: Costs, settings: Compaction) -> Hour:
    """The compaction of an arrival hour, when the archive is `lookback_days` old or older."""
    readings = READINGS_A_SECOND * 3600
    objects = READINGS_A_SECOND * costs.record_bytes * 3600 / (Ingest().firehose_buffer_mb * MB)
    archive = readings * costs.archive_bytes
    tasks = max(math.ceil(archive / (settings.task_mb * MB)), math.ceil(objects / MAX_OBJECTS))
    task_s = TASK_START_S + readings / tasks * costs.compact_us / 1e6 * SLOWER
    listed = objects * 24 * (settings.lookback_days or DAYS)
    footers_s = tasks * FOOTER_REQUESTS * REQUEST_S / FOOTERS_AT_ONCE
    return Hour(
        objects=objects,
        archive_bytes=archive,
        tasks=tasks,
        task_s=task_s,
        plan_s=STEP_S + listed / 1000 * LIST_S_A_PAGE + objects * PLAN_OBJECT_US / 1e6,
        map_s=math.ceil(tasks / settings.concurrency) * task_s,
        commit_s=STEP_S + objects * COMMIT_OBJECT_US / 1e6 + footers_s,
        table_bytes=readings / tasks * costs.table_bytes,
    )


def day(costs: Costs, settings: Settings) -> Day:
    """The upkeep of a day: each partition is cut into ranges of keys of about a file's size.

    A task reads whole row groups, and of every file of the partition the one in which its range begins, which another
    task reads too.
    """
    compaction, lake = settings
    partition_hours = {"day": 24, "hour": 1}[lake.partition_by]
    files = hour(costs, compaction).tasks * partition_hours
    rows = READINGS_A_SECOND * 3600 * partition_hours
    ranges = math.ceil(rows * costs.table_bytes / (compaction.file_mb * MB))
    passed_over = (ranges - 1) * files * min(row_group_rows(costs), rows / files)
    cpu_s = (rows * costs.rewrite_us + passed_over * costs.passed_over_us) / 1e6 * SLOWER
    tasks = math.ceil(ranges * 24 / partition_hours * REWRITTEN)
    task_s = TASK_START_S + cpu_s / ranges
    return Day(
        tasks=tasks,
        task_s=task_s,
        map_s=math.ceil(tasks / Optimization().concurrency) * task_s,
        amplification=1 + passed_over / rows,
        requests=tasks * files * 2,
    )


def row_group_rows(costs: Costs) -> float:
    """Rows of a row group, as the writer cuts them."""
    metrics = METRICS_OF[min(METRICS_OF, key=lambda size: abs(size - costs.payload_bytes))]
    return min(rowgroups.ROWS, rowgroups.BYTES / (ROW_BYTES + METRIC_BYTES * metrics))


def items(costs: Costs, settings: Settings) -> dict[str, float]:
    """USD a month, by item."""
    run, upkeep = hour(costs, settings[0]), day(costs, settings)
    month = READINGS_A_SECOND * 86_400 * DAYS
    gb_s = settings[0].worker_memory_mb / 1024 * prices.LAMBDA_GB_S
    listed = (run.objects * (24 * (settings[0].lookback_days or DAYS) + 1)) / 1000
    return {
        "compaction, Lambda": HOURS * gb_s * (run.tasks * run.task_s + run.plan_s + run.commit_s),
        "compaction, S3 requests": HOURS
        * (run.objects * prices.S3_GET + (listed + 3 * run.tasks) * prices.S3_PUT_OR_LIST),
        "compaction, Step Functions": HOURS
        * prices.STATE_TRANSITION
        * (TRANSITIONS_A_RUN + TRANSITIONS_A_TASK * run.tasks),
        "upkeep, Lambda": DAYS * gb_s * upkeep.tasks * upkeep.task_s,
        "upkeep, S3 requests": DAYS * (upkeep.requests * prices.S3_GET + 2 * upkeep.tasks * prices.S3_PUT_OR_LIST),
        "upkeep, Step Functions": DAYS * prices.STATE_TRANSITION * TRANSITIONS_A_TASK * upkeep.tasks,
        "S3, the archive of a month": month * costs.archive_bytes / GB * S3_GB_MONTH,
        "S3, the table of a month": month * costs.table_bytes / GB * S3_GB_MONTH,
    }


def shards(costs: Costs) -> int:
    """Of a provisioned stream, filled to FILL."""
    load = max(READINGS_A_SECOND / SHARD_RECORDS, READINGS_A_SECOND * costs.record_bytes / SHARD_BYTES)
    return math.ceil(load / FILL)
