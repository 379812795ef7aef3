"""`python -m local demo`: a reading's whole way on this machine, and the books that prove nothing was lost."""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from config import settings as config
from local import process
from local.demo import load, settling, show, tools
from local.demo.accounts import Accounts
from local.demo.audit import Alerts, Archive, HotTable, Quarantine
from local.deploying import Progress
from local.fleet.devices import Site
from local.fleet.message import Tally
from local.fleet.shipment import ship
from local.fleet.summary import counting
from local.up import ENVIRONMENT, OUT, deploy_system

REPORT = process.ROOT / "build" / "demo" / "report.json"
RECORDED = process.ROOT.parent / "shared" / "data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options; the environment may say where recorded data is."""
    parser.description = (
        "Start the embedded AWS afresh, send recorded readings (SENSORKEEP_DATA/skab/valve1, by default of "
        "../shared/data; without them a simulated fleet), and account for every message."
    )


def run(_: argparse.Namespace) -> int:
    """Run it; 1, and why, when the books do not balance. The embedded AWS stays up. Raises what a stage raises."""
    console = Console()
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.unlink(missing_ok=True)
    try:
        accounts = Demo(console).run(Path(os.environ.get("SENSORKEEP_DATA", RECORDED)) / "skab" / "valve1")
    except KeyboardInterrupt:
        print("Interrupted. `make demo` starts afresh, `make down` stops the embedded AWS.", file=sys.stderr)
        return 130
    REPORT.write_text(json.dumps(accounts.as_dict(), indent=2) + "\n", encoding="utf-8")
    show.summary(console, accounts, REPORT.relative_to(process.ROOT))
    return 1 if accounts.faults() else 0


class Demo:
    """One run, stage by stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seconds: dict[str, float] = {}

    def run(self, recorded: Path) -> Accounts:
        """Every stage in order; the books of the run. Raises the error of the stage that failed."""
        with self._stage("up", "Starting the embedded AWS and deploying to it"):
            running, outputs = self._up()
        alerts = Alerts(outputs["AlertsTopicArn"], "demo-alerts")
        with self._stage("send", "Sending over MQTT, a certificate a device"):
            tally = self._send(running, Site.of(outputs), recorded)
        archive = Archive(outputs["RawBucketName"])
        hot = HotTable(outputs["ReadingsTableName"])
        quarantine = Quarantine(outputs["ProcessedBucketName"], "stream")
        with self._stage("settle", "Waiting until every message is accounted for"):
            settling.settle(tally, archive, hot, quarantine, self._console)
        with self._stage("compact", "Compacting the archive into the Iceberg table"), self._console.status("running"):
            compacted = tools.compact()
        with self._stage("query", "Asking the table"), self._console.status("reading"):
            answer = tools.query(show.QUERY)
        self._console.print(show.answer(answer))
        return Accounts(
            tally=tally,
            archived=archive.count(),
            undelivered=archive.errors(),
            stored=hot.count(),
            quarantined_by_reason=quarantine.by_reason(),
            compacted=compacted,
            table_rows=sum(row["readings"] for row in answer),
            objects_before=archive.objects,
            bytes_before=archive.bytes,
            alerts=len(alerts.receive()),
            seconds=self._seconds,
        )

    @contextlib.contextmanager
    def _stage(self, name: str, title: str) -> Iterator[None]:
        self._console.rule(f"[b]{title}", align="left")
        begin = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - begin

    def _up(self) -> tuple[process.Running, dict[str, str]]:
        """An emulator with nothing in it, and the environment `local` deployed to it."""
        region = config.load(ENVIRONMENT, overrides={}).region
        process.stop()
        running = process.start(region)
        self._console.print(f"AWS at {running.endpoint}, MQTT at {running.mqtt_host}:{running.mqtt_port}")
        with Progress(self._console) as progress:
            return running, deploy_system(running, config.load(ENVIRONMENT), OUT, progress.report)

    def _send(self, running: process.Running, site: Site, recorded: Path) -> Tally:
        prepared = load.prepare(time.time_ns() // 1_000_000, recorded)
        self._console.print(f"Readings of {prepared.source}, with garbage and duplicates among them")
        with counting(self._console) as progress:
            sent = ship(running, site, prepared.shipment, progress)
        for example in prepared.report.examples:
            self._console.print(f"Unreadable and not sent: {example}", style="yellow", markup=False)
        if sent.interrupted:
            raise KeyboardInterrupt
        return sent.tally
