"""`python -m local simulate`: devices that publish over MQTT, made up or replayed from files, counted by kind."""

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path

from rich.console import Console

from local import state
from local.fleet import FleetError, generate, replay
from local.fleet.devices import Site
from local.fleet.shipment import Shipment, ship
from local.fleet.summary import counting, show
from local.status import look


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Either a simulated fleet or `--replay`."""
    fleet = parser.add_argument_group("a simulated fleet")
    fleet.add_argument("--devices", type=int, default=10, metavar="N", help="how many devices (default: 10)")
    fleet.add_argument("--rate", type=float, default=50, metavar="R", help="messages a second of all (default: 50)")
    fleet.add_argument("--duration", type=float, default=30, metavar="S", help="seconds (default: 30)")
    fleet.add_argument(
        "--faults",
        default="",
        metavar="NAME=SHARE,…",
        help="garbage, duplicates, disorder and clock, as shares of the messages: garbage=0.01,disorder=0.02",
    )
    fleet.add_argument("--seed", type=int, default=1, help="the same seed gives the same series (default: 1)")
    fleet.add_argument("--prefix", default="machine", help="start of the devices' names (default: machine)")
    recorded = parser.add_argument_group("recorded data instead")
    recorded.add_argument("--replay", type=Path, metavar="PATH", help="a CSV file, or a folder of them: one a device")
    recorded.add_argument("--separator", metavar="CHARACTER", help="between cells (default: recognised)")
    recorded.add_argument(
        "--columns", default="", metavar="NAME=COLUMN,…", help="which column is the time or a metric: time=ts,flow=F1"
    )
    recorded.add_argument(
        "--speed", default="max", metavar="X", help="times as fast as recorded, or max (default: max)"
    )
    recorded.add_argument("--limit", type=int, metavar="N", help="send at most N rows")
    target = parser.add_argument_group("another system than that of the environment local")
    target.add_argument("--stack", metavar="NAME", help="its root stack, such as manufacturing-dev")
    target.add_argument("--region", help="the region of that stack")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(given: argparse.Namespace) -> int:
    """Send, then say what was sent and what the system must make of it; 130 after Ctrl-C. Raises FleetError."""
    emulator = state.running()
    if emulator is None:
        print(state.NOT_RUNNING, file=sys.stderr)
        return 1
    running = emulator.in_region(given.region)
    report = replay.Report()
    shipment = _recorded(given, report) if given.replay else _simulated(given)
    site = _site(running, given.stack)
    with counting(Console(stderr=True, quiet=given.json)) as progress:
        sent = ship(running, site, shipment, progress)
    counts = sent.tally.as_dict() | {"devices": len(shipment.devices), "seconds": round(sent.seconds, 3)}
    if given.replay:
        counts["replay"] = dataclasses.asdict(report)
    if given.json:
        print(json.dumps(counts, indent=2))
    else:
        show(Console(), counts)
    if sent.interrupted:
        return 130
    return 1 if sent.tally.refused or sent.tally.unacknowledged else 0


def _site(running: state.Running, stack: str | None) -> Site:
    found = look(running, stack)
    if stack and not found["status"]:
        raise FleetError(f"There is no stack {stack} in {running.region}: name the region of its settings as --region.")
    return Site.of(found["outputs"])


def _simulated(given: argparse.Namespace) -> Shipment:
    faults = generate.Faults.parse(given.faults)
    plan = generate.Plan(given.devices, given.rate, given.duration, given.seed, faults, given.prefix)
    return Shipment(plan.names, generate.messages(plan, _now_ms()), plan.total)


def _recorded(given: argparse.Namespace, report: replay.Report) -> Shipment:
    if given.separator is not None and len(given.separator) != 1:
        raise FleetError(f"'{given.separator}' is not a separator: give one character.")
    if given.limit is not None and given.limit < 1:
        raise FleetError(f"A limit of {given.limit} rows: give at least 1.")
    recordings = replay.open_recordings(replay.find(given.replay), given.separator, _names(given.columns))
    messages = replay.messages(recordings, report, _now_ms(), _speed(given.speed), given.limit)
    return Shipment([recording.device_id for recording in recordings], messages, given.limit)


def _names(text: str) -> dict[str, str]:
    """Read `time=ts,flow=F1`: meaning → column."""
    pairs = dict(part.partition("=")[::2] for part in filter(None, text.split(",")))
    if not all(pairs.values()):
        raise FleetError(f"'{text}' does not name columns, like time=ts,flow=F1.")
    return {meaning.strip(): column for meaning, column in pairs.items()}


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0
    if not 0 < speed < math.inf:
        raise FleetError(f"'{text}' is not a speed: give max, or how many times as fast as recorded.")
    return speed


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
