"""10,000 readings a second: the room that the settings of `iot-processing` leave, by limits and measurements."""

import pytest

from bench.scale_model import AT_THIS_RATE
from config.settings import load
from local.fleet.generate import Plan, messages

PROMISED_PER_S = 10_000
SHARD_RECORDS_PER_S = 1_000
SHARD_BYTES_PER_S = 1_000_000
"""What a shard takes in (https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html)."""
ADDED_BYTES = 100
"""`topic_device_id` and `received_at`, which the topic rule adds."""
CPU_US_PER_READING = 33
"""`python -m bench hot-path`, see docs/decisions/0014-hot-path-wire.md."""
VCPU_MB = 1_769
"""Memory at which a function has one vCPU (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)."""
CALL_MS = 20
"""One BatchWriteItem of 25 items, on the pessimistic side of DynamoDB's single-digit milliseconds an item."""

settings = load("iot-processing", {})


@pytest.mark.promise("iot-processing", "10,000 readings a second")
def test_the_batch_side_has_the_settings_that_the_page_on_scale_computes_with():
    compaction, lake = AT_THIS_RATE

    assert (settings.compaction, settings.lake.partition_by) == (compaction, lake.partition_by)


@pytest.mark.promise("iot-processing", "10,000 readings a second")
def test_the_shards_take_the_promised_readings_in():
    shards = settings.ingest.stream_shards
    plan = Plan(devices=20, rate=1000, duration_s=1, seed=1)
    largest = max(len(message.payload) for message in messages(plan, 1_790_000_000_000)) + ADDED_BYTES

    assert shards * SHARD_RECORDS_PER_S >= PROMISED_PER_S
    assert shards * SHARD_BYTES_PER_S >= PROMISED_PER_S * largest


@pytest.mark.promise("iot-processing", "10,000 readings a second")
def test_the_function_keeps_up_with_what_the_shards_hand_it():
    source, function = settings.realtime.event_source, settings.realtime.function
    at_once = settings.ingest.stream_shards * source.parallelization
    available_ms = 1000 * at_once * source.batch_size / PROMISED_PER_S
    cpu_ms = source.batch_size * CPU_US_PER_READING / 1000 * VCPU_MB / function.memory_mb
    calls_ms = source.batch_size / 25 * CALL_MS

    assert cpu_ms + calls_ms <= available_ms
