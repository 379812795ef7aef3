"""The record of the running emulator, and what stale or foreign records do not do."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import process, state


def record(state_dir: Path, pid: int, started: str) -> state.Running:
    return state.Running(pid, started, 4566, 8883, "eu-central-1", str(state_dir), keep=False)


def test_without_a_record_nothing_runs(tmp_path: Path) -> None:
    assert state.running(tmp_path) is None
    assert process.stop(tmp_path) is False


def test_the_recorded_process_is_found(tmp_path: Path) -> None:
    ours = record(tmp_path, os.getpid(), state.started(os.getpid()) or "")
    state.write(ours)

    assert state.running(tmp_path) == ours


def test_a_recycled_process_id_is_neither_found_nor_stopped(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        state.write(record(tmp_path, other.pid, "started at another time"))

        assert state.running(tmp_path) is None
        assert process.stop(tmp_path) is False
        assert other.poll() is None
        other.communicate(b"\n")


def test_an_ended_process_has_no_start_time() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert state.started(child.pid) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_record_that_was_cut_short_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)

    assert state.running(tmp_path) is None


def test_the_usual_port_is_left_when_somebody_listens_on_it() -> None:
    with socket.create_server((state.HOST, 0)) as taken:
        usual = taken.getsockname()[1]
        assert process._choose(None, usual) not in (0, usual)


def test_a_port_that_was_asked_for_and_is_taken_is_an_error() -> None:
    with socket.create_server((state.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(process.StartError, match=f"Port {port} of 127.0.0.1 is taken"):
            process._choose(port, 4566)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_what_is_no_port_is_an_error(port: int) -> None:
    with pytest.raises(process.StartError, match=f"{port} is not a port"):
        process._choose(port, 4566)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "127.0.0.1"), ({"NO_PROXY": "a,b"}, "a,b,127.0.0.1"), ({"no_proxy": "127.0.0.1,c"}, "127.0.0.1,c")],
)
def test_nothing_here_is_reached_through_a_proxy(
    given: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert record(Path("/"), 1, "then").environ["no_proxy"] == expected


def test_the_callers_aws_settings_and_import_path_do_not_reach_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "PYTHONPATH", "SERVICES"):
        monkeypatch.setenv(name, "mine")

    environment = process._environment(tmp_path, "eu-central-1", 1, 2, keep=False)

    assert "mine" not in environment.values()
    assert environment["AUTH"] == "true"


def test_a_wildcard_address_becomes_the_loopback_address() -> None:
    program = """
import asyncio, socket
from local.additions import loopback
loopback.install(); loopback.install()
async def addresses(host):
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host=host, port=0)
    return {socket.getsockname()[0] for socket in server.sockets}
async def main():
    return await addresses("0.0.0.0") | await addresses(None) | await addresses("127.0.0.1")
print(*sorted(asyncio.run(main())))
"""
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=process.ROOT, capture_output=True, text=True, check=True
    )
    assert set(printed.stdout.split()) <= {"127.0.0.1", "::1"}
