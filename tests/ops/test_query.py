"""Queries: what is read for them, and that the answer is the one of a full read."""

import functools
import os
from unittest import mock

import duckdb
import pytest
from pyiceberg.table import Table

from ops import query, sql
from ops.errors import OpsError
from tests import lake as lakes
from tests.lake import AT, reading

DAY = 86_400
SCHEMA = ["device_id", "measured_at", "temperature", "vibration", "other_metrics"]


@functools.cache
def table() -> Table:
    """Three days, a file each: temperatures 20 to 24, 120 to 124, 220 to 224, of five devices."""
    with mock.patch.dict(os.environ, lakes.environ()):
        lake = lakes.Lake()
        for day in range(3):
            records = [
                reading(f"pump-{number}", at=AT - day * DAY + number, temperature=day * 100 + 20 + number, humidity=1)
                for number in range(5)
            ]
            lake.put(f"{day}", records)
        lake.run("run")
        return lake.table()


def unpruned(text: str) -> list[list[object]]:
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("readings", table().scan().to_arrow())
        found = database.sql(text).to_arrow_table()
        return [list(row) for row in zip(*(column.to_pylist(maps_as_pydicts="lossy") for column in found), strict=True)]


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("select count(*) from readings", 3),
        ("select * from readings order by all", 3),
        ("select device_id from readings where measured_at >= '2026-11-21' order by 1", 1),
        ("select device_id from readings where measured_at >= timestamp '2026-11-20 00:00:00' order by 1", 2),
        ("select device_id from readings where date '2026-11-20' > measured_at order by 1", 1),
        ("select count(*) from readings where '2026-11-20T10:00:00+02:00'::timestamptz <= measured_at", 2),
        ("select count(*) from readings where measured_at < now() - interval 1000 days", 0),
        ("select count(*) from readings r where r.temperature between 100 and 200.5", 1),
        ("select count(*) from readings where temperature in (21, 221)", 2),
        ("select count(*) from readings where (temperature > 100 and (temperature < 130)) and vibration is null", 1),
        ("select count(*) from readings where temperature = -(-21)", 1),
        ("select count(*) from readings where device_id = 'pump-9'", 0),
        ("select sum(temperature) from readings where device_id in ('pump-1', 'pump-2')", 3),
        ("select count(*) from readings where temperature > '100'", 2),
        ("with hot as (select * from readings where temperature > 200) select count(*) from hot a, hot b", 1),
        ("select count(*) from (select * from readings where temperature > 200)", 1),
        ("select count(*) from readings where temperature > 200 or device_id = 'pump-1'", 3),
        ("select count(*) from readings where not (temperature > 200)", 3),
        ("select count(*) from readings where temperature > 200 union all select 1 from readings limit 1", 3),
        ("select a.vibration from readings a left join readings b using (device_id) where b.temperature > 100", 3),
        ("select count(*) from readings where temperature > (select avg(temperature) from readings)", 3),
        ("select -temperature as temperature from readings where temperature > 200 order by 1", 3),
        ("select other_metrics['humidity'] from readings where other_metrics['humidity'] > 0.5", 3),
        ("select readings from readings order by readings.device_id, measured_at", 3),
        ("select columns('t.*') from readings order by all", 3),
        ("select device_id, count(*) from readings group by all having count(*) > 2 order by 1", 3),
        ("select max(temperature) filter (where temperature < 100) from readings where measured_at < '2100-01-01'", 3),
        ("from readings select device_id where temperature > 223", 1),
        ("select count(*) from readings where DEVICE_ID = 'pump-1' and Temperature < 100", 1),
        ("select count(*) from readings semi join (values ('pump-1')) v(device_id) using (device_id)", 3),
        ("select count(*) from readings where measured_at > 'infinity'", 3),
        ("select count(*) from readings where measured_at < '290000-01-01'", 3),
        ("select count(*) from readings where temperature < 'inf'::double", 3),
        ("select 1", 0),
    ],
)  # fmt: skip
def test_the_answer_is_that_of_a_full_read_from_the_files_that_can_matter(text: str, files: int) -> None:
    found = query.answer(table(), text, sql.parse(text))

    assert found.rows == unpruned(text)
    assert (found.files_read, found.files_total) == (files, 3)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select count(*) from readings", ["device_id"]),
        ("select avg(Temperature) from readings where measured_at > '2026-01-01'", ["measured_at", "temperature"]),
        ("select * from readings", SCHEMA),
        ("select * exclude (vibration) from readings", SCHEMA),
        ("select r from readings r", SCHEMA),
        ("select columns('t.*') from readings", SCHEMA),
        ("select #1 from readings", SCHEMA),
        ("select count(vibration) from readings natural join (select 1 as temperature)", SCHEMA),
        ("select other_metrics['x'] from readings", ["other_metrics"]),
        ("select a.vibration from readings a join readings b using (device_id)", ["device_id", "vibration"]),
    ],
)
def test_only_the_columns_that_a_query_can_touch_are_read(text: str, columns: list[str]) -> None:
    assert sql.columns(sql.parse(text), SCHEMA) == columns


def test_rows_beyond_the_limit_are_not_shown_but_known_to_exist() -> None:
    text = "select device_id from readings order by 1"

    assert query.answer(table(), text, sql.parse(text), limit=2).complete is False
    assert query.answer(table(), text, sql.parse(text), limit=15).complete is True
    assert len(query.answer(table(), text, sql.parse(text), limit=2).rows) == 2


@pytest.mark.parametrize(
    "text",
    ["delete from readings", "create table x as select 1", "select 1; select 2", "", "copy readings to 'x'", "selec",
     "select from from", "pragma database_list", "describe readings"],
)  # fmt: skip
def test_anything_but_one_select_is_refused(text: str) -> None:
    with pytest.raises(OpsError, match=r"Give one SELECT|not SQL"):
        sql.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "select nope from readings",
        "select * from elsewhere",
        "select count(*) from readings where measured_at > 'soon'",
        "select count(*) from readings where measured_at > 'soon' and temperature > 200",
        "select count(*) from readings where measured_at > date 'soon'",
        "select * from read_text('/etc/hostname')",
        "select 1 / 'x'",
    ],
)
def test_a_query_that_is_wrong_is_answered_with_the_reason_of_duckdb(text: str) -> None:
    with pytest.raises(OpsError, match=r"DuckDB: .* Error"):
        query.answer(table(), text, sql.parse(text))
