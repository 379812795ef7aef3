"""Decoding the archive again: what compaction would make of it, if it is of the scope, and every record counted."""

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction.errors import ObjectArchived, ObjectChanged, ObjectMissing, ResultMissing
from reprocessing.errors import RulesChanged
from reprocessing.keys import decoded_key
from reprocessing.manifests import DecodeTask, total
from reprocessing.request import Scope
from reprocessing.scope import has_device
from sensors.settings import Decoding
from tests.glacier import glacier_lake
from tests.lake import AT, Lake, in_memory, reading
from tests.lambdas.reprocessing import decodes
from tests.lambdas.reprocessing.decodes import AT_MS
from tests.memory_aws import Effects

PREFIX = "raw-data/year=2026/month=11/day=21/hour=09/"
SCOPES = [
    decodes.ALL,
    Scope(AT_MS + 1, AT_MS + 3),
    Scope(AT_MS, AT_MS + 86_400_000, ("pump-1", "b*")),
    Scope(AT_MS, AT_MS + 2, ("[!p]*",)),
    Scope(AT_MS - 5, AT_MS),
]

_payloads = st.builds(
    lambda device, at_ms, received_ms, fields: json.dumps(
        {"device_id": device, "timestamp": at_ms, **({"received_at": received_ms} if received_ms else {}), **fields}
    ).encode(),
    st.sampled_from(["pump-1", "pump-2", "bearing", "bad id"]),
    st.sampled_from([AT_MS - 86_400_000, *range(AT_MS, AT_MS + 4), AT_MS + 86_400_000]),
    st.sampled_from([None, AT_MS + 5, AT_MS + 6]),
    st.dictionaries(
        st.sampled_from(["temperature", "vibration", "flow", "location", "note"]),
        st.sampled_from([0, 1.5, -2, "hall", None, 1e200]),
        max_size=4,
    ),
)
_lines = st.one_of(
    *[_payloads] * 6,
    st.lists(_payloads, min_size=2, max_size=3).map(b"".join),
    st.sampled_from([b"garbage", b"", b"[1]", b"{}", b'{"device_id":"\xff"}', b"x" * 200_000]),
)
archives = st.lists(st.lists(_lines, max_size=8), min_size=1, max_size=3)


def lake_of(archive: list[list[bytes]]) -> Lake:
    lake = Lake(aws=in_memory(Effects()))
    for number, lines in enumerate(archive):
        lake.put(f"{number}", lines)
    return lake


def of_scope(scope: Scope, row: dict[str, Any]) -> bool:
    moment = round(row["measured_at"].timestamp() * 1000)
    return scope.start_ms <= moment < scope.end_ms and has_device(scope, row["device_id"])


@settings(deadline=None, max_examples=30)
@given(archives, st.sampled_from(SCOPES))
def test_the_rows_are_those_of_the_compaction_that_are_of_the_scope_and_every_record_is_accounted_for(
    archive: list[list[bytes]], scope: Scope
) -> None:
    lake = lake_of(archive)
    decodes.planned(lake, decodes.request(scope))

    result = decodes.decoder(lake).decode("run", decodes.task(lake))

    before = decodes.compacted(lake)
    expected = [row for row in decodes.rows(lake, [file.key for file in before.files]) if of_scope(scope, row)]
    assert decodes.staged(lake, result) == expected
    assert [(one.key, one.records, one.quarantined) for one in result.objects] == [
        (one.key, one.records, one.quarantined) for one in before.objects
    ]
    assert all(one.balances for one in result.objects)
    assert Counter(row["source_object"] for row in expected) == Counter(
        {one.key: one.stored for one in result.objects if one.stored}
    )
    counts = total(result.objects, result.late, result.ignored_fields)
    assert counts.by_reason == before.counts.by_reason
    assert decodes.quarantined(lake, result.rejects_key) == decodes.quarantined(lake, before.quarantine_key)


def test_of_the_records_of_an_object_those_outside_the_scope_are_counted(memory_lake: Lake) -> None:
    lake = memory_lake
    lake.put("a", [reading(temperature=1), reading(temperature=2), reading(at=AT + 1), b"garbage"])
    lake.put("b", [reading("pump-2"), reading("pump-2"), reading(temperature=3)])
    decodes.planned(lake, decodes.request(Scope(AT_MS, AT_MS + 1, ("pump-1",))))

    result = decodes.decoder(lake).decode("run", decodes.task(lake))

    assert [
        (one.key[-4:], one.records, one.stored, one.duplicate, one.quarantined, one.outside, one.by_reason)
        for one in result.objects
    ] == [("a.gz", 4, 0, 2, 1, 1, {"not_json": 1}), ("b.gz", 3, 1, 0, 0, 2, {})]
    (row,) = decodes.staged(lake, result)
    assert (row["temperature"], row["source_object"]) == (3.0, f"{PREFIX}b.gz")


def test_nothing_is_written_but_below_the_folders_of_the_run(memory_lake: Lake) -> None:
    lake = memory_lake
    lake.put("a", [reading(), reading(at=AT + 86_400), b"garbage"])
    decodes.planned(lake, decodes.request())
    before = set(lake.store.keys(""))

    result = decodes.decoder(lake).decode("run", decodes.task(lake))

    assert set(lake.store.keys("")) - before == {
        "runs/reprocess/run/decoded/00000.json",
        "staging/reprocess/run/quarantine/00000.jsonl.gz",
        "staging/reprocess/run/readings/measured_at_day=2026-11-21/00000.parquet",
        "staging/reprocess/run/readings/measured_at_day=2026-11-22/00000.parquet",
    }
    assert result.rejects_key == "staging/reprocess/run/quarantine/00000.jsonl.gz"
    assert result.quarantine_key == (
        "quarantine/reason=not_json/year=2026/month=11/day=21/reprocess-run-00000.jsonl.gz"
    )


@pytest.mark.parametrize(
    ("targets", "to_table", "expected"),
    [
        (("table", "hot"), True, (True, True)),
        (("table",), True, (True, False)),
        (("hot",), True, (True, True)),
        (("hot",), False, (False, True)),
        (("table",), False, (False, True)),
    ],
)
def test_files_say_which_targets_they_are_for(
    memory_lake: Lake, targets: tuple[str, ...], to_table: bool, expected: tuple[bool, bool]
) -> None:
    memory_lake.put("a", [reading()])
    decodes.planned(memory_lake, decodes.request(targets=targets))

    result = decodes.decoder(memory_lake).decode("run", decodes.task(memory_lake, to_table=to_table))

    assert [(one.to_table, one.to_hot) for one in result.files] == [expected]


def test_of_readings_received_together_that_of_the_last_object_stays_in_whatever_order_they_are_planned(
    memory_lake: Lake,
) -> None:
    lake = memory_lake
    for number, name in enumerate("cab"):
        lake.put(name, [reading(temperature=number), reading(temperature=number + 10)])
    decodes.planned(lake, decodes.request())
    planned = decodes.task(lake).objects

    results = [
        decodes.decoder(lake).decode("run", DecodeTask(str(turn), planned[turn:] + planned[:turn])) for turn in range(3)
    ]

    assert [[row["temperature"] for row in decodes.staged(lake, result)] for result in results] == [[10.0]] * 3
    assert [one.key for one in results[1].objects] == [one.key for one in planned]


def test_a_task_that_runs_again_after_a_crash_writes_the_same_bytes(memory_lake: Lake) -> None:
    lake = memory_lake
    lake.put("a", [reading("pump-2"), b"garbage", reading(x=1), reading("pump-2", at=AT + 86_400)])
    decodes.planned(lake, decodes.request())
    decodes.decoder(lake).decode("run", decodes.task(lake))
    first = {key: lake.store.read(key) for key in lake.store.keys("")}
    lake.s3.delete_object(Bucket=lake.processed, Key=decoded_key("run", "00000"))

    decodes.decoder(lake).decode("run", decodes.task(lake))

    assert {key: lake.store.read(key) for key in lake.store.keys("")} == first


def test_a_task_that_is_done_answers_its_result_and_touches_nothing(memory_lake: Lake) -> None:
    lake = memory_lake
    key = lake.put("a", [reading(), b"garbage"])
    decodes.planned(lake, decodes.request())
    planned = decodes.task(lake)
    result = decodes.decoder(lake).decode("run", planned)
    lake.s3.delete_object(Bucket=lake.raw, Key=key)
    lake.s3.effects.names.clear()

    assert decodes.decoder(lake).decode("run", planned) == result
    assert lake.s3.effects.names == []


def test_a_task_by_other_rules_than_the_plans_is_not_begun(memory_lake: Lake) -> None:
    lake = memory_lake
    lake.put("a", [reading()])
    decodes.planned(lake, decodes.request(), rules="rules-of-yesterday")
    before = set(lake.store.keys(""))

    with pytest.raises(RulesChanged, match="Run run was planned"):
        decodes.decoder(lake).decode("run", decodes.task(lake))

    assert set(lake.store.keys("")) == before


def test_a_result_that_other_rules_have_left_is_made_anew(memory_lake: Lake) -> None:
    lake = memory_lake
    lake.put("a", [reading()])
    decodes.planned(lake, decodes.request())
    first = decodes.decoder(lake).decode("run", decodes.task(lake))
    stale = msgspec.structs.replace(first, rules="rules-of-yesterday", objects=(), files=())
    lake.store.write(decoded_key("run", "00000"), msgspec.json.encode(stale))

    assert decodes.decoder(lake).decode("run", decodes.task(lake)) == first


def test_a_run_without_a_plan_is_refused(memory_lake: Lake) -> None:
    with pytest.raises(ResultMissing, match="Run run has no plan"):
        decodes.decoder(memory_lake).decode("run", DecodeTask("00000", ()))


def test_an_object_that_is_not_as_it_was_planned_fails_by_name() -> None:
    lake = glacier_lake()
    keys = [lake.put(name, [reading()]) for name in "abc"]
    decodes.planned(lake, decodes.request())
    planned = decodes.task(lake).objects
    lake.s3.freeze(lake.raw, keys[0])
    lake.put("b", [reading("pump-2")])
    lake.s3.delete_object(Bucket=lake.raw, Key=keys[2])

    for one, kind in zip(planned, (ObjectArchived, ObjectChanged, ObjectMissing), strict=True):
        with pytest.raises(kind, match=one.key):
            decodes.decoder(lake).decode("run", DecodeTask("00000", (one,)))

    assert list(lake.store.keys("staging/")) == []


def test_the_rules_are_those_of_today(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading(at=AT + 3600, received_at=AT_MS, temperature=1)])
    decodes.planned(memory_lake, decodes.request())

    result = decodes.decoder(memory_lake, Decoding(future_tolerance_s=7200)).decode("run", decodes.task(memory_lake))

    assert (result.objects[0].stored, decodes.compacted(memory_lake).counts.by_reason) == (
        1,
        {"timestamp_in_future": 1},
    )
