"""The workgroup as it is deployed: its limits, its saved queries, and answers from the Iceberg table."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from templates.queries import saved_queries
from tests import lake as lakes
from tests.lake import Lake, client, reading
from tests.workgroup import QueryFailedError, Workgroup, make_older

MADE_AT = datetime.now(UTC)


def ago(hours: float) -> float:
    """Epoch seconds, so long before the readings were made."""
    return (MADE_AT - timedelta(hours=hours)).timestamp()


@pytest.fixture(scope="module")
def workgroup() -> Iterator[Workgroup]:
    """A workgroup over two runs: pumps 1 to 3 with a reading an hour, of which pump 3 fell silent, and pump 4 late."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lakes.environ().items():
            patch.setenv(name, value)
        lake = Lake(metrics=("temperature", "vibration", "pressure"))
        first = [
            reading(f"pump-{pump}", at=ago(hour), temperature=10.0 * pump + hour)
            for pump in (1, 2, 3)
            for hour in (1, 2, 3, 10)
            if not (pump == 3 and hour < 10)
        ]
        late = reading("pump-4", at=ago(80), temperature=1.0) | {"received_at": int(ago(2) * 1000)}
        lake.put("a", [*first, late])
        lake.run("first")
        make_older(lake, days=2)
        lake.put("b", [first[0], reading("pump-1", at=ago(0.5), temperature=99.0)])
        lake.run("second")
        made = Workgroup(lake)
        yield made
        made.delete()


def test_every_file_of_a_saved_query_is_one_in_the_workgroup(workgroup: Workgroup) -> None:
    saved = workgroup.saved()

    assert {name.replace(" ", "_") for name in saved} == set(saved_queries(workgroup.settings))
    assert len(saved) == 9
    for query in saved.values():
        assert query["Database"] == workgroup.lake.database
        assert query["Description"].endswith((".", "id."))


def test_last_readings_of_a_device_come_newest_first(workgroup: Workgroup) -> None:
    rows = workgroup.ask_saved("last readings", "'pump-1'")

    assert [row["temperature"] for row in rows] == ["99.0", "11.0", "11.0", "12.0", "13.0", "20.0"]


def test_hourly_statistics_are_those_of_one_device(workgroup: Workgroup) -> None:
    rows = workgroup.ask_saved("hourly statistics", "'pump-2'")

    assert [row["readings"] for row in rows] == ["1"] * 4
    assert [row["mean"] for row in rows] == ["30.0", "23.0", "22.0", "21.0"]


def test_late_readings_are_those_that_arrived_a_day_after_they_were_measured(workgroup: Workgroup) -> None:
    (row,) = workgroup.ask_saved("late readings")

    assert (row["device_id"], row["late_readings"], row["most_hours_late"]) == ("pump-4", "1", "78")


def test_silent_devices_are_those_long_behind_the_newest_reading(workgroup: Workgroup) -> None:
    assert [row["device_id"] for row in workgroup.ask_saved("silent devices")] == ["pump-4", "pump-3"]


def test_duplicates_are_readings_of_two_runs(workgroup: Workgroup) -> None:
    (row,) = workgroup.ask_saved("duplicates")

    assert (row["device_id"], row["times"]) == ("pump-1", "2")


def test_files_and_partitions_add_up_to_the_table(workgroup: Workgroup) -> None:
    files, partitions = workgroup.ask_saved("files"), workgroup.ask_saved("partitions")

    assert (
        sum(int(row["row_count"] or 0) for row in files)
        == sum(int(row["record_count"] or 0) for row in partitions)
        == 12
    )
    assert sum(int(row["files"] or 0) for row in files) == sum(int(row["file_count"] or 0) for row in partitions)
    assert all((row["folder"] or "").startswith("measured_at_day=") for row in files)


def test_snapshots_name_their_runs_newest_first(workgroup: Workgroup) -> None:
    rows = workgroup.ask_saved("snapshots")

    assert [(row["run_id"], row["added_rows"]) for row in rows] == [("second", "2"), ("first", "10")]


def test_a_day_ago_there_was_less_in_the_table(workgroup: Workgroup) -> None:
    rows = workgroup.ask_saved("a day ago")

    assert sum(int(row["now"] or 0) - int(row["a_day_ago"] or 0) for row in rows) == 2
    assert sum(int(row["now"] or 0) for row in rows) == 12


def test_the_table_cannot_be_asked_for_a_time_before_its_first_snapshot(workgroup: Workgroup) -> None:
    with pytest.raises(QueryFailedError, match="No version history"):
        workgroup.ask("SELECT * FROM readings FOR TIMESTAMP AS OF (current_timestamp - INTERVAL '3' DAY)")


def test_an_earlier_version_of_the_table_can_be_asked(workgroup: Workgroup) -> None:
    second, first = workgroup.ask_saved("snapshots")
    query = "SELECT count(*) AS row_count FROM readings FOR {} AS OF {}"

    (by_id,) = workgroup.ask(query.format("VERSION", first["snapshot_id"]))
    (by_time,) = workgroup.ask(query.format("TIMESTAMP", f"TIMESTAMP '{first['committed_at']}'"))
    (present,) = workgroup.ask(query.format("VERSION", second["snapshot_id"]))
    assert (by_id["row_count"], by_time["row_count"], present["row_count"]) == ("10", "10", "12")


def test_a_client_cannot_put_answers_elsewhere(workgroup: Workgroup) -> None:
    query_id = workgroup.athena.start_query_execution(
        QueryString="SELECT 1",
        WorkGroup=workgroup.name,
        ResultConfiguration={"OutputLocation": f"s3://{workgroup.lake.raw}/mine/"},
    )["QueryExecutionId"]

    execution = workgroup.wait(query_id)
    assert execution["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{workgroup.lake.processed}/athena/")
    assert execution["Status"]["State"] == "SUCCEEDED"


def test_the_configuration_is_that_of_the_settings(workgroup: Workgroup) -> None:
    configuration = workgroup.athena.get_work_group(WorkGroup=workgroup.name)["WorkGroup"]["Configuration"]

    assert configuration["BytesScannedCutoffPerQuery"] == workgroup.settings.athena.scan_limit_gb * 1_000_000_000
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["PublishCloudWatchMetricsEnabled"] is True
    assert configuration["ResultConfiguration"]["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("SELECT count(*) FROM readings", ("s3:GetObject", "warehouse/*")),
        ("SELECT count(*) FROM readings", ("glue:GetTable", "table/*")),
        ("SELECT 1 AS one", ("s3:PutObject", "athena/*")),
        ("SELECT 1 AS one", ("athena:StartQueryExecution", "workgroup/*")),
        ("SELECT 1 AS one", ("athena:GetQueryResults", "workgroup/*")),
    ],
)
def test_who_asks_needs_what_the_query_policy_allows(
    workgroup: Workgroup, query: str, refused: tuple[str, str]
) -> None:
    assert workgroup.ask(query)

    action, resource = refused
    with workgroup.refusing(action, resource), pytest.raises((QueryFailedError, ClientError), match=action):
        workgroup.ask(query)


def test_a_query_with_too_few_parameters_is_refused(workgroup: Workgroup) -> None:
    with pytest.raises(ClientError, match="expected 1 but found 0"):
        workgroup.ask_saved("last readings")


def test_what_is_no_column_is_refused(workgroup: Workgroup) -> None:
    with pytest.raises(QueryFailedError, match="nope"):
        workgroup.ask("SELECT nope FROM readings")


def test_a_workgroup_goes_with_its_stack_whatever_was_asked_in_it(workgroup: Workgroup) -> None:
    other = Workgroup(workgroup.lake)
    other.ask("SELECT 1 AS one")
    other.delete()

    assert workgroup.name in workgroups()
    assert other.name not in workgroups()


def workgroups() -> set[str]:
    return {found["Name"] for found in client("athena").list_work_groups()["WorkGroups"]}
