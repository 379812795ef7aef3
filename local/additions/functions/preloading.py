"""Python workers of functions start as forks of a process that has loaded their packages.

MiniStack starts an interpreter for every worker, which takes a second or two to import pyarrow, pyiceberg and boto3: on
a laptop nearly all of what a first call takes. A template for each set of layers imports them once. What it imports
creates no client and reads no environment, which is the function's own from the fork on, as is its folder. On macOS,
whose libraries may start threads, a fork can crash
(https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods), so that MiniStack does as it does.
"""

import hashlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

PACKAGES = ("boto3", "jinja2", "msgspec", "pyarrow.parquet", "pyiceberg.catalog.glue")
"""What takes long to import; aws_xray_sdk, which does too, reads the environment while it is imported."""

CLIENT = """
import hashlib, json, os, signal, socket, sys
asked = json.dumps([os.getcwd(), dict(os.environ)])
os.chdir({folder!r})  # the path of a socket is 100 bytes at most
template = socket.socket(socket.AF_UNIX)
template.connect(hashlib.sha256(os.environ.get("PYTHONPATH", "").encode()).hexdigest())
socket.send_fds(template, [b" "], [0, 1, 2])
template.sendall(asked.encode() + b"\\n")
worker = int(template.recv(20))
signal.signal(signal.SIGTERM, lambda *_: os.kill(worker, signal.SIGKILL))
template.recv(1)  # until the worker has ended
"""
"""The process that MiniStack takes for the worker: what ends it ends the worker."""


def install() -> None:
    """Let MiniStack start clients of templates instead of interpreters of their own."""
    if sys.platform == "darwin":
        return
    from ministack.core import lambda_runtime

    spawn, detect = lambda_runtime.Worker._spawn, lambda_runtime._detect_runtime_binary
    templates = _Templates(Path(tempfile.mkdtemp(prefix="templates-")))

    def spawn_fork(worker: Any) -> None:
        if worker.config["Runtime"].startswith("python"):
            variables = os.environ | worker.config.get("Environment", {}).get("Variables", {})
            templates.provide(variables.get("PYTHONPATH", ""), lambda_runtime._PYTHON_WORKER_SCRIPT)
        spawn(worker)

    def detect_client(runtime: str) -> tuple[str, str]:
        binary, script = detect(runtime)
        return binary, CLIENT.format(folder=str(templates.folder)) if runtime.startswith("python") else script

    lambda_runtime.Worker._spawn, lambda_runtime._detect_runtime_binary = spawn_fork, detect_client


class _Templates:
    """The processes that workers are forks of, by the search path that they have beside the interpreter's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def provide(self, path: str, script: str) -> None:
        """See to it that a template with this search path takes clients."""
        with self._lock:
            if path not in self._running:
                self._running[path] = self._start(path, script)

    def _start(self, path: str, script: str) -> "subprocess.Popen[bytes]":
        worker = self.folder / "worker.py"
        worker.write_text(script, encoding="utf-8")
        address = hashlib.sha256(path.encode()).hexdigest()
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, address, str(worker), *_packages(path)],
            cwd=self.folder,
            stdin=subprocess.PIPE,  # which closes when the emulator ends, however that happens
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
        )
        process.stdout.readline()  # type: ignore[union-attr] # until it listens
        return process


def _packages(path: str) -> list[str]:
    """Those that the layers have and the runtime's own; without layers, all that this environment has."""
    folders = [Path(folder) for folder in path.split(os.pathsep) if folder]
    in_layers = [name for name in PACKAGES if any((folder / name.partition(".")[0]).is_dir() for folder in folders)]
    return ["boto3", *in_layers] if folders else list(PACKAGES)


def serve(listener: socket.socket, script: str) -> None:
    """Fork a worker for each client, until the emulator ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        client, _ = listener.accept()
        if os.fork() == 0:
            try:
                listener.close()
                _be_worker(client, script)
            finally:
                os._exit(0)
        client.close()


def _be_worker(client: socket.socket, script: str) -> None:
    """Run MiniStack's worker to its end with the files, the folder and the environment of the client."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, *_ = socket.recv_fds(client, 1, 3)
    with client.makefile() as asked:
        folder, variables = json.loads(asked.readline())
    client.sendall(str(os.getpid()).encode())
    for own, given in enumerate(files):
        os.dup2(given, own)
        os.close(given)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    try:
        runpy.run_path(script, run_name="__main__")
    except Exception:  # noqa: BLE001 - as an interpreter of its own tells it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()


if __name__ == "__main__":
    address, worker_script, *packages = sys.argv[1:]
    clients = socket.socket(socket.AF_UNIX)
    clients.bind(address)
    clients.listen()
    print(flush=True)
    for package in packages:
        importlib.import_module(package)
    serve(clients, worker_script)
