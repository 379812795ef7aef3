"""The function as Lambda runs it: its settings, its AWS on a local port, its context, and the events it is given."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

import environment
from process_readings import handler
from tests.lambdas.process_readings.fake_aws import FakeAws, Server

ARRIVED_MS = 1_795_251_600_000  # 2026-11-21T09:00:00Z
SHARD = "shardId-000000000003"

SETTINGS = {
    "system": "plant",
    "suffix": "test",
    "decoding": {"late_after_h": 24, "future_tolerance_s": 300},
    "metrics": {
        "temperature": {
            "unit": "°C",
            "thresholds": [{"severity": "critical", "above": 100.0}, {"severity": "warning", "below": -10.0}],
        },
        "pressure": {"unit": "bar"},
    },
    "hot_table": {
        "device_key": "device_id",
        "time_format": "epoch_seconds",
        "retention_days": 7,
        "sensor_type_index": {"name": "SensorTypeIndex", "shards": 10},
    },
    "lake": {"partition_by": "day"},
    "compaction": {
        "grace_minutes": 16,
        "task_mb": 64,
        "worker_memory_mb": 1769,
        "file_mb": 128,
        "bloom_filter": False,
    },
    "optimization": {"keep_snapshots": 10, "keep_days": 7, "orphan_days": 16},
    "reprocessing": {"hot_writers": 4, "max_rate": 500, "restore_tier": "Standard", "restore_days": 7},
}


@dataclass
class Context:
    """Lambda's context; every question for the time left costs `tick_ms`."""

    left_ms: float = 60_000
    tick_ms: float = 0
    function_name: str = "process-readings"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:process-readings"
    aws_request_id: str = "request-1"
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get_remaining_time_in_millis(self) -> int:
        with self.lock:
            self.left_ms -= self.tick_ms
            return int(self.left_ms)


def payload(device: str = "pump-1", second: int = 0, **fields: Any) -> bytes:
    """A good payload; `fields` add to it or replace parts."""
    record = {"device_id": device, "timestamp": ARRIVED_MS - 60_000 + second * 1000, "temperature": 20.0, **fields}
    return json.dumps(record).encode()


def event(*payloads: bytes, first: int = 100) -> dict[str, Any]:
    """The event of a batch; sequence numbers count from `first`."""
    return {
        "Records": [
            {
                "eventID": f"{SHARD}:{first + at}",
                "eventSource": "aws:kinesis",
                "kinesis": {
                    "partitionKey": "pump-1",
                    "sequenceNumber": str(first + at),
                    "data": base64.b64encode(data).decode(),
                    "approximateArrivalTimestamp": ARRIVED_MS / 1000,
                },
            }
            for at, data in enumerate(payloads)
        ]
    }


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws()


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(SETTINGS))
    monkeypatch.setenv("SETTINGS_FILE", str(path))
    return path


@pytest.fixture
def handle(
    aws: FakeAws, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, Any], Context], dict[str, Any]]]:
    """The handler, with everything it keeps between invocations made anew."""
    server = Server(aws)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test-key",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_SESSION_TOKEN": "test-token",
        "READINGS_TABLE": "hot",
        "PROCESSED_BUCKET": "processed",
        "ALERTS_TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:alerts",
        "POWERTOOLS_METRICS_NAMESPACE": "Sensorkeep",
        "POWERTOOLS_TRACE_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it would keep these credentials for the tests that follow
    kept = (environment.settings, handler._processor, handler._s3, handler._sns)
    for one in kept:
        one.cache_clear()
    yield handler.handle
    for one in kept:
        one.cache_clear()
    server.shutdown()
    server.server_close()
    thread.join()
