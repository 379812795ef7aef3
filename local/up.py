"""`python -m local up`: start the embedded AWS, build the environment `local` for this machine, and deploy it."""

import argparse
import os
import signal
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from rich.console import Console

import build
from config import settings as config
from config.settings import Settings
from local import process, state
from local.deploy import Report, deploy
from local.deploying import Progress

ENVIRONMENT = "local"
OUT = process.ROOT / "build" / ENVIRONMENT
ARTIFACTS = "sensorkeep-artifacts-{account}-{region}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--detach", action="store_true", help="return when it is deployed, instead of at Ctrl-C")
    parser.add_argument("--keep", action="store_true", help="keep its state for the next start with --keep")
    parser.add_argument("--port", type=int, help="port of the AWS gateway; by default 4566, or a free one")


def run(arguments: argparse.Namespace) -> int:
    """Start (when it does not run yet) and deploy. Raises StartError, SettingsError, BuildError and DeployError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    was_running = process.running()
    try:
        running = _start(console, was_running, arguments)
        with Progress(console) as progress:
            outputs = deploy_system(running, config.load(ENVIRONMENT), OUT, progress.report)
        console.print(
            f"Deployed: stream {outputs['StreamName']}, table {outputs['ReadingsTableName']}.", highlight=False
        )
        console.print('Look around with: eval "$(python -m local env)"', highlight=False, markup=False)
        return 0 if arguments.detach or was_running else _follow(console, running)
    except KeyboardInterrupt:
        if not was_running:
            process.stop()
            console.print("The embedded AWS has stopped.")
        return 130 if arguments.detach else 0


def deploy_system(running: process.Running, settings: Settings, out: Path, report: Report) -> dict[str, str]:
    """Build the system for this machine into `out` and bring its stack to it; the root stack's outputs.

    Sets this process's AWS environment to the emulator. Raises BuildError and DeployError.
    """
    point_at(running)
    built = build.build(settings, out, target="host", bucket=_artifact_bucket(settings.region))
    template = built.root_template.read_text(encoding="utf-8")
    cloudformation = boto3.client("cloudformation", region_name=settings.region)
    return deploy(cloudformation, settings.stack_name, template, build.stack_tags(settings), report)


def point_at(running: process.Running) -> None:
    """Make every AWS client of this process talk to the emulator."""
    state.shield()
    os.environ.update(running.environ)


def _start(console: Console, was_running: process.Running | None, arguments: argparse.Namespace) -> process.Running:
    if was_running:
        console.print(f"The embedded AWS is already up at {was_running.endpoint}; deploying again.", highlight=False)
        if arguments.keep and not was_running.keep:
            console.print("It was started without --keep: stop it first to start it with --keep.")
        if arguments.port not in (None, was_running.port):
            console.print(f"It stays on port {was_running.port}: stop it first to start it on another one.")
        return was_running
    region = config.load(ENVIRONMENT, overrides={}).region
    running = process.start(region, port=arguments.port, keep=arguments.keep)
    for name, port, usual in (
        ("AWS gateway", running.port, arguments.port or process.PORT),
        ("MQTT broker", running.mqtt_port, process.MQTT_PORT),
    ):
        taken = "" if port == usual else f" (port {usual} is taken)"
        console.print(f"{name} on {process.HOST}:{port}{taken}", highlight=False)
    return running


def _artifact_bucket(region: str) -> str:
    account: str = boto3.client("sts").get_caller_identity()["Account"]
    bucket = ARTIFACTS.format(account=account, region=region)
    s3: Any = boto3.client("s3", region_name=region)
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    return bucket


def _follow(console: Console, running: process.Running) -> int:
    """Stay until Ctrl-C (raises KeyboardInterrupt) or until the emulator ends; 1 when nobody stopped it."""
    console.print("Ctrl-C stops the embedded AWS.")
    while process.running() == running:
        time.sleep(0.5)
    if not (Path(running.state_dir) / "state.json").exists():
        console.print("The embedded AWS was stopped.")
        return 0
    console.print(f"The embedded AWS has died; its log is {running.state_dir}/emulator.log.", highlight=False)
    return 1
