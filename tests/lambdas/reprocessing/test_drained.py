"""Records that an old limit rejected come in once the limit has changed: counted, each once, and then no more."""

from typing import Any

from reprocessing.report.contents import Report
from sensors.settings import Decoding
from tests.lake import AT, reading
from tests.lambdas.reprocessing.mended import Rows, asked, hot, rows
from tests.lambdas.reprocessing.system import System, quarantined

LATER = Decoding(future_tolerance_s=7200)


def ahead(device: str, by_s: int, **changes: Any) -> dict[str, Any]:
    """A reading measured at AT that arrived so many seconds before."""
    return reading(device, AT, **{"temperature": 2.0, "received_at": (AT - by_s) * 1000} | changes)


def system() -> System:
    """Two records of three that are ahead would be stored by a later limit; garbage never is."""
    made = System()
    made.arrive([ahead("a", 0), ahead("b", 3600), ahead("c", 9000), b"garbage"])
    made.arrive([ahead("d", 7200), ahead("a", 10)])
    made.compact()
    return made


def counts(report: Report) -> tuple[int, int, int, int, int]:
    """Records that were tried, stored, duplicates, set aside still, and outside the range."""
    found = report.records
    assert found.balances
    return found.records, found.stored, found.duplicate, found.quarantined, found.outside


ALL: Rows = [("a", 0, 2.0), ("b", 0, 2.0), ("d", 0, 2.0)]


def test_records_that_an_old_limit_rejected_come_in_and_a_second_run_finds_none_of_them() -> None:
    made = system()
    assert rows(made) == hot(made) == ALL[:1]
    before = quarantined(made.lake)
    assert len(before) == 8  # of four records: as real time has set them aside, and as compaction has
    made.deploy(decoding=LATER)
    drain = asked(-1, 1, source="quarantine", reasons=("timestamp_in_future",))

    report = made.reprocess(drain)

    assert rows(made) == hot(made) == ALL
    assert counts(report) == (6, 4, 0, 2, 0)
    assert report.records.by_reason == {"timestamp_in_future": 2}
    assert (report.readings.before, report.readings.after, report.readings.added) == (0, 2, 2)
    assert report.hot is not None
    assert (report.hot.written, report.hot.unchanged) == (2, 0)
    assert quarantined(made.lake) == before

    again = made.reprocess(drain)

    assert counts(again) == (2, 0, 0, 2, 0)  # what stays rejected is tried again
    assert again.snapshot_id is None
    assert rows(made) == hot(made) == ALL


def test_where_all_are_drained_a_second_run_finds_no_record() -> None:
    made = system()
    made.deploy(decoding=Decoding(future_tolerance_s=9000))
    drain = asked(-1, 1, source="quarantine", reasons=("timestamp_in_future",))

    made.reprocess(drain)
    report = made.reprocess(drain)

    assert rows(made) == hot(made) == sorted([*ALL, ("c", 0, 2.0)])
    assert counts(report) == (0, 0, 0, 0, 0)
    assert (report.outcome, report.snapshot_id, report.readings.after) == ("applied", None, 0)


def test_each_target_takes_its_own_lines() -> None:
    made = system()
    made.deploy(decoding=LATER)

    table = made.reprocess(asked(-1, 1, source="quarantine", targets=("table",)))
    assert (rows(made), hot(made)) == (ALL, ALL[:1])
    both = made.reprocess(asked(-1, 1, source="quarantine"))

    assert rows(made) == hot(made) == ALL
    assert (counts(table), counts(both)) == ((4, 2, 0, 2, 0), (6, 2, 0, 4, 0))


def test_a_line_whose_reading_is_there_already_is_a_duplicate_and_resolved() -> None:
    made = system()
    made.deploy(decoding=LATER)
    made.reprocess(asked(-1, 1))
    assert rows(made) == hot(made) == ALL
    drain = asked(-1, 1, source="quarantine", reasons=("timestamp_in_future",))

    report, again = made.reprocess(drain), made.reprocess(drain)

    assert rows(made) == hot(made) == ALL
    assert (report.readings.same, report.readings.added, report.readings.changed) == (3, 0, 0)
    assert report.hot is not None
    assert (report.hot.written, report.hot.unchanged) == (0, 2)
    assert counts(report) == (6, 4, 0, 2, 0)
    assert counts(again) == (2, 0, 0, 2, 0)
