"""Reprocessing of a day at 10,000 readings a second: its tasks, their durations, and what it costs."""

import math
from typing import Final

import msgspec

from bench.scale_costs import Costs
from bench.scale_model import MB, READINGS_A_SECOND, SLOWER, TASK_START_S, Settings, hour, row_group_rows
from compaction import prices
from compaction.packing import CHUNK_OBJECTS
from compaction.planning import MAX_OBJECTS, MAX_TASKS
from config.sections import Reprocessing
from optimization.surveying import MAX_TASKS as MAX_MERGES
from reprocessing.plan.drafting import TASK_OBJECTS

REQUESTS_A_TASK: Final = 4  # its result, its files, and looks at what is done already
TRANSITIONS_A_TASK: Final = 2  # a child workflow enters one state and ends


class Reprocess(msgspec.Struct, frozen=True):
    """One run over a day: objects, tasks of both maps, seconds of a task and of all, and USD by item."""

    objects: float
    decode_tasks: int
    decode_task_s: float
    decode_s: float
    merge_tasks: int
    merge_task_s: float
    merge_s: float
    lambda_usd: float
    requests_usd: float
    transitions_usd: float

    @property
    def usd(self) -> float:
        return self.lambda_usd + self.requests_usd + self.transitions_usd

    @property
    def days_a_run(self) -> float:
        """Of so many days a run is as large as it may be."""
        merges = MAX_MERGES / self.merge_tasks
        return min(MAX_OBJECTS / self.objects, MAX_TASKS / self.decode_tasks, merges)


def reprocess(costs: Costs, settings: Settings) -> Reprocess:
    """A run for the table over a day that upkeep has tidied: every partition of it is merged.

    A task decodes objects of a chunk of the plan, so that it leaves a file in each partition that the chunk is of. A
    merging task reads whole row groups: of every staged file of its partition at least one.
    """
    compaction, lake = settings
    an_hour, at_once = hour(costs, compaction), Reprocessing().concurrency
    partitions = {"day": 1, "hour": 24}[lake.partition_by]
    rows = READINGS_A_SECOND * 86_400 / partitions
    objects = an_hour.objects * 24
    decode_tasks = math.ceil(max(an_hour.archive_bytes * 24 / (compaction.task_mb * MB), objects / TASK_OBJECTS))
    decode_s = rows * partitions / decode_tasks * costs.compact_us / 1e6 * SLOWER
    chunk_partitions = min(partitions, max(1, CHUNK_OBJECTS / objects * partitions))
    staged = decode_tasks / partitions * chunk_partitions
    ranges = max(1, round(2 * rows * costs.table_bytes / (compaction.file_mb * MB)))
    passed_over = (ranges - 1) * staged * min(row_group_rows(costs), rows / staged)
    merge_s = (rows * costs.merge_us + passed_over * costs.passed_over_us) / 1e6 * SLOWER / ranges
    merge_tasks = ranges * partitions
    gb_s = compaction.worker_memory_mb / 1024 * prices.LAMBDA_GB_S
    task_s, merge_task_s = TASK_START_S + decode_s, TASK_START_S + merge_s
    tasks = decode_tasks + merge_tasks
    return Reprocess(
        objects=objects,
        decode_tasks=decode_tasks,
        decode_task_s=task_s,
        decode_s=math.ceil(decode_tasks / at_once) * task_s,
        merge_tasks=merge_tasks,
        merge_task_s=merge_task_s,
        merge_s=math.ceil(merge_tasks / at_once) * merge_task_s,
        lambda_usd=gb_s * (decode_tasks * task_s + merge_tasks * merge_task_s),
        requests_usd=(objects + 2 * merge_tasks * staged) * prices.S3_GET
        + tasks * REQUESTS_A_TASK * prices.S3_PUT_OR_LIST,
        transitions_usd=tasks * TRANSITIONS_A_TASK * prices.STATE_TRANSITION,
    )
