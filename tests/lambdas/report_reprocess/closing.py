"""A run over readings whose temperature was ten times too high, and its end."""

# ruff: noqa: N803 - arguments have the names that the clients give them

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from reprocessing.report.closing import Closer, Ending
from reprocessing.report.contents import Refusal, Report
from sensors.settings import FunctionSettings, Metric, Threshold
from tests.lake import AT, Lake, reading
from tests.lambdas.reprocessing.harness import Reprocessing

HOT = Threshold("critical", above=100.0)
METRICS = {"temperature": Metric("°C", (HOT,)), "vibration": Metric("mm/s")}
NOW = datetime(2026, 11, 21, 12, 7, 30, tzinfo=UTC)
TOPIC = "arn:aws:sns:eu-central-1:000000000000:alerts"


class Run(Reprocessing):
    """A run of a system with a threshold."""

    @property
    def settings(self) -> FunctionSettings:
        return replace(super().settings, metrics=METRICS, system="factory")


class Topic:
    """An SNS topic: what was published."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: list[dict[str, Any]]) -> dict[str, Any]:
        assert TopicArn == TOPIC
        self.messages += [msgspec.json.decode(entry["Message"]) for entry in PublishBatchRequestEntries]
        return {}


def store(lake: Lake, before: list[float], after: list[float] | None = None) -> None:
    """Have the table hold temperatures of pump-1, second by second, and the archive others at the same time."""
    for temperatures, run_id in ((before, "compaction"), (after, None)):
        if temperatures is not None:
            lake.put("pump-1", [reading(at=AT + at, temperature=value) for at, value in enumerate(temperatures)])
        if run_id is not None:
            lake.run(run_id)


def close(
    run: Reprocessing, topic: Topic | None = None, refused: Refusal | None = None, release: Callable[[], object] = list
) -> Report:
    """What `report_reprocess` does."""
    lake = run.lake
    closer = Closer(
        s3=lake.s3,
        bucket=lake.processed,
        glue=lake.glue,
        database=lake.database,
        settings=run.settings,
        sns=topic or Topic(),
        topic_arn=TOPIC,
        release=release,
        now=NOW,
    )
    return closer.close(run.run_id, Ending(run.merge_id, refused))
