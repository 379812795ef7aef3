"""What the demo sends: each sort of message in the promised number, with the outcome that the decoder really gives."""

import json
from collections import Counter
from pathlib import Path

from config import settings
from local.demo import load
from local.fleet.garbage import GARBAGE
from local.fleet.message import Kind, Message, Tally
from sensors.decode import decode
from sensors.reading import Rejection
from sensors.settings import Decoding
from tests.local.fleet.rules import record

NOW_MS = 1_790_000_000_000


def simulated(tmp_path: Path) -> list[Message]:
    return list(load.prepare(NOW_MS, tmp_path / "absent").shipment.messages)


def test_without_recorded_data_twenty_devices_send_for_a_minute(tmp_path: Path) -> None:
    prepared = load.prepare(NOW_MS, tmp_path / "absent")

    messages = list(prepared.shipment.messages)

    assert len(prepared.shipment.devices) == 20 + 1
    assert {message.device_id for message in messages} == set(prepared.shipment.devices)
    assert 59 < max(message.due_s for message in messages) < 60
    assert len(messages) == prepared.shipment.total


def test_recorded_data_is_sent_when_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "valve1").mkdir()
    rows = "".join(f"2020-01-01 00:{row // 60:02}:{row % 60:02};{row}\n" for row in range(100))
    (tmp_path / "valve1" / "0.csv").write_text("time;pressure\n" + rows, encoding="utf-8")

    prepared = load.prepare(NOW_MS, tmp_path / "valve1")

    kinds = Counter(message.kind for message in prepared.shipment.messages)
    assert prepared.shipment.devices == ["valve1-0", load.BOILER]
    assert (kinds[Kind.GARBAGE], kinds[Kind.DUPLICATE]) == (200, 200)
    assert kinds[Kind.NORMAL] + kinds[Kind.ANOMALY] == 100 + load.BOILER_READINGS


def test_two_hundred_messages_are_garbage_of_every_sort_and_two_hundred_come_twice(tmp_path: Path) -> None:
    messages = simulated(tmp_path)

    kinds = Counter(message.kind for message in messages)
    assert (kinds[Kind.GARBAGE], kinds[Kind.DUPLICATE]) == (200, 200)
    assert {message.detail for message in messages if message.kind is Kind.GARBAGE} == {sort.name for sort in GARBAGE}


def test_the_decoder_gives_each_message_the_expected_outcome(tmp_path: Path) -> None:
    identities: Counter[tuple[str, int]] = Counter()
    tally = Tally()
    for message in simulated(tmp_path):
        tally.acknowledge(message)
        arrived_ms = NOW_MS + round(message.due_s * 1000)
        decoded = decode(record(message, arrived_ms), arrived_ms, Decoding())
        if isinstance(decoded, Rejection):
            assert decoded.reason.value == message.reason
        else:
            assert message.reason is None
            identities[decoded.device_id, decoded.measured_at_ms] += 1

    assert len(identities) == tally.stored
    assert identities.total() - len(identities) == tally.duplicate == 200


def test_the_boiler_passes_the_limit_of_the_local_settings_and_is_labelled_from_there_on(tmp_path: Path) -> None:
    limit = settings.load("local", overrides={}).metrics["temperature"].thresholds[0].above
    boiler = [json.loads(message.payload) for message in simulated(tmp_path) if message.device_id == load.BOILER]
    readings = [reading for reading in boiler if "sequence" in reading]

    assert [reading["anomaly"] for reading in readings] == [int(reading["temperature"] > limit) for reading in readings]
    assert readings[0]["temperature"] < limit < readings[-1]["temperature"]
