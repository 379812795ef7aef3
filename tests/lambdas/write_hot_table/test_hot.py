"""What becomes of staged readings in the hot table: what is written, what is left alone, and how fast."""

import tempfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction.errors import ResultMissing
from reprocessing.errors import TableBusy
from reprocessing.keys import hot_key
from reprocessing.merge_manifests import HotResult
from sensors.reading import Reading
from sensors.settings import HotTable
from tests.lambdas.write_hot_table.conftest import AT_MS, BY_NUMBER, BY_TEXT, RUN_MS, Hot, in_memory, reading
from tests.memory_dynamodb import failure

DAY_MS = 86_400_000
BY_RUN = {"reprocessed_by": {"S": "run"}}


def counts(result: HotResult) -> dict[str, int]:
    """The counts that are not zero."""
    named = {name: getattr(result, name) for name in ("written", "unchanged", "newer", "expired", "refused")}
    return {name: count for name, count in named.items() if count}


def test_a_missing_item_is_written_as_real_time_would_and_names_the_run(hot: Hot) -> None:
    given = reading(temperature=0.0, flow=1e-130, sensor_type="thermo", location='hall "3"')
    hot.stage(given)

    assert counts(hot.write()) == {"written": 1}
    (item,) = hot.dynamodb.items.values()
    hot.dynamodb.store(hot.item(given, RUN_MS, **BY_RUN))
    assert hot.dynamodb.items == {("pump-1", "1795251600"): item}


def test_what_is_as_it_should_be_is_not_written(hot: Hot) -> None:
    hot.stage(*[reading(ms=number, temperature=number / 7) for number in range(250)])
    hot.real_time(*[reading(ms=number, temperature=number / 7) for number in range(250)])

    result = hot.write()

    assert (counts(result), hot.puts, hot.dynamodb.reads) == ({"unchanged": 250}, [], 3)
    assert (result.done, result.after) == (True, ("pump-1", AT_MS + 249))


@pytest.mark.parametrize(
    "held",
    [
        reading(temperature=9.0),
        reading(temperature=20.5, vibration=1.0),
        reading(temperature=20.5, location="hall-3"),
        reading(temperature=20.5, after_ms=40),
    ],
)
def test_what_differs_in_a_value_an_attribute_or_its_arrival_is_written(hot: Hot, held: Reading) -> None:
    hot.stage(reading())
    hot.real_time(held)

    assert counts(hot.write()) == {"written": 1}
    (item,) = hot.held().values()
    assert (item["temperature"], item["received_at"], item["reprocessed_by"]) == (
        {"N": "20.5"},
        {"N": str(AT_MS + 50)},
        {"S": "run"},
    )


def test_an_item_from_before_items_had_an_arrival_is_older(hot: Hot) -> None:
    hot.stage(reading())
    hot.real_time(reading(temperature=9.0))
    for item in hot.dynamodb.items.values():
        del item["received_at"]

    assert counts(hot.write()) == {"written": 1}


@pytest.mark.parametrize(
    ("held", "processed_ms"),
    [(reading(temperature=9.0, after_ms=51), AT_MS), (reading(temperature=9.0), RUN_MS + 1)],
    ids=["received later", "received together and processed after the run's start"],
)
def test_a_newer_item_stays_and_costs_no_write(hot: Hot, held: Reading, processed_ms: int) -> None:
    hot.stage(reading())
    hot.real_time(held, processed_ms=processed_ms)
    before = hot.held()

    assert (counts(hot.write()), hot.held(), hot.puts) == ({"newer": 1}, before, [])


def test_a_correction_that_arrives_between_read_and_write_stays(hot: Hot) -> None:
    correction = reading(temperature=9.0, after_ms=70)
    hot.stage(reading(), reading("pump-2"))
    hot.dynamodb.before_put = lambda _item: hot.real_time(correction, processed_ms=RUN_MS - 1)

    assert counts(hot.write()) == {"written": 1, "newer": 1}
    assert hot.held()["pump-1", "1795251600"]["temperature"] == {"N": "9"}


def test_readings_past_their_time_are_not_written_wherever_they_stand(hot: Hot) -> None:
    expired = [number for number in range(300) if number % 3 or 90 < number < 200]
    hot.stage(*[reading(ms=number, after_ms=50 - number + (0 if number in expired else 1000)) for number in range(300)])

    now_ms = AT_MS + 30 * DAY_MS
    result = hot.write(now_ms=now_ms)

    assert counts(result) == {"written": 300 - len(expired), "expired": len(expired)}
    assert all(int(item["expires_at"]["N"]) > now_ms // 1000 for item in hot.dynamodb.items.values())
    assert (result.done, hot.dynamodb.reads) == (True, 1)


def test_of_readings_staged_twice_the_last_received_is_written_and_then_that_of_the_last_object(hot: Hot) -> None:
    hot.stage(reading(temperature=1.0, after_ms=60), reading("pump-2", temperature=1.0), name="b")
    hot.stage(reading(temperature=2.0), reading("pump-2", temperature=2.0), name="a")

    assert counts(hot.write()) == {"written": 2}
    assert [item["temperature"]["N"] for item in hot.held().values()] == ["1", "1"]


def test_a_task_takes_the_readings_of_its_range_alone(hot: Hot) -> None:
    hot.stage(*[reading(f"pump-{number}") for number in range(6)])

    result = hot.write(start=("pump-1", AT_MS), end=("pump-4", AT_MS))

    assert sorted(device for device, _ in hot.dynamodb.items) == ["pump-1", "pump-2", "pump-3"]
    assert (counts(result), result.after) == ({"written": 3}, ("pump-3", AT_MS))


def test_a_task_of_which_nothing_is_staged_is_done(hot: Hot) -> None:
    hot.plan()

    assert hot.write() == HotResult("00000-000", None, done=True)


def test_a_task_that_is_done_is_answered_as_it_is(hot: Hot) -> None:
    hot.stage(reading())
    result = hot.write()
    hot.stage(reading("pump-2"), name="b")

    assert (hot.write(), len(hot.puts)) == (result, 1)


def test_without_a_plan_or_a_group_the_task_says_what_is_gone(hot: Hot) -> None:
    hot.stage(reading())
    for key in ("runs/reprocess/run/plan.json", "runs/reprocess/run/merges/0/groups/00000.json"):
        hot.plan()
        hot.store._s3.delete_object(Bucket="processed", Key=key)

        with pytest.raises(ResultMissing, match=key):
            hot.write()


def test_keys_left_unprocessed_are_read_again(hot: Hot) -> None:
    hot.stage(*[reading(ms=number) for number in range(100)])
    hot.real_time(*[reading(ms=number) for number in range(100)])
    hot.dynamodb.most = 30

    assert (counts(hot.write()), hot.dynamodb.reads, hot.puts) == ({"unchanged": 100}, 4, [])


@pytest.mark.parametrize(
    "fault",
    [
        failure("ProvisionedThroughputExceededException"),
        failure("ThrottlingException"),
        failure("InternalServerError", status=500),
        ConnectTimeoutError(endpoint_url="dynamodb"),
    ],
    ids=str,
)
def test_what_passes_by_itself_is_tried_again_and_each_attempt_waits_for_its_turn(hot: Hot, fault: Exception) -> None:
    hot.stage(*[reading(ms=number) for number in range(20)])
    hot.dynamodb.faults.extend([fault] * 3)
    failing = [fault] * 30

    def fail(_: object) -> None:
        if failing:
            raise failing.pop()

    hot.dynamodb.before_put = fail
    begun = hot.clock()

    assert counts(hot.write()) == {"written": 20}
    assert len(hot.puts) == 50
    assert hot.clock() - begun >= 50 / 100  # a rate of 400, shared by four


def test_a_table_that_takes_nothing_for_a_whole_invocation_is_an_error_that_says_so(hot: Hot) -> None:
    hot.stage(reading())

    def throttle(_: object) -> None:
        raise failure("ThrottlingException")

    hot.dynamodb.before_put = throttle
    with pytest.raises(TableBusy, match=r"task 00000-000 .* ThrottlingException!.* redrive"):
        hot.write()

    assert hot.store.read(hot_key("run", "0", "00000-000")) is None


def test_a_table_that_cannot_be_read_for_a_whole_invocation_is_the_same_error(hot: Hot) -> None:
    hot.stage(reading())
    hot.dynamodb.faults.extend([failure("ThrottlingException")] * 1000)

    with pytest.raises(TableBusy, match="ThrottlingException!"):
        hot.write()


def test_an_item_that_dynamodb_never_takes_is_counted_with_its_words_and_the_others_are_written(hot: Hot) -> None:
    hot.stage(*[reading(ms=number) for number in range(30)])

    def refuse(item: dict[str, dict[str, str]]) -> None:
        if int(item["received_at"]["N"]) % 10:
            raise failure("ValidationException")

    hot.dynamodb.before_put = refuse
    result = hot.write()

    assert (counts(result), len(result.refusals)) == ({"written": 3, "refused": 27}, 20)
    assert result.refusals[0].key == ("pump-1", AT_MS + 1)
    assert "ValidationException!" in result.refusals[0].detail


def test_a_table_that_may_not_be_written_fails_the_task(hot: Hot) -> None:
    hot.stage(*[reading(ms=number) for number in range(30)])

    def deny(_: object) -> None:
        raise failure("AccessDeniedException")

    hot.dynamodb.before_put = deny
    with pytest.raises(ClientError, match="AccessDeniedException"):
        hot.write()


def test_a_task_out_of_time_goes_on_behind_the_last_reading_that_is_done(hot: Hot) -> None:
    hot.stage(*[reading(f"pump-{number:03}") for number in range(350)])
    hot.real_time(*[reading(f"pump-{number:03}") for number in range(0, 350, 2)])

    hot.plan(max_rate=4 * 64)  # for this task 64 a second, the first after a 64th of one

    results = [hot.write(time_s=0.5)]
    while not results[-1].done:
        results.append(hot.write(time_s=0.5))

    assert [result.written for result in results] == [31, 62, 93, 124, 155, 175]
    assert [result.after for result in results[:-1]] == sorted({result.after for result in results[:-1]})
    assert counts(results[-1]) == {"written": 175, "unchanged": 175}
    assert len(hot.puts) == 175


def test_a_task_out_of_time_leaves_nothing_out_though_a_group_has_several_hours(hot: Hot) -> None:
    hot.stage(*[reading(device, ms) for device in ("a", "b", "c") for ms in (0, 3_600_000)])

    results = [hot.write(time_s=0.035)]
    while not results[-1].done:
        results.append(hot.write(time_s=0.035))

    assert len(results) > 1
    assert counts(results[-1]) == {"written": 6}
    assert len(hot.dynamodb.items) == 6


HISTORIES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 3),
        st.integers(0, 9),
        st.sampled_from([{}, {"location": "x"}, {"location": "y"}]),
    ),
    max_size=12,
)
History = list[tuple[str, int, int, dict[str, str]]]


def received(history: History, scale: float = 1.0) -> list[Reading]:
    """Readings of a stream: each is received after, or together with, those before it."""
    return [
        reading(device, ms, after_ms=100 - ms + number // 2, temperature=value * scale, **attributes)
        for number, (device, ms, value, attributes) in enumerate(history)
    ]


@settings(max_examples=40, deadline=None)
@given(HISTORIES, st.sampled_from([BY_NUMBER, BY_TEXT]))
def test_whatever_was_received_by_unchanged_rules_nothing_is_written(history: History, known: HotTable) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hot = in_memory(Path(folder), known)
        hot.plan()
        if history:
            hot.stage(*received(history))
        hot.real_time(*received(history))

        result = hot.write()

        assert (counts(result), hot.puts) == ({"unchanged": len(hot.dynamodb.items)} if history else {}, [])


@settings(max_examples=40, deadline=None)
@given(HISTORIES, st.sampled_from([BY_NUMBER, BY_TEXT]))
def test_whatever_was_received_by_other_rules_the_table_ends_as_if_todays_had_been_there(
    history: History, known: HotTable
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hot, never = (in_memory(Path(folder), known) for _ in range(2))
        hot.plan()
        if history:
            hot.stage(*received(history))
        hot.real_time(*received(history, scale=1.5))
        never.real_time(*received(history))

        hot.write()

        without_run = {place: {**item} for place, item in hot.held().items()}
        for item in without_run.values():
            item.pop("reprocessed_by", None)
        assert without_run == never.held()
