"""The emulator as a process of this machine: start, find, and stop it."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from local.state import ACCESS_KEY, HOST, MISLEADING, SECRET_KEY, STATE_DIR, Running, forget, read, running, started

__all__ = ["HOST", "MISLEADING", "STATE_DIR", "Running", "StartError", "locked", "running", "start", "stop"]

ROOT = Path(__file__).parents[1]
PORT = 4566
MQTT_PORT = 8883
LAST_PORT = 65_535
PORTS_LOCK = Path(tempfile.gettempdir()) / f"sensorkeep-ports-{os.getuid()}.lock"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20  # the event source finishes what it has begun, Firehose writes what it holds


class StartError(Exception):
    """The emulator did not come up; the message says what its log says."""


def start(
    region: str,
    *,
    state_dir: Path = STATE_DIR,
    port: int | None = None,
    mqtt_port: int | None = None,
    keep: bool = False,
) -> Running:
    """Start the emulator in a session of its own and wait until it answers.

    A port of None means the usual one, or a free one when it is taken; 0 means any free one. Raises StartError with
    the end of the log when it does not come up. When one already uses `state_dir`, waits for that one instead.
    """
    state_dir = state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True)
    with locked(state_dir / "start.lock"):
        found = running(state_dir)
        if found is not None and _becomes_ready(found):
            return found
        _end_group(read(state_dir))
        _prepare(state_dir)
        with locked(PORTS_LOCK):  # until the ports are in use: two starts may not choose the same
            child = _spawn(state_dir, region, _choose(port, PORT), _choose(mqtt_port, MQTT_PORT), keep=keep)
            found = _wait_for_state(state_dir, child)
            if not _becomes_ready(found):
                raise StartError(_explain(state_dir))
        return found


def stop(state_dir: Path = STATE_DIR) -> bool:
    """Stop the emulator and every function process it started; False when none ran."""
    found = running(state_dir)
    leftover = found or read(state_dir)
    if found:
        os.kill(found.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while started(found.pid) == found.started and time.monotonic() < deadline:
            time.sleep(0.05)
    _end_group(leftover)
    forget(state_dir)
    return found is not None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One holder at a time; a killed one releases the lock by dying."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare(state_dir: Path) -> None:
    """Remove what an earlier emulator left: its record, its log and the code of its functions."""
    forget(state_dir)
    shutil.rmtree(state_dir / "run", ignore_errors=True)
    (state_dir / "run").mkdir()


def _choose(asked: int | None, usual: int) -> int:
    """The port asked for; else the usual one when nothing listens there; else any free one."""
    if asked is not None and not 0 <= asked <= LAST_PORT:
        raise StartError(f"{asked} is not a port: choose 1 to {LAST_PORT}, or 0 for any free one.")
    for candidate in [asked] if asked is not None else [usual, 0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartError(f"Port {asked} of {HOST} is taken or reserved. Stop what uses it, or ask for another one.")


def _spawn(state_dir: Path, region: str, port: int, mqtt_port: int, *, keep: bool) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "local.launcher", "--state-dir", str(state_dir), "--region", region]
    command += ["--port", str(port), "--mqtt-port", str(mqtt_port), *(["--keep"] if keep else [])]
    with (state_dir / "emulator.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(state_dir, region, port, mqtt_port, keep=keep),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _environment(state_dir: Path, region: str, port: int, mqtt_port: int, *, keep: bool) -> dict[str, str]:
    """MiniStack's settings, and of the caller's environment only what a program needs to run.

    Functions inherit it: neither the caller's AWS settings nor its PYTHONPATH may reach them.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    run_dir, data_dir = str(state_dir / "run"), state_dir / "data"
    return inherited | {
        "HOME": run_dir,
        "TMPDIR": run_dir,
        "AUTH": "true",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_PORT": str(mqtt_port),
        "MINISTACK_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DOCKER_HOST": f"unix://{run_dir}/no-docker.sock",  # it would remove containers that carry its label
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1" if keep else "0",
        "S3_PERSIST": "1" if keep else "0",
        "STATE_DIR": str(data_dir / "state"),
        "S3_DATA_DIR": str(data_dir / "s3"),
    }


def _wait_for_state(state_dir: Path, child: "subprocess.Popen[bytes]") -> Running:
    """Wait until the launcher has written its record."""
    while child.poll() is None:
        found = running(state_dir)
        if found and found.pid == child.pid:
            return found
        time.sleep(0.02)
    raise StartError(_explain(state_dir))


def _becomes_ready(state: Running) -> bool:
    """Wait until the gateway and the MQTT broker answer; an emulator that hangs is ended."""
    state_dir = Path(state.state_dir)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and running(state_dir) == state:
        if _is_ready(state):
            return True
        time.sleep(0.05)
    _end_group(state)
    return False


def _is_ready(state: Running) -> bool:
    try:
        with urllib.request.urlopen(f"{state.endpoint}/_ministack/ready", timeout=5) as answer:  # noqa: S310 - our own server
            return bool(json.load(answer)["iot_mtls"] == "listening")
    except OSError:  # not listening yet, or "not ready" (503)
        return False


def _explain(state_dir: Path) -> str:
    log = state_dir / "emulator.log"
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return "\n".join([f"The emulator did not start. The end of {log}:", *tail])


def _end_group(state: Running | None) -> None:
    """End the emulator's process group: what a stop left over, or the functions of an emulator that was killed."""
    if state is None or started(state.pid) not in (None, state.started):
        return  # the process id belongs to somebody else by now
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(state.pid, signal.SIGKILL)
