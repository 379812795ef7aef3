"""The emulator's process: one a state directory, on loopback, and nothing left behind, however it ends."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local import process, state

pytestmark = pytest.mark.e2e

REGION = "eu-central-1"
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    process.stop(tmp_path)


def start(state_dir: Path, *, keep: bool = False) -> process.Running:
    return process.start(REGION, state_dir=state_dir, port=0, mqtt_port=0, keep=keep)


def client(running: process.Running, service: str) -> Any:
    keys = {"aws_access_key_id": state.ACCESS_KEY, "aws_secret_access_key": state.SECRET_KEY}
    return boto3.client(service, endpoint_url=running.endpoint, region_name=REGION, **keys)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def free_port() -> int:
    with socket.create_server((state.HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def worker_of_a_function(running: process.Running) -> int:
    """Create and call a function; the process id of what runs it."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as package:
        package.writestr("worker.py", "import os\ndef handle(event, context):\n    return os.getpid()\n")
    role = client(running, "iam").create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    functions = client(running, "lambda")
    functions.create_function(
        FunctionName="worker",
        Runtime="python3.13",
        Handler="worker.handle",
        Role=role["Arn"],
        Code={"ZipFile": code.getvalue()},
    )
    return int(functions.invoke(FunctionName="worker")["Payload"].read())


def test_a_second_start_finds_the_first_emulator(state_dir: Path) -> None:
    assert start(state_dir) == start(state_dir) == process.running(state_dir)


def test_emulators_that_start_at_once_have_ports_of_their_own(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from local import process; "
    program += f"process.PORT, process.MQTT_PORT = {free_port()}, {free_port()}; "
    program += f"process.start('{REGION}', state_dir=Path(sys.argv[1]))"
    state_dirs = [tmp_path / "one", tmp_path / "two"]
    try:
        starters = [
            subprocess.Popen([sys.executable, "-c", program, str(state_dir)], cwd=process.ROOT)
            for state_dir in state_dirs
        ]
        assert [starter.wait() for starter in starters] == [0, 0]
        one, two = (process.running(state_dir) for state_dir in state_dirs)
        assert one is not None
        assert two is not None
        assert len({one.port, one.mqtt_port, two.port, two.mqtt_port}) == 4
    finally:
        for state_dir in state_dirs:
            process.stop(state_dir)


def test_both_ports_are_closed_to_other_addresses(state_dir: Path) -> None:
    running = start(state_dir)

    for port in (running.port, running.mqtt_port):
        with contextlib.closing(socket.create_connection(("127.0.0.1", port))):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port))


def test_a_stop_ends_the_functions_too(state_dir: Path) -> None:
    worker = worker_of_a_function(start(state_dir))

    assert process.stop(state_dir) is True
    assert eventually(lambda: state.started(worker) is None)
    assert process.running(state_dir) is None


def test_a_killed_emulator_does_not_stand_in_the_way_of_the_next(state_dir: Path) -> None:
    first = start(state_dir)
    worker = worker_of_a_function(first)
    os.kill(first.pid, signal.SIGKILL)

    second = start(state_dir)

    assert second.pid != first.pid
    assert client(second, "s3").list_buckets()["Buckets"] == []
    assert eventually(lambda: state.started(worker) is None)


def test_an_emulator_whose_starter_was_killed_is_taken_over(state_dir: Path) -> None:
    program = "import sys; from pathlib import Path; from local import process; "
    program += f"process.start('{REGION}', state_dir=Path(sys.argv[1]), port=0, mqtt_port=0); input()"
    with subprocess.Popen([sys.executable, "-c", program, str(state_dir)], cwd=process.ROOT) as starter:
        assert eventually(lambda: process.running(state_dir) is not None)
        starter.kill()

    left = process.running(state_dir)
    assert start(state_dir) == left


def test_a_second_launcher_on_the_state_directory_gives_up(state_dir: Path) -> None:
    running = start(state_dir)

    command = [sys.executable, "-m", "local.launcher", "--state-dir", str(state_dir), "--region", REGION]
    second = subprocess.run([*command, "--port", "0", "--mqtt-port", "0"], cwd=process.ROOT, check=False)

    assert second.returncode == 1
    assert process.running(state_dir) == running


def test_with_keep_the_state_survives_a_restart(state_dir: Path) -> None:
    running = start(state_dir, keep=True)
    s3, kinesis = client(running, "s3"), client(running, "kinesis")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="kept", Key="object", Body=b"content")
    kinesis.create_stream(StreamName="kept", ShardCount=1)
    kinesis.put_record(StreamName="kept", PartitionKey="key", Data=b"record")
    process.stop(state_dir)

    again = start(state_dir, keep=True)

    assert client(again, "s3").get_object(Bucket="kept", Key="object")["Body"].read() == b"content"
    shard = client(again, "kinesis").get_shard_iterator(
        StreamName="kept", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    records = client(again, "kinesis").get_records(ShardIterator=shard["ShardIterator"])["Records"]
    assert [record["Data"] for record in records] == [b"record"]


def test_without_keep_a_start_is_fresh(state_dir: Path) -> None:
    running = start(state_dir)
    client(running, "s3").create_bucket(Bucket="gone", CreateBucketConfiguration={"LocationConstraint": REGION})
    process.stop(state_dir)

    assert client(start(state_dir), "s3").list_buckets()["Buckets"] == []
