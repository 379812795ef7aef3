"""A week that was stored with a wrong calibration becomes, row by row and item by item, what it should have been."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config import settings as config
from config.settings import Settings
from tests.changed import changed
from tests.e2e.week import DAYS, DEVICES, READINGS, Sent, archived, batches, week
from tests.lake import Lake, client
from tests.ops.deployment import Deployment

pytestmark = pytest.mark.e2e

START = datetime.combine(datetime.now(UTC), datetime.min.time(), UTC) - timedelta(days=DAYS + 2)
ASKED = {
    "from": START.isoformat(),
    "to": (START + timedelta(days=DAYS)).isoformat(),
    "source": "archive",
    "targets": ["table", "hot"],
    "max_rate": 100_000,
    "note": "temperatures were scaled by a tenth",
}
ALL = DEVICES * READINGS

Rows = list[dict[str, Any]]
Items = dict[tuple[str, str], dict[str, Any]]


def settings_of(scale: float) -> Settings:
    """The system `local` with a calibration, and a limit that temperatures of every week are beyond."""
    temperature = {"scale": scale, "thresholds": ({"above": 70.0},)}
    return changed(config.load("local", {}), metrics={"temperature": temperature})


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a system has at one time: rows, items but for who wrote them, and how many alerts have gone out."""

    rows: Rows
    items: Items
    alerts: int


class Plant(Deployment):
    """A deployment with the function that reads the stream, and a queue that hears the alerts."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(Lake(), settings)
        self.functions["process_readings"] = f"process_readings-{self.lake.database}"
        self._create_function("process_readings", self.functions["process_readings"])
        self._queue = self._alerts_queue()
        self.begin()

    def store(self, sent: list[Sent]) -> None:
        """Archive what was sent as Firehose does, take it off the stream, and compact the archive."""
        for key, body in archived(sent):
            client("s3").put_object(Bucket=self.lake.raw, Key=key, Body=body)
        for event in batches(sent):
            function = self.functions["process_readings"]
            answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
            assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}
        self.run("week", {}, "compact")

    def run(self, name: str, run_input: dict[str, Any], machine: str = "reprocess") -> None:
        """Run a machine to its good end."""
        execution = self.start(name, run_input, machine)
        assert execution["status"] == "SUCCEEDED", execution

    def report(self, run_id: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.lake.store.read(f"runs/reprocess/{run_id}/report.json") or b"")
        return report

    def seen(self) -> Seen:
        counted = "ApproximateNumberOfMessages"
        alerts = client("sqs").get_queue_attributes(QueueUrl=self._queue, AttributeNames=[counted])["Attributes"]
        return Seen(self.lake.rows(), dict(self._items()), int(alerts[counted]))

    def _alerts_queue(self) -> str:
        sqs = client("sqs")
        url: str = sqs.create_queue(QueueName=self.name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allowed]})})
        client("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        return url

    def _items(self) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        for page in client("dynamodb").get_paginator("scan").paginate(TableName=self.name):
            for item in page["Items"]:
                del item["processed_at"]
                item.pop("reprocessed_by", None)
                yield (item["device_id"]["S"], item["timestamp"]["N"]), item


@dataclasses.dataclass(frozen=True)
class Story:
    """What was there at each step, and the reports of the two runs."""

    should_be: Seen
    wrong: Seen
    tried: Seen
    applied: Seen
    undone: Seen
    dry_run: dict[str, Any]
    apply: dict[str, Any]


@pytest.fixture(scope="module")
def story(emulator: object) -> Iterator[Story]:
    """Two systems store the week, one with a wrong calibration, which is mended then."""
    right, wrong = Plant(settings_of(1.0)), Plant(settings_of(0.1))
    sent = week(START)
    for plant in (right, wrong):
        plant.store(sent)
    should_be, spoiled = right.seen(), wrong.seen()

    wrong.redeploy(settings_of(1.0))
    wrong.run("try", {**ASKED, "mode": "dry_run"})
    tried = wrong.seen()
    wrong.run("mend", {**ASKED, "mode": "apply"})
    applied = wrong.seen()
    wrong.run("back", {"undo": "mend", "note": "to see that it can be"})
    yield Story(should_be, spoiled, tried, applied, wrong.seen(), wrong.report("try"), wrong.report("mend"))
    for plant in (right, wrong):
        plant.end()


def test_a_wrong_calibration_spoils_every_row_and_item_and_hides_every_alarm(story: Story) -> None:
    assert len(story.should_be.rows) == len(story.should_be.items) == ALL
    assert [row["temperature"] for row in story.wrong.rows] == [
        row["temperature"] * 0.1 for row in story.should_be.rows
    ]
    assert story.wrong.items.keys() == story.should_be.items.keys()
    assert not any(item == story.should_be.items[key] for key, item in story.wrong.items.items())
    assert (story.should_be.alerts > 0, story.wrong.alerts) == (True, 0)


def test_a_dry_run_says_what_would_change_and_changes_nothing(story: Story) -> None:
    readings, temperature = story.dry_run["readings"], story.dry_run["metrics"]["temperature"]

    assert story.tried == story.wrong
    assert story.dry_run["outcome"] == "looked"
    assert (readings["before"], readings["after"]) == (ALL, ALL)
    assert (readings["changed"], temperature["changed"]) == (ALL, ALL)
    assert list(story.dry_run["metrics"]) == ["temperature"]
    assert story.dry_run["records"]["by_reason"] == {"not_json": DAYS}
    assert story.dry_run["found"]["outside"] == 1, "the object with the late readings of the last day"


def test_applied_every_row_and_item_is_as_if_the_calibration_had_always_been_right(story: Story) -> None:
    assert story.applied.rows == story.should_be.rows
    assert story.applied.items == story.should_be.items
    assert story.apply["outcome"] == "applied"
    assert story.apply["readings"] == story.dry_run["readings"]
    assert story.apply["hot"]["written"] == ALL


def test_trouble_of_last_week_is_in_the_report_and_wakes_nobody(story: Story) -> None:
    assert story.apply["alarms_before"]["total"] == 0
    assert story.apply["alarms_after"]["total"] > 0
    assert story.apply["alerts"]["sent"] == 0
    assert story.undone.alerts == 0


def test_undone_the_rows_are_what_they_were_and_the_hot_table_stays_mended(story: Story) -> None:
    assert story.undone.rows == story.wrong.rows
    assert story.undone.items == story.should_be.items
