"""What a run costs and how long it takes, restored objects included; list prices of us-east-1 (`compaction.prices`).

An estimate, good for telling a large run from a small one before it is started.
"""

import math
from typing import Final, NamedTuple

import msgspec

from compaction import prices
from compaction.estimating import Yield
from reprocessing.manifests import Plan
from reprocessing.request import Tier
from sensors.settings import FunctionSettings

_GB: Final = 1e9
_DAYS_A_MONTH: Final = 30
_STEPS_S: Final = 60.0  # planning twice, commit and report of a run of ordinary size
_TRANSITIONS_A_RUN: Final = 20
_TRANSITIONS_A_TASK: Final = 2  # a child workflow enters one state and ends
_REQUESTS_A_TASK: Final = 4  # its result, its files, and looks at what is done already
_MERGED: Final = 1.0
"""Time of a merge, of that of the decoding: an upkeep takes up to half of it for as many rows (docs/scale.md), and a
merge reads two rows for one."""


class Retrieval(NamedTuple):
    """What S3 takes for restoring: the hours that it says most are done in, USD for a request and for a GB."""

    hours: float
    request: float
    gb: float


GLACIER: Final[dict[Tier, Retrieval]] = {
    "Expedited": Retrieval(5 / 60, 10 / 1_000, 0.03),
    "Standard": Retrieval(5, 0.05 / 1_000, 0.01),
    "Bulk": Retrieval(12, 0, 0),
}
DEEP_ARCHIVE: Final[dict[Tier, Retrieval]] = {
    "Standard": Retrieval(12, 0.10 / 1_000, 0.02),
    "Bulk": Retrieval(48, 0.025 / 1_000, 0.0025),
}
"""There is no expedited retrieval from Deep Archive. Times are those of
https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html, prices those of
https://aws.amazon.com/s3/pricing/."""


class Thaw(msgspec.Struct, frozen=True):
    """What restoring the frozen objects of a run takes: the longest of its waits, and the copies' storage included.

    `refused` are objects that S3 does not restore by the tier that was asked for; they are no part of the rest.
    """

    objects: int
    bytes: int
    hours: float
    cost_usd: float
    refused: int


class Estimate(msgspec.Struct, frozen=True):
    """Seconds and USD of a run that applies its changes, without the wait for restored objects, and with their cost."""

    seconds: int
    cost_usd: float
    thaw: Thaw


def estimate(plan: Plan, settings: FunctionSettings, hot_rows: int) -> Estimate:
    """What the run of a plan takes that writes so many readings to the hot table; nothing costs nothing."""
    frozen = thaw(plan)
    if not plan.objects:
        return Estimate(0, 0.0, frozen)
    decode_s = plan.bytes / Yield().bytes_a_second
    worker_s = decode_s * (1 + _MERGED)
    tasks = max(plan.tasks, math.ceil(plan.bytes / (settings.compaction.task_mb * 1_000_000)), 1)
    at_once = min(tasks, settings.reprocessing.concurrency)
    hot_s = hot_rows / plan.request.max_rate
    memory_gb = settings.compaction.worker_memory_mb / 1024
    requests = (
        prices.S3_GET * plan.objects
        + (prices.S3_PUT_OR_LIST * _REQUESTS_A_TASK + prices.LAMBDA_REQUEST) * 2 * tasks
        + prices.STATE_TRANSITION * (_TRANSITIONS_A_RUN + 2 * tasks * _TRANSITIONS_A_TASK)
        + (prices.HOT_READ + prices.HOT_WRITE) * hot_rows
    )
    lambda_usd = prices.LAMBDA_GB_S * memory_gb * (worker_s + _STEPS_S + hot_s * settings.reprocessing.hot_writers)
    seconds = round(_STEPS_S + worker_s / at_once + hot_s)
    return Estimate(seconds, round(requests + lambda_usd + frozen.cost_usd, 6), frozen)


def thaw(plan: Plan) -> Thaw:
    """What restoring the frozen objects of a plan takes, by the tier and for the days of its request."""
    tier = plan.request.restore_tier
    parts = [
        (GLACIER.get(tier), plan.frozen - plan.deep, plan.frozen_bytes - plan.deep_bytes),
        (DEEP_ARCHIVE.get(tier), plan.deep, plan.deep_bytes),
    ]
    done = [(taken, objects, size) for taken, objects, size in parts if taken is not None and objects]
    usd = sum(taken.request * objects + taken.gb * size / _GB for taken, objects, size in done)
    copied = sum(size for _, _, size in done)
    usd += prices.S3_GB_MONTH * copied / _GB * plan.request.restore_days / _DAYS_A_MONTH
    return Thaw(
        objects=sum(objects for _, objects, _ in done),
        bytes=copied,
        hours=max((taken.hours for taken, _, _ in done), default=0.0),
        cost_usd=round(usd, 6),
        refused=sum(objects for taken, objects, _ in parts if taken is None),
    )
