"""What holds for every batch and every failure of the table: counts balance, and repeating what failed completes it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_readings.batch import Processor
from process_readings.writing import Outcome
from sensors.decode import decode
from sensors.hot_items import Items
from sensors.reading import RESERVED_NAMES, Reading
from sensors.settings import Decoding, HotTable
from tests.lambdas.process_readings.conftest import ARRIVED_MS, event, payload

ITEMS = Items(HotTable("device_id", "epoch_seconds", retention_days=7))

PAYLOADS = st.one_of(
    st.builds(payload, st.sampled_from(["a", "b"]), st.integers(0, 3), temperature=st.integers(-300, 300)),
    st.binary(max_size=4),
    st.just(b"{}"),
)


class FlakyTable:
    """Fails what it is told, one set of indices an attempt; then takes everything."""

    def __init__(self, failing, refused_seconds):
        self.items = {}
        self._failing = list(failing)
        self._refused = refused_seconds

    def write(self, puts, _time_left_s):
        chosen = self._failing.pop(0) if self._failing else set()
        outcome = Outcome()
        for number, (identity, text) in enumerate(puts.items()):
            if (identity[1] - ARRIVED_MS) // 1000 % 60 in self._refused and len(puts) > 1 and number:
                outcome.refused[identity] = "no"
            elif number in chosen:
                outcome.failed[identity] = "later"
            else:
                self.items[identity] = text
        return outcome


@given(
    st.lists(PAYLOADS, min_size=1, max_size=12),
    st.lists(st.sets(st.integers(0, 11)), max_size=4),
    st.sets(st.integers(0, 3), max_size=1),
)
def test_a_batch_conserves_its_count_over_all_its_deliveries(payloads, failing, refused_seconds):
    table = FlakyTable(failing, refused_seconds)
    processor = Processor("plant", Decoding(), (), ITEMS, table.write)
    records = event(*payloads)["Records"]
    received = settled = 0
    while True:
        result = processor.process(records, "2026-11-21T09:00:00.000Z", lambda: 60.0)
        result.counts.check()
        received += result.counts.received
        settled += result.counts.stored + result.counts.duplicate + result.counts.quarantined
        if result.failed_sequence is None:
            break
        sequence_numbers = [record["kinesis"]["sequenceNumber"] for record in records]
        records = records[sequence_numbers.index(result.failed_sequence) :]

    assert received == settled == len(payloads)


@given(st.lists(PAYLOADS, min_size=1, max_size=12), st.lists(st.sets(st.integers(0, 11)), max_size=4))
def test_whatever_fails_on_the_way_in_the_end_every_reading_is_stored_as_last_received(payloads, failing):
    table = FlakyTable(failing, set())
    processor = Processor("plant", Decoding(), (), ITEMS, table.write)
    records = event(*payloads)["Records"]
    while (result := processor.process(records, "", lambda: 60.0)).failed_sequence is not None:
        records = [one for one in records if int(one["kinesis"]["sequenceNumber"]) >= int(result.failed_sequence)]

    readings = [one for one in (decode(data, ARRIVED_MS, Decoding()) for data in payloads) if isinstance(one, Reading)]
    last = {(reading.device_id, reading.measured_at_ms): reading for reading in readings}
    assert table.items == {identity: ITEMS.put_request(reading, "") for identity, reading in last.items()}


def test_an_item_tells_its_reading_and_its_values_whatever_their_names():
    names = st.text(min_size=1, max_size=20).filter(lambda name: name not in RESERVED_NAMES)
    values = st.floats(allow_nan=False, allow_infinity=False)
    texts = st.dictionaries(st.sampled_from(["location", "facility"]), st.text(max_size=20))

    @given(st.integers(0, 253_402_300_799_999), st.dictionaries(names, values, min_size=1), texts)
    def check(measured_at_ms, metrics, attributes):
        reading = Reading("pump-1", measured_at_ms, metrics, attributes, ARRIVED_MS, 0, late=False)
        for time_format in ("epoch_seconds", "iso8601"):
            items = Items(HotTable("device_id", time_format, retention_days=7))
            put_request = json.loads(items.put_request(reading, "now"))
            item = put_request["PutRequest"]["Item"]

            assert items.identity(put_request["PutRequest"]["Item"]) == ("pump-1", measured_at_ms)
            assert {name: float(item[name]["N"]) for name in metrics} == metrics
            assert {name: item[name]["S"] for name in attributes} == attributes

    check()


@pytest.mark.parametrize("widest", ["\U0001f321" * 255, "\x00" * 255])
def test_the_largest_reading_is_far_below_dynamodbs_limits(widest):
    metrics = {f"{number:02d}{widest[2:]}": -1.2345678901234567e-100 for number in range(64)}
    attributes = dict.fromkeys(["sensor_type", "location", "facility", "equipment_type"], "\x00" * 256)
    reading = Reading("d" * 128, ARRIVED_MS, metrics, attributes, ARRIVED_MS, 0, late=False)
    text = ITEMS.put_request(reading, "2026-11-21T09:00:00.000Z").encode()

    assert len(text) < 110_000 < 400_000
    assert 25 * len(text) < 3_000_000 < 16_000_000
