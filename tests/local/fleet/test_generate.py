"""The simulated fleet: deterministic, with the faults asked for, and with the outcome that the decoder really gives."""

import collections
import itertools
import json
import math
from collections.abc import Iterable

import pytest

from local.fleet import FleetError
from local.fleet.garbage import GARBAGE
from local.fleet.generate import Faults, Plan, messages
from local.fleet.message import Kind, Message, Tally
from sensors.decode import decode
from sensors.reading import Reading, Rejection
from sensors.settings import Decoding
from tests.local.fleet.rules import record

START_MS = 1_790_000_000_000
FAULTS = Faults(garbage=0.1, duplicates=0.1, disorder=0.1, clock=0.1)
PLAN = Plan(devices=4, rate=100, duration_s=30, seed=7, faults=FAULTS)


def outcome_of(message: Message) -> str | None:
    """The reason the decoder gives for rejecting a message; None when it accepts it."""
    arrived_ms = START_MS + round(message.due_s * 1000)
    decoded = decode(record(message, arrived_ms), arrived_ms, Decoding())
    return decoded.reason.value if isinstance(decoded, Rejection) else None


def identities(sent: Iterable[Message]) -> list[tuple[str, int]]:
    decoded = (decode(record(message, START_MS * 2), START_MS * 2, Decoding()) for message in sent)
    return [(each.device_id, each.measured_at_ms) for each in decoded if isinstance(each, Reading)]


def test_the_same_seed_and_start_give_the_same_bytes() -> None:
    assert list(messages(PLAN, START_MS)) == list(messages(PLAN, START_MS))


def test_another_seed_gives_other_readings() -> None:
    other = Plan(devices=4, rate=100, duration_s=30, seed=8, faults=FAULTS)

    assert list(messages(other, START_MS)) != list(messages(PLAN, START_MS))


def test_the_decoder_rejects_what_is_to_be_rejected_for_the_expected_reason_and_accepts_the_rest() -> None:
    wrong = [message for message in messages(PLAN, START_MS) if outcome_of(message) != message.reason]

    assert wrong == []


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: garbage.name)
def test_each_sort_of_garbage_is_rejected_for_its_reason(garbage: object) -> None:
    name, reason, make = garbage
    message = Message("machine-0001", 0.0, make("machine-0001", START_MS), Kind.GARBAGE, reason, name)

    assert outcome_of(message) == reason


def test_the_tally_predicts_how_many_different_readings_there_are() -> None:
    tally = Tally()
    sent = list(messages(PLAN, START_MS))
    for message in sent:
        tally.acknowledge(message)
    accepted = identities(message for message in sent if message.reason is None)

    assert len(sent) == tally.published == tally.stored + tally.duplicate + tally.quarantined
    assert len(set(accepted)) == tally.stored
    assert len(accepted) == tally.stored + tally.duplicate


def test_each_fault_comes_about_as_often_as_asked() -> None:
    kinds = collections.Counter(message.kind for message in messages(PLAN, START_MS))

    total = kinds.total()
    for found in (
        kinds[Kind.GARBAGE],
        kinds[Kind.DUPLICATE],
        kinds[Kind.OUT_OF_ORDER],
        kinds[Kind.CLOCK_AHEAD] + kinds[Kind.CLOCK_BEHIND],
    ):
        assert 0.07 * total < found < 0.13 * total


def test_without_faults_every_message_is_a_reading_with_the_next_sequence_number() -> None:
    plan = Plan(devices=3, rate=30, duration_s=10, seed=1)
    by_device: dict[str, list[int]] = collections.defaultdict(list)
    for message in messages(plan, START_MS):
        assert message.kind in (Kind.NORMAL, Kind.ANOMALY)
        by_device[message.device_id].append(json.loads(message.payload)["sequence"])

    assert by_device == {name: list(range(1, 101)) for name in plan.names}


def test_a_message_out_of_order_carries_a_lower_sequence_number_than_the_one_before_it() -> None:
    plan = Plan(devices=1, rate=100, duration_s=30, seed=7, faults=Faults(disorder=0.1))
    overtaken = [
        (json.loads(before.payload)["sequence"], json.loads(after.payload)["sequence"])
        for before, after in itertools.pairwise(messages(plan, START_MS))
        if after.kind is Kind.OUT_OF_ORDER
    ]

    assert overtaken
    assert all(after < before for before, after in overtaken)


def test_anomalies_are_labelled_and_differ_from_normal_readings() -> None:
    plan = Plan(devices=10, rate=100, duration_s=100, seed=1)
    readings = [json.loads(message.payload) for message in messages(plan, START_MS)]
    anomalies = [reading for reading in readings if reading["anomaly"] == 1]
    normal = [reading for reading in readings if reading["anomaly"] == 0]

    assert 0.005 < len(anomalies) / len(readings) < 0.05
    assert any(reading["temperature"] > 100 for reading in anomalies)
    assert any(reading["vibration"] > 50 for reading in anomalies)
    assert max(reading["temperature"] for reading in normal) < 100
    assert max(reading["vibration"] for reading in normal) < 50


def test_messages_are_due_evenly_and_in_order() -> None:
    due = [message.due_s for message in messages(Plan(devices=4, rate=100, duration_s=2, seed=1), START_MS)]

    assert due == [slot / 100 for slot in range(200)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rubbish=0.1", "Unknown fault 'rubbish'. Known: garbage, duplicates, disorder, clock"),
        ("garbage", "not a fault and its share"),
        ("garbage=0.6,clock=0.6", "together at most 1"),
        ("garbage=-0.1", "at least 0"),
        ("garbage=nan", "at least 0"),
    ],
)
def test_faults_that_make_no_sense_are_refused_with_a_sentence(text: str, complaint: str) -> None:
    with pytest.raises(FleetError, match=complaint):
        Faults.parse(text)


@pytest.mark.parametrize(
    "change",
    [
        {"devices": 0}, {"devices": 10_000}, {"rate": 0}, {"rate": 2001}, {"rate": math.nan}, {"duration_s": 0},
        {"duration_s": math.inf}, {"duration_s": math.nan}, {"prefix": "a/b"},
    ],
)  # fmt: skip
def test_a_fleet_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    asked = {"devices": 4, "rate": 100.0, "duration_s": 30.0, "seed": 7}

    with pytest.raises(FleetError):
        Plan(**asked | change)
