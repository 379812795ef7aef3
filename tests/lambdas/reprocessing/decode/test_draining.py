"""Lines of the quarantine once more through the decoder: what comes in, what stays, and what is not looked at."""

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction.errors import ObjectChanged
from reprocessing.keys import mark_key
from reprocessing.manifests import DecodeResult, total
from reprocessing.request import Scope
from sensors.quarantine import Source
from sensors.settings import Decoding
from tests.lake import AT, Lake, in_memory, reading
from tests.lambdas.reprocessing import decodes
from tests.lambdas.reprocessing.decodes import AT_MS, line
from tests.memory_aws import Effects

KEY = "raw-data/year=2026/month=11/day=21/hour=09/a.gz"
LATER = Decoding(future_tolerance_s=7200)
AHEAD = {"device_id": "pump-1", "timestamp": AT + 3600, "temperature": 1.0}


def ahead(position: str, *, source: Source = "archive", reason: str = "timestamp_in_future", **fields: Any) -> bytes:
    """A line with a reading of the next hour, which today's settings take."""
    return line(reason, source, position, AHEAD | fields)


def drain(lake: Lake, decoding: Decoding = LATER, run_id: str = "run", **asked: Any) -> DecodeResult:
    decodes.planned(lake, decodes.request(**{"source": "quarantine", **asked}), run_id)
    return decodes.decoder(lake, decoding).decode(run_id, decodes.draining(lake))


def counts(result: DecodeResult) -> list[tuple[int, ...]]:
    return [(one.records, one.stored, one.duplicate, one.quarantined, one.outside) for one in result.objects]


def test_what_decodes_by_the_rules_of_today_is_staged_and_resolved_and_the_rest_stays(memory_lake: Lake) -> None:
    lake = memory_lake
    key = decodes.put_quarantine(
        lake,
        "a",
        ahead(f"{KEY}:1"),
        line("not_json", "archive", f"{KEY}:2", b"garbage"),
        ahead(f"{KEY}:3.2", timestamp=AT + 7201),
        ahead(f"{KEY}:4", device_id="pump-2"),
    )

    result = drain(lake, scope=Scope(0, 2 * AT_MS, ("pump-1",)))

    (row,) = decodes.staged(lake, result)
    assert (row["device_id"], row["measured_at"].timestamp(), row["source_object"]) == ("pump-1", AT + 3600, KEY)
    assert row["received_at"].timestamp() == AT
    assert counts(result) == [(4, 1, 0, 2, 1)]
    assert result.objects[0].by_reason == {"not_json": 1, "timestamp_in_future": 1}
    assert decodes.resolved(lake, result) == [[key, f"{KEY}:1"]]
    assert (result.rejects_key, result.quarantine_key) == (None, None)


def test_lines_of_the_archive_are_for_the_table_and_those_of_the_stream_for_the_hot_table(memory_lake: Lake) -> None:
    lake = memory_lake
    decodes.put_quarantine(lake, "archived", ahead(f"{KEY}:1"))
    decodes.put_quarantine(lake, "streamed", ahead("shardId-0:49", source="stream"))

    result = drain(lake)

    assert [(one.to_table, one.to_hot, one.file.key.rpartition("/")[2]) for one in result.files] == [
        (True, False, "00000-table.parquet"),
        (False, True, "00000-hot.parquet"),
    ]
    assert [row["source_object"] for row in decodes.staged(lake, result)] == [KEY, "shardId-0:49"]
    assert counts(result) == [(1, 1, 0, 0, 0), (1, 1, 0, 0, 0)]
    assert len(decodes.resolved(lake, result)) == 2


@pytest.mark.parametrize(
    ("asked", "tried"),
    [
        ({}, [0, 1, 2, 3]),
        ({"targets": ("table",)}, [0, 1]),
        ({"targets": ("hot",)}, [2, 3]),
        ({"reasons": ("bad_metric",)}, [1, 3]),
        ({"reasons": ("bad_metric", "timestamp_in_future"), "targets": ("hot",)}, [2, 3]),
        ({"reasons": ("too_large",)}, []),
    ],
)
def test_only_lines_of_the_reasons_and_targets_that_were_asked_for_are_tried(
    memory_lake: Lake, asked: dict[str, Any], tried: list[int]
) -> None:
    positions = [f"{KEY}:1", f"{KEY}:2", "shardId-0:3", "shardId-0:4"]
    kinds: list[tuple[Source, str]] = [
        ("archive", "timestamp_in_future"),
        ("archive", "bad_metric"),
        ("stream", "timestamp_in_future"),
        ("stream", "bad_metric"),
    ]
    lines = [ahead(place, source=kind[0], reason=kind[1]) for place, kind in zip(positions, kinds, strict=True)]
    decodes.put_quarantine(memory_lake, "a", *lines)

    result = drain(memory_lake, **asked)

    assert [position for _, position in decodes.resolved(memory_lake, result)] == [positions[place] for place in tried]
    assert result.objects[0].records == len(tried)


def mark(lake: Lake, key: str, run_id: str, *positions: str) -> None:
    lake.store.write(mark_key(key, run_id), b"".join(msgspec.json.encode(place) + b"\n" for place in positions))


def test_lines_that_other_runs_have_resolved_are_no_records_any_more(memory_lake: Lake) -> None:
    lake = memory_lake
    key = decodes.put_quarantine(lake, "a", *(ahead(f"{KEY}:{number}") for number in range(6)))
    other = decodes.put_quarantine(lake, "b", ahead(f"{KEY}:1"))
    mark(lake, key, "first", f"{KEY}:1", f"{KEY}:3", f"{KEY}:5")
    mark(lake, key, "second", f"{KEY}:0", f"{KEY}:3")
    mark(lake, key, "run", f"{KEY}:2", f"{KEY}:4")  # its own: a task that runs again does again what it did

    result = drain(lake)

    assert decodes.resolved(lake, result) == [[key, f"{KEY}:2"], [key, f"{KEY}:4"], [other, f"{KEY}:1"]]
    assert counts(result) == [(2, 0, 2, 0, 0), (1, 1, 0, 0, 0)]


def test_of_readings_received_together_that_of_the_last_object_stays_wherever_its_line_is(memory_lake: Lake) -> None:
    lake = memory_lake
    decodes.put_quarantine(lake, "a", ahead("raw-data/z:1", temperature=1), ahead("raw-data/z:2", temperature=2))
    decodes.put_quarantine(lake, "b", ahead("raw-data/a:9", temperature=3))

    result = drain(lake)

    assert [(row["temperature"], row["source_object"]) for row in decodes.staged(lake, result)] == [(2.0, "raw-data/z")]
    assert counts(result) == [(2, 1, 1, 0, 0), (1, 0, 1, 0, 0)]
    assert len(decodes.resolved(lake, result)) == 3


def test_what_is_not_whole_stays(memory_lake: Lake) -> None:
    lake = memory_lake
    whole = json.dumps(reading()).encode()
    lake.put("long", [b"[" + b" " * 5_000_000 + b"]"])
    lake.put_bytes("torn", zlib.compress(whole + b"\n" + whole, 0, 31)[:-5])  # its last line is there, its end is not
    before = decodes.compacted(lake)
    assert before.counts.by_reason == {"not_json": 1, "too_large": 1}

    result = drain(lake)

    assert counts(result) == [(2, 0, 0, 2, 0)]
    assert result.objects[0].by_reason == before.counts.by_reason
    assert (result.files, result.resolved_key) == ((), None)


def test_a_quarantine_object_that_cannot_be_read_fails_by_name(memory_lake: Lake) -> None:
    for body in (b"no gzip", gzip.compress(b"{}\n"), gzip.compress(ahead(f"{KEY}:1"))[:-9]):
        key = decodes.put_quarantine(memory_lake, "a")
        memory_lake.store.write(key, body)

        with pytest.raises(ObjectChanged, match=f"{key} is not as the quarantine is written"):
            drain(memory_lake)


def test_a_large_quarantine_object_is_read_line_by_line(memory_lake: Lake) -> None:
    lake = memory_lake
    lines = [ahead(f"{KEY}:{number}", temperature=number, note="x" * 2000) for number in range(8000)]
    key = decodes.put_quarantine(lake, "a", *lines)
    mark(lake, key, "first", *(f"{KEY}:{number}" for number in range(0, 8000, 2)))
    size = sum(map(len, lines))
    del lines
    tracemalloc.start()

    result = drain(lake)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts(result) == [(4000, 1, 3999, 0, 0)]
    assert peak < size / 4


_records = st.lists(
    st.builds(
        lambda ahead_s, device, fields: {"device_id": device, "ahead_s": ahead_s, **fields},
        st.sampled_from([-5, 0, 299, 301, 7200, 7201]),
        st.sampled_from(["pump-1", "pump-2", "bad id"]),
        st.dictionaries(st.sampled_from(["temperature", "flow"]), st.sampled_from([1, 2.5, "text"])),
    )
    | st.just(b"garbage"),
    max_size=15,
)


@settings(deadline=None, max_examples=40)
@given(_records, st.booleans())
def test_after_a_limit_has_changed_the_table_and_the_drained_quarantine_are_what_the_new_limit_alone_would_give(
    records: list[dict[str, Any] | bytes], rule_says_when: bool
) -> None:
    lake = Lake(aws=in_memory(Effects()))
    content: list[dict[str, Any] | bytes] = []
    for number, record in enumerate(records):  # times of their own: nothing is a duplicate
        if isinstance(record, dict):
            fields = {name: value for name, value in record.items() if name != "ahead_s"}
            when = {"received_at": AT_MS + number} if rule_says_when else {}
            arrived_ms = AT_MS + number if rule_says_when else AT_MS + 3_600_000  # the clock of the S3 in memory
            content.append({**fields, **when, "timestamp": arrived_ms + record["ahead_s"] * 1000 + number})
        else:
            content.append(record)
    lake.put("a", content)
    old = decodes.compacted(lake)

    result = drain(lake, targets=("table",))

    drained = decodes.staged(lake, result)
    new = decodes.compacted(lake, LATER, "anew")
    together = decodes.rows(lake, [file.key for file in old.files]) + drained
    order = [(row["measured_at"].date(), row["device_id"], row["measured_at"]) for row in together]
    assert [row for _, row in sorted(zip(order, together, strict=True), key=lambda pair: pair[0])] == decodes.rows(
        lake, [file.key for file in new.files]
    )
    assert total(result.objects, 0, 0).by_reason == new.counts.by_reason
    assert sum(one.records for one in result.objects) == old.counts.quarantined
