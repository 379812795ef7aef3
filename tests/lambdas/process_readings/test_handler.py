"""The function from event to answer: what is stored, set aside, announced and asked for again, also when AWS fails."""

import base64
import gzip
import json
import re

import pytest

from alerting import AlertsError
from process_readings.batch import TableRefusedError
from process_readings.wire import WireError
from tests.lambdas.process_readings.conftest import ARRIVED_MS, SHARD, Context, event, payload
from tests.lambdas.process_readings.fake_aws import answered, dynamodb_error

NOTHING_FAILED = {"batchItemFailures": []}
THROTTLED = answered(dynamodb_error("ProvisionedThroughputExceededException"))
BAD = b"not json"


def failed_from(sequence_number):
    return {"batchItemFailures": [{"itemIdentifier": str(sequence_number)}]}


def stored(aws):
    """Seconds after the first reading's time of everything in the table, by device."""
    first = ARRIVED_MS / 1000 - 60
    return sorted((device, int(float(time) - first)) for device, time in aws.items)


def quarantined(aws):
    return [json.loads(line) for body in aws.objects.values() for line in gzip.decompress(body).splitlines()]


def emf(capsys):
    (line,) = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    metrics = json.loads(line)
    return {name: value[0] for name, value in metrics.items() if isinstance(value, list)}


def test_a_reading_becomes_an_item_of_the_hot_table(handle, aws, context):
    record = payload(temperature=0, pressure=-1.5, sensor_type="thermo", location='hall "3"', received_at=ARRIVED_MS)

    assert handle(event(record), context) == NOTHING_FAILED
    (item,) = aws.items.values()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item.pop("processed_at")["S"])
    assert item == {
        "device_id": {"S": "pump-1"},
        "timestamp": {"N": "1795251540"},
        "temperature": {"N": "0.0"},
        "pressure": {"N": "-1.5"},
        "sensor_type": {"S": "thermo"},
        "sensor_type_shard": {"S": "thermo#4"},
        "location": {"S": 'hall "3"'},
        "received_at": {"N": str(ARRIVED_MS)},
        "expires_at": {"N": str(ARRIVED_MS // 1000 + 7 * 86_400)},
    }


def test_with_iso_8601_keys_the_items_are_keyed_by_text(handle, aws, context, settings_file):
    settings = json.loads(settings_file.read_text())
    settings["hot_table"].update(device_key="sensor_id", time_format="iso8601")
    settings_file.write_text(json.dumps(settings))
    aws.device_key = "sensor_id"

    assert handle(event(payload()), context) == NOTHING_FAILED
    assert list(aws.items) == [("pump-1", "2026-11-21T08:59:00.000Z")]


def test_an_invalid_record_is_set_aside_and_the_rest_stored(handle, aws, context):
    assert handle(event(payload(second=0), BAD, payload(second=2)), context) == NOTHING_FAILED

    assert stored(aws) == [("pump-1", 0), ("pump-1", 2)]
    day = "year=2026/month=11/day=21"
    assert list(aws.objects) == [f"quarantine/reason=not_json/{day}/stream-{SHARD}-100-102.jsonl.gz"]
    (line,) = quarantined(aws)
    assert (line["reason"], line["source"], line["position"]) == ("not_json", "stream", f"{SHARD}:101")
    assert base64.b64decode(line["payload_b64"]) == BAD


@pytest.mark.promise("manufacturing", "no object a reading")
def test_all_rejects_of_a_batch_share_one_object(handle, aws, context):
    handle(event(*[BAD, b"[]", b"{}"] * 20), context)

    assert (len(quarantined(aws)), aws.requests) == (60, ["s3"])


@pytest.mark.promise("manufacturing", "behaviour")
def test_the_metrics_balance(handle, context, capsys):
    late = payload(second=1, timestamp=0, note="x")
    handle(event(payload(second=0), payload(second=0), BAD, late, payload(second=2, temperature=101.0)), context)

    assert emf(capsys) == {
        "ReadingsReceived": 5,
        "ReadingsStored": 3,
        "ReadingsDuplicate": 1,
        "ReadingsQuarantined": 1,
        "ReadingsLate": 1,
        "FieldsIgnored": 1,
        "Alerts": 1,
    }


def test_of_duplicates_in_a_batch_the_last_received_is_stored(handle, aws, context):
    handle(event(payload(temperature=1), payload(temperature=2), payload(temperature=3)), context)

    assert [item["temperature"]["N"] for item in aws.items.values()] == ["3.0"]


def test_a_batch_goes_out_in_chunks_of_25(handle, aws, context):
    assert handle(event(*[payload(second=second) for second in range(130)]), context) == NOTHING_FAILED

    assert (len(aws.items), aws.requests) == (130, ["dynamodb"] * 6)


def test_delivering_a_batch_again_changes_nothing(handle, aws, context):
    batch = event(payload(second=0, temperature=130), BAD, payload(second=0, temperature=140), payload(second=1))
    handle(batch, context)
    items, objects, messages = dict(aws.items), dict(aws.objects), list(aws.messages)
    handle(batch, context)

    assert [{**item, "processed_at": None} for item in aws.items.values()] == [
        {**item, "processed_at": None} for item in items.values()
    ]
    assert aws.objects == objects
    assert aws.messages == messages * 2  # with the same alert_id, by which a receiver knows them


def test_the_halves_of_a_batch_leave_the_same_items_and_positions(handle, aws, context):
    payloads = [payload(second=second % 7) if second % 5 else BAD for second in range(20)]
    handle(event(*payloads), context)
    items, positions = stored(aws), {line["position"] for line in quarantined(aws)}
    handle(event(*payloads[:10]), context)
    handle(event(*payloads[10:], first=110), context)

    assert stored(aws) == items
    assert {line["position"] for line in quarantined(aws)} == positions


def test_unprocessed_items_are_written_by_a_later_attempt(handle, aws, context):
    aws.table_faults.append(aws.leave(lambda item: item["timestamp"]["N"].endswith("5")))

    assert handle(event(*[payload(second=second) for second in range(20)]), context) == NOTHING_FAILED
    assert (len(aws.items), aws.requests) == (20, ["dynamodb"] * 2)


def test_an_unprocessed_item_is_known_however_dynamodb_writes_its_number(handle, aws, context):
    def rewritten(puts):
        left = {**puts[0], "timestamp": {"N": "1.79525154025E9"}}
        return 200, json.dumps({"UnprocessedItems": {"hot": [{"PutRequest": {"Item": left}}]}}).encode()

    aws.table_faults.append(rewritten)

    assert handle(event(payload(timestamp=1795251540.25)), context) == NOTHING_FAILED
    assert list(aws.items) == [("pump-1", "1795251540.25")]


@pytest.mark.parametrize(
    "fault",
    [
        dynamodb_error("ProvisionedThroughputExceededException"),
        dynamodb_error("ThrottlingException"),
        dynamodb_error("InternalServerError", status=500),
        (503, b"<html>Service Unavailable</html>"),
        (0, b""),
    ],
    ids=["throughput", "throttling", "internal", "unavailable", "connection lost"],
)
def test_a_failure_that_passes_is_tried_again(handle, aws, context, fault):
    aws.table_faults.extend([answered(fault)] * 2)

    assert handle(event(payload()), context) == NOTHING_FAILED
    assert len(aws.items) == 1


def test_a_table_that_does_not_answer_in_time_is_asked_again(handle, aws, context, monkeypatch):
    monkeypatch.setattr("process_readings.wire.READ_TIMEOUT_S", 0.05)
    aws.table_faults.append(lambda _puts: __import__("time").sleep(0.2))

    assert handle(event(payload()), context) == NOTHING_FAILED
    assert len(aws.items) == 1


@pytest.mark.promise("manufacturing", "failed records are not lost")
def test_what_cannot_be_written_in_time_is_asked_for_again_from_the_lowest_on(handle, aws):
    slow = {"1795251543", "1795251547"}
    aws.always = aws.leave(lambda item: item["timestamp"]["N"] in slow)
    batch = event(*[payload(second=second) for second in range(10)])

    assert handle(batch, Context(left_ms=400, tick_ms=10)) == failed_from(103)
    assert {second for _, second in stored(aws)} == set(range(10)) - {3, 7}


def test_records_after_the_first_failed_one_are_neither_set_aside_nor_announced_nor_counted(handle, aws, capsys):
    aws.always = aws.leave(lambda item: item["timestamp"]["N"] == "1795251542")
    hot = [payload(second=second, temperature=130 + second) for second in range(4)]
    batch = event(hot[0], b"first", hot[1], hot[2], b"second", hot[3])

    assert handle(batch, Context(left_ms=400, tick_ms=10)) == failed_from(103)
    assert [base64.b64decode(line["payload_b64"]) for line in quarantined(aws)] == [b"first"]
    assert [(sent["message"]["count"], sent["message"]["value"]) for sent in aws.messages] == [(2, 131.0)]
    counted = emf(capsys)
    assert (counted["ReadingsReceived"], counted["ReadingsStored"], counted["ReadingsQuarantined"]) == (3, 2, 1)


def test_the_records_asked_for_again_complete_the_batch(handle, aws, context):
    aws.always = aws.leave(lambda item: item["timestamp"]["N"] == "1795251542")
    payloads = [payload(second=0), b"first", payload(second=2), b"second", payload(second=4)]
    assert handle(event(*payloads), Context(left_ms=400, tick_ms=10)) == failed_from(102)
    aws.always = lambda _puts: None
    assert handle(event(*payloads[2:], first=102), context) == NOTHING_FAILED

    assert stored(aws) == [("pump-1", 0), ("pump-1", 2), ("pump-1", 4)]
    assert [base64.b64decode(line["payload_b64"]) for line in quarantined(aws)] == [b"first", b"second"]


def test_a_duplicate_of_a_failed_reading_is_asked_for_again_with_it(handle, aws):
    aws.always = aws.leave(lambda item: item["timestamp"]["N"] == "1795251541")
    batch = event(payload(second=0), payload(second=1), payload(second=2), payload(second=1))

    assert handle(batch, Context(left_ms=400, tick_ms=10)) == failed_from(101)


def test_a_table_that_only_throttles_gives_back_the_whole_batch(handle, aws):
    aws.always = THROTTLED

    assert handle(event(payload(), BAD), Context(left_ms=400, tick_ms=10)) == failed_from(100)
    assert (aws.items, aws.objects) == ({}, {})


def test_when_no_time_is_left_nothing_is_attempted(handle, aws):
    assert handle(event(payload()), Context(left_ms=1000, tick_ms=800)) == failed_from(100)
    assert aws.requests == []


def refusing(value):
    def fault(puts):
        if any(item["temperature"]["N"] == value for item in puts):
            return dynamodb_error("ValidationException")
        return None

    return fault


def test_an_item_that_the_table_never_takes_is_set_aside_and_holds_up_nothing(handle, aws, context, capsys):
    aws.always = refusing("13.0")

    assert handle(event(*[payload(second=at, temperature=at) for at in range(25)]), context) == NOTHING_FAILED
    assert {second for _, second in stored(aws)} == set(range(25)) - {13}
    (line,) = quarantined(aws)
    assert (line["reason"], line["position"]) == ("bad_metric", f"{SHARD}:113")
    assert "ValidationException" in line["detail"]
    counted = emf(capsys)
    assert (counted["ReadingsStored"], counted["ReadingsQuarantined"], counted["ReadingsDuplicate"]) == (24, 1, 0)


def test_a_duplicate_of_a_refused_reading_counts_as_a_duplicate(handle, aws, context, capsys):
    aws.always = refusing("13.0")
    handle(event(payload(temperature=12), payload(temperature=13), payload(second=1)), context)

    counted = emf(capsys)
    assert (counted["ReadingsStored"], counted["ReadingsQuarantined"], counted["ReadingsDuplicate"]) == (1, 1, 1)


def test_a_table_that_refuses_everything_is_an_error_and_no_quarantine(handle, aws, context):
    aws.always = answered(dynamodb_error("ValidationException"))

    with pytest.raises(TableRefusedError, match="Compare its keys with the settings"):
        handle(event(payload(second=0), BAD, payload(second=1)), context)
    assert aws.objects == {}


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"])
def test_what_no_retry_helps_is_an_error_of_the_invocation(handle, aws, context, code):
    aws.always = answered(dynamodb_error(code))

    with pytest.raises(WireError, match=code):
        handle(event(*[payload(second=second) for second in range(60)], BAD), context)
    assert aws.objects == {}


def test_a_failing_bucket_is_an_error_of_the_invocation_and_the_next_delivery_completes_it(handle, aws, context):
    batch = event(payload(), BAD)
    aws.bucket_fault = (403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
    with pytest.raises(Exception, match="AccessDenied"):
        handle(batch, context)
    aws.bucket_fault = None

    assert handle(batch, context) == NOTHING_FAILED
    assert (len(aws.items), len(quarantined(aws))) == (1, 1)


def test_an_alert_tells_device_rule_and_the_most_extreme_value(handle, aws, context):
    handle(
        event(*[payload(second=at, temperature=value) for at, value in enumerate([99, 101, 130, 100, 120])]), context
    )

    (sent,) = aws.messages
    alert_id = sent["message"].pop("alert_id")
    assert re.fullmatch("[0-9a-f]{32}", alert_id)
    assert sent == {
        "message": {
            "system": "plant",
            "device_id": "pump-1",
            "metric": "temperature",
            "unit": "°C",
            "severity": "critical",
            "threshold": {"above": 100.0},
            "count": 3,
            "first_at": "2026-11-21T08:59:01.000Z",
            "last_at": "2026-11-21T08:59:04.000Z",
            "value": 130.0,
        },
        "attributes": {"device_id": "pump-1", "metric": "temperature", "severity": "critical"},
    }


def test_each_device_and_rule_has_an_alert_of_its_own_and_ten_go_out_at_once(handle, aws, context):
    hot = [payload(device=f"pump-{number}", temperature=130) for number in range(11)]
    handle(event(*hot, payload(device="pump-0", second=1, temperature=-20)), context)

    assert len({sent["message"]["alert_id"] for sent in aws.messages}) == 12
    assert {sent["attributes"]["severity"] for sent in aws.messages} == {"critical", "warning"}
    assert aws.requests == ["dynamodb", "sns", "sns"]


def test_alerts_that_sns_did_not_take_are_published_again_and_the_others_not(handle, aws, context):
    aws.topic_faults.append("InternalError")
    handle(event(payload("pump-1", temperature=130), payload("pump-2", temperature=130)), context)

    assert sorted(sent["attributes"]["device_id"] for sent in aws.messages) == ["pump-1", "pump-2"]


def test_alerts_that_sns_never_takes_are_an_error_of_the_invocation(handle, aws, context):
    aws.topic_faults.extend(["InternalError"] * 3)

    with pytest.raises(AlertsError, match="InternalError"):
        handle(event(payload(temperature=130)), context)


def test_a_fault_of_ours_is_an_error_of_the_invocation(handle, context):
    with pytest.raises(KeyError):
        handle({"Records": [{"kinesis": {}}]}, context)
