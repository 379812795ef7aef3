"""Both reference systems at work side by side: a fleet each, and the books of each balance."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

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
from tests.e2e.printed import SYSTEMS
from tests.e2e.resources import eventually
from tests.e2e.systems import System, deployer

pytestmark = pytest.mark.e2e

READINGS = "select device_id, count(*) as readings from readings group by device_id"


@pytest.fixture(scope="module")
def quick(
    emulator: process.Running, systems: dict[str, System], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, System]:
    """The deployed systems, changed to hold nothing back for minutes."""
    deploy = deployer(emulator, tmp_path_factory.mktemp("quick"))
    soon = {"ingest": {"firehose_buffer_s": 1}, "realtime": {"event_source": {"window_s": 1}}}
    return {environment: deploy(changed(system.settings, **soon)) for environment, system in systems.items()}


@pytest.fixture(scope="module")
def sent(emulator: process.Running, quick: dict[str, System]) -> dict[str, tuple[Tally, Alerts]]:
    """What each fleet has sent, with garbage and duplicates among the readings; and who listens for its alerts."""
    return {environment: send(emulator, system) for environment, system in quick.items()}


def send(emulator: process.Running, system: System) -> tuple[Tally, Alerts]:
    now_ms = time.time_ns() // 1_000_000
    plan = Plan(devices=3, rate=300, duration_s=1, seed=1, prefix=system.settings.system)
    shipment = Shipment([*plan.names, load.BOILER], load.with_extras(messages(plan, now_ms), now_ms), None)
    with in_region(system):
        alerts = Alerts(system.outputs["AlertsTopicArn"], f"listener-{system.settings.suffix}")
    running = emulator.in_region(system.settings.region)
    return ship(running, Site.of(system.outputs), shipment, Progress(disable=True)).tally, alerts


def in_region(system: System) -> pytest.MonkeyPatch:
    raise NotImplementedError
