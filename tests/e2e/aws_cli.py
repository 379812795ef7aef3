"""The AWS CLI, loaded once: each command is a fork of a process that has it, because loading takes most of its time."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.documents import ROOT

MOST_BYTES = 1 << 17  # of a command with its environment

CLIENT = """#!{python} -SE
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({address!r})
command = json.dumps([sys.argv, os.getcwd(), dict(os.environ)])
socket.send_fds(server, [command.encode()], [0, 1, 2])
sys.exit(int(server.recv(8)))
"""


@contextlib.contextmanager
def loaded(folder: Path) -> Iterator[Path]:
    """Put an `aws` into the folder that is the AWS CLI for as long as the block lasts; the folder, for PATH."""
    address, client = str(folder / "socket"), folder / "aws"
    client.write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
    client.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        command = [sys.executable, "-m", "tests.e2e.aws_cli", str(listener.fileno())]
        with subprocess.Popen(command, cwd=ROOT, pass_fds=[listener.fileno()]) as server:
            try:
                yield folder
            finally:
                server.kill()


def serve(listener: socket.socket) -> None:
    """Run each command that comes, in a process of its own, until killed."""
    import awscli.clidriver  # noqa: F401 - this is what takes its time

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            _run(connection)
        connection.close()


def _run(connection: socket.socket) -> None:
    """Be the command: with its files, its folder, its environment and its arguments."""
    from awscli.clidriver import main

    command, files, *_ = socket.recv_fds(connection, MOST_BYTES, 3)
    for own, given in enumerate(files):
        os.dup2(given, own)
    sys.argv, folder, variables = json.loads(command)
    os.chdir(folder)
    os.environ.update(variables)  # beside what the CLI has set for itself
    try:
        status = main()
    except SystemExit as ended:  # of a command that is not understood
        status = int(ended.code or 0)
    sys.stdout.flush()
    connection.send(str(status).encode())
    os._exit(0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
