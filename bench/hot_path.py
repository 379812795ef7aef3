"""CPU time of `process_readings` a reading, beside a plain handler and beside merely decoding, in one run."""

import argparse
import base64
import contextlib
import json
import os
import random
import statistics
import tempfile
import time
from binascii import a2b_base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench import wire_stub
from config.settings import load

SUMMARY: Final = "CPU time a reading of process_readings, of a plain handler, and of merely decoding."
RECORDS: Final = 500
EVENTS_A_ROUND: Final = {"plain": 1, "ours": 20, "floor": 20}  # each takes some tenths of a second
ENVIRONMENT: Final = {
    "AWS_ENDPOINT_URL": wire_stub.ENDPOINT,
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "k" * 20,  # these three are as long as Lambda's are
    "AWS_SECRET_ACCESS_KEY": "s" * 40,
    "AWS_SESSION_TOKEN": "t" * 400,
    "READINGS_TABLE": "readings",
    "PROCESSED_BUCKET": "processed",
    "ALERTS_TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:alerts",
    "POWERTOOLS_METRICS_NAMESPACE": "Sensorkeep",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_TRACE_DISABLED": "true",
}


class Figures(msgspec.Struct):
    """The result: medians in CPU microseconds a reading, their ratios, and AWS calls per 1,000 readings."""

    plain_us: float
    ours_us: float
    floor_us: float
    speedup: float
    floor_ratio: float
    calls_per_1000: float


class Context:
    """As much of Lambda's context as the function asks for."""

    function_name = "process-readings"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:process-readings"
    aws_request_id = "1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds to take the medians of (7)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the figures."""
    figures = measure(arguments.rounds)
    if arguments.json:
        print(msgspec.json.encode(figures).decode())
    else:
        _show(figures)


def measure(rounds: int) -> Figures:
    """Run the three side by side, `rounds` times over, on one event of RECORDS readings."""
    event, context = make_event(), Context()
    with _environment(), wire_stub.stubbed() as wire:
        from bench.plain_handler import PlainHandler
        from process_readings.handler import handle

        plain = PlainHandler()
        handle(event, context)  # opens connections, fills caches
        wire.requests = 0
        handle(event, context)
        calls = wire.requests
        candidates = {
            "plain": lambda: plain.handle(event, context),
            "ours": lambda: handle(event, context),
            "floor": lambda: [msgspec.json.decode(a2b_base64(one["kinesis"]["data"])) for one in event["Records"]],
        }
        taken_us = [{name: _cpu_us(name, candidate) for name, candidate in candidates.items()} for _ in range(rounds)]
    plain_us, ours_us, floor_us = (statistics.median(one[name] for one in taken_us) for name in candidates)
    return Figures(
        plain_us=round(plain_us, 1),
        ours_us=round(ours_us, 2),
        floor_us=round(floor_us, 2),
        speedup=round(plain_us / ours_us, 1),
        floor_ratio=round(ours_us / floor_us, 2),
        calls_per_1000=calls * 1000 / RECORDS,
    )


def make_event() -> dict[str, Any]:
    """A batch of good readings of 50 devices with six metrics each; one of them breaks a rule."""
    rng = random.Random(0)
    now_ms = 1_795_251_600_000
    return {
        "Records": [
            {
                "eventID": f"shardId-000000000000:{at}",
                "kinesis": {
                    "sequenceNumber": str(at),
                    "data": base64.b64encode(_payload(rng, at, now_ms)).decode(),
                    "approximateArrivalTimestamp": now_ms / 1000,
                },
            }
            for at in range(RECORDS)
        ]
    }


def _payload(rng: random.Random, at: int, now_ms: int) -> bytes:
    device_id = f"press-{at % 50:04d}"
    record = {
        "device_id": device_id,
        "timestamp": now_ms - 10_000 + at,
        "temperature": 120.5 if at == 0 else round(rng.gauss(60, 5), 2),
        "vibration": round(rng.gauss(3, 0.5), 3),
        "pressure": round(rng.gauss(6, 0.2), 3),
        "current": round(rng.gauss(12, 1), 2),
        "voltage": round(rng.gauss(230, 2), 1),
        "flow_rate": rng.randrange(100, 140),
        "location": "hall-3",
        "equipment_type": "press",
        "topic_device_id": device_id,
        "received_at": now_ms,
    }
    return json.dumps(record, separators=(",", ":")).encode()


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """The process as Lambda would have it: settings, environment, and an output that nobody reads."""
    settings = load("local", {}).model_dump(mode="json")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(Path(os.devnull).open("w")):
        path = Path(folder) / "settings.json"
        path.write_text(json.dumps(settings), encoding="utf-8")
        before = dict(os.environ)
        os.environ.update(ENVIRONMENT, SETTINGS_FILE=str(path))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _cpu_us(name: str, candidate: Callable[[], object]) -> float:
    """CPU microseconds a reading, of all threads."""
    events = EVENTS_A_ROUND[name]
    started_ns = time.process_time_ns()
    for _ in range(events):
        candidate()
    return (time.process_time_ns() - started_ns) / 1000 / events / RECORDS


def _show(figures: Figures) -> None:
    table = Table(title=f"Hot path: CPU time a reading, {RECORDS} readings an event, wire stubbed")
    table.add_column("what")
    table.add_column("µs a reading", justify="right")
    table.add_column("", justify="right")
    table.add_row("plain handler (an item and an object a reading)", f"{figures.plain_us:,.1f}", "1x")
    table.add_row("process_readings", f"{figures.ours_us:,.2f}", f"{figures.speedup:,.1f}x less")
    table.add_row("floor (base64 and JSON alone)", f"{figures.floor_us:,.2f}", f"ours is {figures.floor_ratio:,.1f}x")
    console = Console()
    console.print(table)
    console.print(f"AWS calls for 1,000 readings: {figures.calls_per_1000:,.0f}")
