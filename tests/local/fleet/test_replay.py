"""Recorded CSV files: what their columns mean is recognised, every row is sent or counted as unreadable."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from local.fleet import FleetError, replay
from local.fleet.columns import read_time_ms, recognise
from local.fleet.message import Kind, Message

DATA = Path(os.environ.get("SENSORKEEP_DATA", Path(__file__).parents[4] / "shared" / "data"))
recorded_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"recorded data is not at {DATA} (SENSORKEEP_DATA)")

NOW_MS = 1_790_000_000_000
SKAB = (
    "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Volume Flow RateRMS;anomaly\r\n"
    "2020-03-09 10:14:33;0.0265878;0.0401113;1.3302;32.0;0.0\r\n"
    "2020-03-09 10:14:34;0.0461697;0.0404525;1.35399;32.5;1.0\r\n"
)


@pytest.fixture
def csv_file(tmp_path: Path) -> Any:
    def write(text: str, name: str = "valve1/0.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


def read(path: Path, **options: Any) -> tuple[list[Message], replay.Report]:
    report = replay.Report()
    recordings = replay.open_recordings(replay.find(path), options.pop("separator", None), options.pop("names", None))
    return list(replay.messages(recordings, report, NOW_MS, **options)), report


def payloads(messages: list[Message]) -> list[dict[str, Any]]:
    return [json.loads(message.payload) for message in messages]


def test_a_skab_file_gives_readings_with_original_times_and_vibration_as_the_worse_of_two(csv_file: Any) -> None:
    messages, report = read(csv_file(SKAB))

    assert payloads(messages) == [
        {
            "device_id": "valve1-0", "timestamp": 1583748873000, "sequence": 1, "vibration_1": 0.0265878,
            "vibration_2": 0.0401113, "current": 1.3302, "flow_rate": 32.0, "anomaly": 0.0, "vibration": 0.0401113,
        },
        {
            "device_id": "valve1-0", "timestamp": 1583748874000, "sequence": 2, "vibration_1": 0.0461697,
            "vibration_2": 0.0404525, "current": 1.35399, "flow_rate": 32.5, "anomaly": 1.0, "vibration": 0.0461697,
        },
    ]  # fmt: skip
    assert [message.kind for message in messages] == [Kind.NORMAL, Kind.ANOMALY]
    assert (report.rows, report.unreadable) == (2, 0)


def test_a_file_of_time_and_value_names_its_metric_after_itself(csv_file: Any) -> None:
    messages, _ = read(csv_file("timestamp,value\n2013-12-02 21:15:00,73.9\n", "nab/Machine temperature.csv"))

    assert payloads(messages)[0] == {
        "device_id": "nab-Machine-temperature", "timestamp": 1386018900000, "sequence": 1, "machine_temperature": 73.9,
    }  # fmt: skip


def test_given_columns_come_before_what_is_recognised(csv_file: Any) -> None:
    path = csv_file("when|a|b\n1700000000|1|2\n")

    messages, _ = read(path, names={"time": "when", "temperature": "a"})

    assert payloads(messages)[0].items() >= {"timestamp": 1700000000000, "temperature": 1.0, "b": 2.0}.items()


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_the_separator_is_recognised(csv_file: Any, separator: str) -> None:
    path = csv_file("time,load,heat\n2020-01-01T00:00:00Z,1,2\n".replace(",", separator))

    assert recognise(path, None, {}).metrics == {1: "load", 2: "heat"}


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2020-03-09 10:14:33", 1583748873000),
        ("2020-03-09T10:14:33.250+02:00", 1583741673250),
        ("2020-03-09T10:14:33Z", 1583748873000),
        ("1583748873", 1583748873000),
        ("1583748873.125", 1583748873125),
        ("1583748873125", 1583748873125),
    ],
)
def test_times_are_read_as_dates_seconds_or_milliseconds(text: str, ms: int) -> None:
    assert read_time_ms(text) == ms


@pytest.mark.parametrize("text", ["", "noon", "nan", "inf", "-1", "1960-01-01 00:00:00", "1e15"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_time_ms(text)


@pytest.mark.parametrize(
    "row", ["2020-01-01 00:00:01;1", "soon;1;2", "2020-01-01 00:00:01;x;2", "2020-01-01 00:00:01;;", '"2020;1;2']
)
def test_an_unreadable_row_is_counted_and_said_and_the_rest_is_sent(csv_file: Any, row: str) -> None:
    good = "2020-01-01 00:00:0{};1;2\n"
    path = csv_file("time;load;heat\n" + good.format(0) + row + "\n" + good.format(2) + good.format(3))

    messages, report = read(path)

    assert [payload["timestamp"] for payload in payloads(messages)] == [1577836800000, 1577836802000, 1577836803000]
    assert (report.rows, report.unreadable) == (4, 1)
    assert report.examples[0].startswith("0.csv, line 3: ")


def test_an_empty_cell_leaves_its_metric_out(csv_file: Any) -> None:
    messages, report = read(csv_file("time;load;heat\n2020-01-01 00:00:00;1;2\n2020-01-01 00:00:01;;2\n"))

    assert "load" not in payloads(messages)[1]
    assert report.unreadable == 0


def test_a_time_that_comes_again_is_a_duplicate(csv_file: Any) -> None:
    row = "2020-01-01 00:00:00,1\n"
    messages, _ = read(csv_file("time,load\n" + row + row))

    assert [message.kind for message in messages] == [Kind.NORMAL, Kind.DUPLICATE]


def test_a_time_ahead_of_now_is_expected_to_be_rejected(csv_file: Any) -> None:
    messages, _ = read(csv_file("time,load\n2099-01-01 00:00:00,1\n"))

    assert messages[0].reason == "timestamp_in_future"


def test_columns_without_numbers_are_said(csv_file: Any) -> None:
    _, report = read(csv_file("time,load,state\n2020-01-01 00:00:00,1,on\n"))

    assert report.ignored_columns == {"0.csv": ("state",)}


def test_files_take_turns_and_a_limit_ends_them(csv_file: Any, tmp_path: Path) -> None:
    csv_file(SKAB, "valve1/2.csv")
    csv_file(SKAB, "valve1/10.csv")

    messages, _ = read(tmp_path, limit=3)

    assert [message.device_id for message in messages] == ["valve1-2", "valve1-10", "valve1-2"]


def test_with_a_speed_rows_are_due_as_far_apart_as_recorded_divided_by_it(csv_file: Any) -> None:
    messages, _ = read(csv_file(SKAB), speed=2.0)

    assert [message.due_s for message in messages] == [0.0, 0.5]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column holds times"),
        ("a" * 200_000, "no column holds times"),
        ("time,value\n2020-01-01 00:00:00," + "1" * 200_000, "no column holds times"),
        ("a,b\n1,2\n", "Give its name with --columns time=column"),
        ("time,state\n2020-01-01 00:00:00,on\n", "Give their names with --columns"),
        ("time,a b,a_b\n2020-01-01 00:00:00,1,2\n", "with different names"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_with_what_to_give(
    csv_file: Any, text: str, complaint: str
) -> None:
    with pytest.raises(FleetError, match=complaint):
        read(csv_file(text))


def test_a_column_that_is_not_there_is_named_with_those_that_are(csv_file: Any) -> None:
    with pytest.raises(FleetError, match=r"no column 'when'\. It has: datetime, Accelerometer1RMS"):
        read(csv_file(SKAB), names={"time": "when"})


def test_a_folder_without_csv_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="There is no CSV file"):
        replay.find(tmp_path)


def test_two_files_of_one_device_are_refused(csv_file: Any, tmp_path: Path) -> None:
    csv_file(SKAB, "a/valve1/0.csv")
    csv_file(SKAB, "b/valve1/0.csv")

    with pytest.raises(FleetError, match="would both be device valve1-0"):
        read(tmp_path)


@recorded_data
@pytest.mark.parametrize(
    ("folder", "files", "rows"), [("skab/valve1", 16, 18_160), ("skab/anomaly-free", 1, 9_405), ("nab", 25, 163_930)]
)
def test_published_data_sets_are_read_as_they_are(folder: str, files: int, rows: int) -> None:
    messages, report = read(DATA / folder)

    assert len({message.device_id for message in messages}) == files
    assert (len(messages), report.rows, report.unreadable) == (rows, rows, 0)


@recorded_data
def test_every_skab_file_gives_the_metrics_that_the_settings_declare() -> None:
    for recording in replay.open_recordings(replay.find(DATA / "skab")):
        declared = {"temperature", "pressure", "current", "voltage", "flow_rate", "vibration_1", "vibration_2"}
        assert declared <= set(recording.columns.metrics.values())
