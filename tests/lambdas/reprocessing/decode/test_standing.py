"""What a task rejects is set aside again unless it stands in what the compaction has set aside, and is not resolved."""

import gzip

import msgspec
import pytest
from hypothesis import given, settings

from compaction import intake
from reprocessing.decode import standing
from reprocessing.keys import mark_key
from reprocessing.manifests import DecodeResult
from sensors import quarantine
from sensors.settings import Decoding
from tests.lake import AT, HOUR, Lake, reading
from tests.lambdas.reprocessing import decodes
from tests.lambdas.reprocessing.decode.test_decoding import archives, lake_of

DAYS = "year=2026/month=11/day="


def decode(lake: Lake, decoding: Decoding = Decoding(), *, to_table: bool = True, **asked: object) -> DecodeResult:  # noqa: B008 - it is frozen
    """What a run makes of all of the archive."""
    decodes.planned(lake, decodes.request(**asked))
    lake.store.delete("runs/reprocess/run/decoded/00000.json")
    return decodes.decoder(lake, decoding).decode("run", decodes.task(lake, to_table=to_table))


def new(lake: Lake, result: DecodeResult) -> list[str]:
    """The places of the records that are new to the quarantine."""
    lines = decodes.quarantined(lake, result.new_rejects_key)
    return [line["position"].rpartition("/")[2].removeprefix("a.gz:") for line in lines]


def set_aside(lake: Lake, writer: quarantine.Writer, *places: str, day: str = "21", by: str = "by the test") -> str:
    """A quarantine object with records of the object `a`, under a day."""
    key = f"quarantine/reason=mixed/{DAYS}{day}/{writer}-by-hand.jsonl.gz"
    positions = [f"raw-data/{DAYS}21/hour=09/a.gz:{place}" for place in places]
    lines = (
        decodes.line("not_json", "archive", position, b"x").replace(b"by the test", by.encode())
        for position in positions
    )
    lake.store.write(key, quarantine.pack(lines))
    return key


@pytest.fixture
def garbage(memory_lake: Lake) -> Lake:
    """An object `a` with a reading among records that are none, two of them on a line."""
    memory_lake.put("a", [b"garbage", reading(), b"{}{}", b"more"])
    return memory_lake


@settings(deadline=None, max_examples=15)
@given(archives)
def test_nothing_is_new_that_the_compaction_has_set_aside(archive: list[list[bytes]]) -> None:
    lake = lake_of(archive)
    before = decodes.compacted(lake)

    result = decode(lake)

    assert result.new_rejects_key is None
    assert decodes.quarantined(lake, result.rejects_key) == decodes.quarantined(lake, before.quarantine_key)
    assert sum(one.quarantined for one in result.objects) == before.counts.quarantined


def test_what_nobody_has_set_aside_is_new(garbage: Lake) -> None:
    result = decode(garbage)

    assert new(garbage, result) == ["1", "3.1", "3.2", "4"]
    assert result.new_rejects_key == result.rejects_key


def test_places_are_compared_exactly(garbage: Lake) -> None:
    set_aside(garbage, "compact", "3", "3.2", "3.11", "10", "40")

    assert new(garbage, decode(garbage)) == ["1", "3.1", "4"]


@pytest.mark.parametrize("day", ["20", "22"])
def test_an_object_may_stand_under_the_day_before_or_after_the_arrival(garbage: Lake, day: str) -> None:
    set_aside(garbage, "compact", "1", day=day)

    assert new(garbage, decode(garbage)) == ["3.1", "3.2", "4"]


def test_several_objects_of_the_compaction_count_together(garbage: Lake) -> None:
    for number, day in enumerate(("20", "21", "22")):
        set_aside(garbage, "compact", *(("1",), ("3.2", "4"), ("4",))[number], day=day)

    assert new(garbage, decode(garbage)) == ["3.1"]


@pytest.mark.parametrize("writer", ["reprocess", "stream"])
def test_what_others_have_set_aside_does_not_count(garbage: Lake, writer: quarantine.Writer) -> None:
    set_aside(garbage, writer, "1", "4")

    assert new(garbage, decode(garbage)) == ["1", "3.1", "3.2", "4"]


def test_what_a_run_has_resolved_is_new_when_it_is_rejected_again(garbage: Lake) -> None:
    key = decodes.compacted(garbage).quarantine_key or ""
    resolved = [line["position"] for line in decodes.quarantined(garbage, key)][1:3]
    garbage.store.write(mark_key(key, "drain"), b"".join(msgspec.json.encode(one) + b"\n" for one in resolved))

    result = decode(garbage)

    assert new(garbage, result) == ["3.1", "3.2"]
    assert result.quarantine_key == f"quarantine/reason=mixed/{DAYS}21/reprocess-run-00000.jsonl.gz"


def test_what_stands_is_looked_up_when_no_object_of_the_archive_is_open_any_more(
    garbage: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take a minute, and S3 does not wait so long for whoever has begun to read an object."""
    monkeypatch.setattr(intake, "_TOGETHER_BYTES", 1)
    garbage.put("b", [b"garbage"])
    decodes.compacted(garbage)
    opened: list[str] = []
    get_object = garbage.s3.get_object

    def noted(**request: str) -> object:
        opened.append(request["Bucket"] if request["Key"].startswith(("raw-data/", "quarantine/")) else "")
        return get_object(**request)

    monkeypatch.setattr(garbage.s3, "get_object", noted)

    decode(garbage)

    assert [bucket for bucket in opened if bucket] == [garbage.raw, garbage.raw, garbage.processed]


def test_another_reason_than_that_of_old_rules_is_no_reason_to_set_a_record_aside_again(memory_lake: Lake) -> None:
    memory_lake.put("a", [reading(at=AT + 3600, received_at=AT * 1000, temperature=1e300)])
    decodes.compacted(memory_lake)

    result = decode(memory_lake, Decoding(future_tolerance_s=7200))

    assert result.objects[0].by_reason == {"bad_metric": 1}
    assert new(memory_lake, result) == []


def test_the_rest_of_a_damaged_object_is_not_the_record_that_is_there_once_it_is_mended(memory_lake: Lake) -> None:
    whole = gzip.compress(b"garbage\nrest of it")
    memory_lake.put_bytes("a", whole[:-8])
    decodes.compacted(memory_lake)
    assert new(memory_lake, decode(memory_lake)) == []

    memory_lake.put_bytes("a", whole)

    assert new(memory_lake, decode(memory_lake)) == ["2"]


def test_a_place_that_no_number_has_is_new_each_time(garbage: Lake) -> None:
    assert new(garbage, decode(garbage)) == ["1", "3.1", "3.2", "4"]
    set_aside(garbage, "compact", "1.1.1", str(2**32 + 4), f"3.{2**32 + 1}", "x")

    assert new(garbage, decode(garbage)) == ["1", "3.1", "3.2", "4"]


def test_a_quarantine_object_that_is_none_says_nothing(garbage: Lake) -> None:
    key = set_aside(garbage, "compact", "1")
    garbage.store.write(key, (garbage.store.read(key) or b"")[:-4])

    assert new(garbage, decode(garbage)) == ["1", "3.1", "3.2", "4"]


def test_of_an_object_about_another_day_no_more_than_the_beginning_counts(garbage: Lake) -> None:
    """It is what keeps a task from reading three days of the quarantine."""
    garbage.put("b", [b"garbage"], HOUR.replace(day=22))
    positions = [f"raw-data/{DAYS}{day}/hour=09/{name}.gz:1" for day, name in (("20", "z"), ("21", "a"))]
    lines = (decodes.line("not_json", "archive", position, b"x") for position in positions)
    garbage.store.write(f"quarantine/reason=mixed/{DAYS}20/compact-x.jsonl.gz", quarantine.pack(lines))

    assert "1" in new(garbage, decode(garbage))


def test_beyond_what_a_task_can_read_everything_is_set_aside_again(
    garbage: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(garbage.store.read(set_aside(garbage, "compact", "1")) or b"")
    monkeypatch.setattr(standing, "_MOST_BYTES", size)
    assert new(garbage, decode(garbage)) == ["3.1", "3.2", "4"]

    monkeypatch.setattr(standing, "_MOST_BYTES", size - 1)

    assert new(garbage, decode(garbage)) == ["1", "3.1", "3.2", "4"]


@pytest.mark.parametrize(
    ("asked", "to_table"), [({"mode": "dry_run"}, True), ({"targets": ("hot",)}, True), ({}, False)]
)
def test_where_nothing_is_published_nothing_is_looked_up(
    garbage: Lake, asked: dict[str, object], to_table: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing.Standing, "has", None)

    result = decode(garbage, to_table=to_table, **asked)

    assert result.new_rejects_key == result.rejects_key
