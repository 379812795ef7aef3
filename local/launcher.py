"""The emulator's own process: MiniStack with our additions, on loopback, until it is told to stop.

Started by `local.process`, never imported by anything else. It takes its state directory, region and ports from the
command line and its environment, holds a lock on the state directory for as long as it lives, and writes its process
id there itself, so that whoever started it may die at any moment without losing track of it.
"""

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
from pathlib import Path

from hypercorn.config import Config

from local import state
from local.additions import Additions, loopback

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: list[str] | None = None) -> int:
    """Run the emulator until SIGTERM or SIGINT. 1 when another one already uses the state directory."""
    running = _parse(arguments)
    state_dir = Path(running.state_dir)
    with (state_dir / "emulator.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"An emulator already runs with the state directory {state_dir}.", file=sys.stderr)
            return 1
        state.write(running)
        try:
            asyncio.run(_serve(running))
        finally:
            state.forget(state_dir)
    return 0


def _parse(arguments: list[str] | None) -> state.Running:
    parser = argparse.ArgumentParser(prog="python -m local.launcher", description=__doc__)
    parser.add_argument("--state-dir", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mqtt-port", type=int, required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args(arguments)
    pid = os.getpid()
    return state.Running(
        pid=pid,
        started=state.started(pid) or "",
        port=given.port,
        mqtt_port=given.mqtt_port,
        region=given.region,
        state_dir=given.state_dir,
        keep=given.keep,
    )


async def _serve(running: state.Running) -> None:
    """Serve the gateway; on a stop signal let the additions finish while it still answers."""
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    loopback.install()
    from hypercorn.asyncio import serve
    from ministack.app import app

    additions = Additions()

    async def work_until_stopped() -> None:
        additions.start()
        await stop.wait()
        await asyncio.to_thread(additions.stop)

    await serve(app, _server_config(running.port), shutdown_trigger=work_until_stopped)


def _server_config(port: int) -> Config:
    logging.getLogger("hypercorn.access").setLevel(logging.WARNING)
    config = Config()
    config.bind = [f"{state.HOST}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    return config


if __name__ == "__main__":
    sys.exit(main())
