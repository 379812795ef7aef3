"""`python -m local status`: what of the embedded AWS runs, where, and what is deployed to it."""

import argparse
import json
from typing import Any

import boto3

from config import settings as config
from local import process, state
from local.deploy import outputs, status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print it; 0 when it runs, 1 when not."""
    found = look(process.running())
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 0 if found["running"] else 1


def look(running: process.Running | None, stack: str | None = None) -> dict[str, Any]:
    """The same as a dictionary: running, endpoint, mqtt, region, keep, pid, log, stack, status, outputs.

    `stack` is a root stack in the region of `running`, by default that of the environment `local`.
    """
    if running is None:
        return {"running": False}
    cloudformation = boto3.client(
        "cloudformation",
        region_name=running.region,
        endpoint_url=running.endpoint,
        aws_access_key_id=running.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=running.environ["AWS_SECRET_ACCESS_KEY"],
    )
    stack = stack or config.load("local").stack_name
    return {
        "running": True,
        "endpoint": running.endpoint,
        "mqtt": f"mqtts://{running.mqtt_host}:{running.mqtt_port}",
        "region": running.region,
        "keep": running.keep,
        "pid": running.pid,
        "log": f"{running.state_dir}/emulator.log",
        "stack": stack,
        "status": status(cloudformation, stack),
        "outputs": outputs(cloudformation, stack),
    }


def _print(found: dict[str, Any]) -> None:
    if not found["running"]:
        print(state.NOT_RUNNING)
        return
    for name in ("endpoint", "mqtt", "region", "keep", "pid", "log", "stack", "status"):
        print(f"{name:<26}{found[name]}")
    for name, value in sorted(found["outputs"].items()):
        print(f"  {name:<24}{value}")
