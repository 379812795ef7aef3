"""What a planned run would write and cost, from its size and from what runs before it made of theirs."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from compaction import prices
from compaction.planning import Size
from compaction.runs import RunSnapshot

_LIST_PAGE = 1_000  # keys of one answer, S3's most
_TRANSITIONS_A_TASK = 2  # a child workflow enters one state and ends
_TRANSITIONS_A_RUN = 6
_PUTS_A_TASK = 2  # result and quarantine, beside its files
_READS_A_FILE = 4  # its footer, by the check and by the commit: a look at its head and a read at its end
_STEPS_S = 30.0  # planning and commit of a run of ordinary size


class Yield(msgspec.Struct, frozen=True):
    """What comes of archive bytes (compressed) and tasks.

    The defaults are measured with readings of six metrics, 260 bytes each, of which gzip leaves 27: a worker takes up
    about 2 MB of compressed archive a second.
    """

    rows_a_byte: float = 1 / 27
    files_a_task: float = 1.0
    bytes_a_second: float = 2_000_000.0


def yield_of(newest_first: Sequence[RunSnapshot]) -> Yield:
    """What the last run that published a row made of its archive; the defaults before there is one."""
    for run in newest_first:
        rows, size, tasks, files = (
            int(run.properties.get(name, 0))
            for name in ("sensorkeep.stored", "sensorkeep.archive-bytes", "sensorkeep.tasks", "added-data-files")
        )
        if rows and size and tasks:
            return Yield(rows / size, files / tasks)
    return Yield()


def estimate(size: Size, expected: Yield, worker_memory_mb: int) -> dict[str, Any]:
    """Rows, files and USD of a run of this size; nothing costs nothing."""
    files = math.ceil(size.tasks * expected.files_a_task)
    worker_s = size.bytes / expected.bytes_a_second
    requests = (
        prices.S3_GET * (size.objects + _READS_A_FILE * files)
        + prices.S3_PUT_OR_LIST * (2 * size.objects / _LIST_PAGE + files + _PUTS_A_TASK * size.tasks)
        + prices.LAMBDA_REQUEST * size.tasks
        + prices.STATE_TRANSITION * (_TRANSITIONS_A_RUN + _TRANSITIONS_A_TASK * size.tasks)
    )
    lambda_s = prices.LAMBDA_GB_S * (worker_s * worker_memory_mb / 1024 + _STEPS_S)
    return {
        "rows": round(size.bytes * expected.rows_a_byte),
        "files": files,
        "cost_usd": round(requests + lambda_s, 6) if size.tasks else 0.0,
    }
