"""Both reference systems at work side by side: a fleet each, and the books of each balance."""

import contextlib
import json
import time
from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.progress import Progress

from config import settings as config
from local import process, state
from local.__main__ import main
from local.demo import load, settling, tools
from local.demo.accounts import Accounts
from local.demo.audit import Alerts, Archive, HotTable, Quarantine
from local.fleet.devices import Site
from local.fleet.generate import Plan, messages
from local.fleet.message import Tally
from local.fleet.shipment import Shipment, ship
from tests.changed import changed
from tests.e2e.printed import SYSTEMS, Deployments
from tests.e2e.resources import eventually
from tests.e2e.systems import System, deployer

pytestmark = pytest.mark.e2e

SOON = {"ingest": {"firehose_buffer_s": 1}, "realtime": {"event_source": {"window_s": 1, "parallelization": 1}}}
"""Nothing is held back for minutes, and a few devices need few functions; else as the reference systems have it."""
BY_DEVICE = "select device_id, count(*) as readings from readings group by device_id"


class Traffic:
    """One system, its fleet and the books of both."""

    def __init__(self, running: process.Running, system: System) -> None:
        self.system = system
        self._running = running.in_region(system.settings.region)
        self.in_the_table: dict[str, int] = {}
        """Readings of the Iceberg table by device, once they are accounted for."""
        self._now_ms = time.time_ns() // 1_000_000
        plan = Plan(devices=3, rate=300, duration_s=1, seed=1, prefix=system.settings.system)
        self.devices = [*plan.names, load.BOILER]
        self._messages = load.with_extras(messages(plan, self._now_ms), self._now_ms)
        outputs = system.outputs
        with self.region():
            self._alerts = Alerts(outputs["AlertsTopicArn"], f"listener-{system.settings.suffix}")
            self.archive = Archive(outputs["RawBucketName"])
            self.hot = HotTable(outputs["ReadingsTableName"])
            self._quarantine = Quarantine(outputs["ProcessedBucketName"], "stream")

    def send(self) -> Tally:
        """Readings, with garbage and duplicates among them, over MQTT with a certificate a device."""
        shipment = Shipment(self.devices, self._messages, None)
        return ship(self._running, Site.of(self.system.outputs), shipment, Progress(disable=True)).tally

    def account_for(self, tally: Tally) -> Accounts:
        """Wait until everything is somewhere, compact it with the system's own state machine, and count."""
        settling.settle(tally, self.archive, self.hot, self._quarantine, Console(quiet=True))
        with self.region():
            compacted = tools.compact("--stack", self.system.settings.stack_name)
            rows = tools.query(BY_DEVICE, "--stack", self.system.settings.stack_name)
        self.in_the_table = {row["device_id"]: row["readings"] for row in rows}
        return Accounts(
            tally=tally,
            archived=self.archive.count(),
            undelivered=self.archive.errors(),
            stored=self.hot.count(),
            quarantined_by_reason=self._quarantine.by_reason(),
            compacted=compacted,
            table_rows=sum(self.in_the_table.values()),
            objects_before=self.archive.objects,
            bytes_before=self.archive.bytes,
            alerts=len(self._alerts.receive()),
            seconds={},
        )

    @contextlib.contextmanager
    def region(self) -> Iterator[None]:
        """AWS clients that name no region work in the system's."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
                patch.setenv(name, self.system.settings.region)
            yield


@pytest.fixture(scope="module")
def traffic(
    emulator: process.Running, deployments: Deployments, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Traffic]:
    """Both systems, deployed side by side and ready to be sent to, while the AWS CLI deploys others."""
    deploy = deployer(emulator, tmp_path_factory.mktemp("soon"))
    names = {"iot-processing": "busycity", "manufacturing": "busyworks"}
    found = {}
    for environment, suffix in names.items():
        own = {"ENVIRONMENT_SUFFIX": suffix, "TOPIC_PREFIX": "busy/{system}"}
        found[environment] = Traffic(emulator, deploy(changed(config.load(environment, own), **SOON)))
    return found


@pytest.fixture(scope="module")
def accounts(traffic: dict[str, Traffic]) -> dict[str, Accounts]:
    """The books of both systems, after both fleets have sent."""
    tallies = {environment: one.send() for environment, one in traffic.items()}
    return {environment: one.account_for(tallies[environment]) for environment, one in traffic.items()}


@pytest.mark.promise("manufacturing", "behaviour")
@pytest.mark.promise("manufacturing", "failed records are not lost")
@pytest.mark.promise("both", "compaction")
@pytest.mark.parametrize("environment", SYSTEMS)
def test_the_books_of_a_fleet_balance_in_the_hot_table_and_after_a_compaction(
    accounts: dict[str, Accounts], environment: str
) -> None:
    books = accounts[environment]

    assert books.faults() == []
    assert min(books.stored, books.duplicate, books.quarantined, books.alerts) > 0


@pytest.mark.promise("manufacturing", "no unknown device")
@pytest.mark.parametrize("environment", SYSTEMS)
def test_a_system_holds_readings_of_its_own_devices_alone(
    traffic: dict[str, Traffic], accounts: dict[str, Accounts], environment: str
) -> None:
    assert set(traffic[environment].in_the_table) == set(traffic[environment].devices)


@pytest.mark.promise("manufacturing", "no object a reading")
@pytest.mark.parametrize("environment", SYSTEMS)
def test_the_archive_has_far_fewer_objects_than_readings(accounts: dict[str, Accounts], environment: str) -> None:
    assert accounts[environment].objects_before * 10 < accounts[environment].archived


@pytest.mark.promise("manufacturing", "behaviour")
@pytest.mark.promise("manufacturing", "zero is a value")
def test_a_stored_reading_has_its_metrics_zero_too_and_when_it_was_processed(traffic: dict[str, Traffic]) -> None:
    works = traffic["manufacturing"].system
    works.send("at-rest", temperature=0, vibration=0.5, pressure=2)

    (reading,) = eventually(lambda: works.readings("at-rest"))

    assert {name: float(reading[name]) for name in ("temperature", "vibration", "pressure")} == {
        "temperature": 0,
        "vibration": 0.5,
        "pressure": 2,
    }
    assert {"device_id", "timestamp", "processed_at"} <= reading.keys()


@pytest.mark.promise("iot-processing", "function")
@pytest.mark.parametrize("environment", SYSTEMS)
def test_the_function_writes_structured_logs_of_what_it_did(
    traffic: dict[str, Traffic], accounts: dict[str, Accounts], environment: str
) -> None:
    system = traffic[environment].system
    group = f"/aws/lambda/{system.outputs['ProcessReadingsName']}"
    pages = system.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    messages = [event["message"] for page in pages for event in page["events"]]
    entries = [json.loads(message) for message in messages if message.startswith('{"level"')]

    assert entries
    assert all(entry.keys() >= {"level", "message", "service", "timestamp", "function_request_id"} for entry in entries)


def test_the_fleets_command_reaches_a_system_of_another_region(
    emulator: process.Running,
    traffic: dict[str, Traffic],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    works = traffic["manufacturing"].system
    monkeypatch.setattr(state, "running", lambda: emulator)
    fleet = ["--devices", "1", "--rate", "50", "--duration", "0.1", "--prefix", "commanded", "--json"]

    code = main(["simulate", *fleet, "--stack", works.settings.stack_name, "--region", works.settings.region])

    assert (code, json.loads(capsys.readouterr().out)["published"]) == (0, 5)
    assert eventually(lambda: len(works.readings("commanded-0001")) == 5)


def test_a_stack_that_is_not_in_the_region_is_told(
    emulator: process.Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(state, "running", lambda: emulator)

    assert main(["simulate", "--stack", "manufacturing-nowhere"]) == 1
    assert "no stack manufacturing-nowhere in eu-central-1" in capsys.readouterr().err
