"""By unchanged rules a reprocessing changes nothing, whatever has arrived, however it was stored, whatever it is about.

Real time keeps the later reading of the stream; the archive's copy of it is the one received last. So histories have
times of arrival that follow the stream, as the clock of the topic rule gives them, and objects whose keys do.
"""

import copy
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from compaction.hours import floor_hour
from reprocessing.report.contents import Report
from reprocessing.request import Request, Scope
from reprocessing.scope import has_device
from sensors.settings import Threshold
from tests.lake import AT
from tests.lambdas.reprocessing.harness import request
from tests.lambdas.reprocessing.system import METRICS, Key, Row, System, quarantined, readings, said

BEGIN_MS = (AT - 3 * 86_400) * 1000
SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
MIDNIGHT_MS = BEGIN_MS // DAY * DAY + DAY

MEASURED = (-40 * DAY, -DAY - HOUR, -2 * HOUR, -1, 0, 1, 299 * SECOND, HOUR, DAY, MIDNIGHT_MS - BEGIN_MS - 1)
"""Against the beginning of the stream: very late, late, on time, ahead for the first that arrive."""

Record = dict[str, Any] | bytes


class Arrival(NamedTuple):
    """A record, and how long after the one before it."""

    after_ms: int
    record: Record

    def at(self, received_ms: int) -> Record:
        """As the topic rule puts it on the stream at this time."""
        if isinstance(self.record, bytes):
            return self.record
        return {**self.record, "received_at": received_ms}


class History(NamedTuple):
    """What arrives, in the order of the stream, an object of the archive after the other; and how it is stored.

    `steps` put an object into the archive, by its number, or take up what is there.
    """

    partition_by: str
    objects: list[list[Arrival]]
    steps: list[int | str]

    def happen(self) -> System:
        """The system after all of it; what is left to archive then waits for compaction."""
        system = System(self.partition_by, {"temperature": METRICS["temperature"]})
        ends = accumulate((sum(one.after_ms for one in held) for held in self.objects), initial=BEGIN_MS)
        streamed = [self._stamped(held, begin) for held, begin in zip(self.objects, ends, strict=False)]
        for _, records in streamed:
            system.stream(records)
        for step in self.steps:
            if isinstance(step, int):
                hour, records = streamed[step]
                system.lake.put(f"{step:03}", records, hour)
            elif step == "declare":
                system.deploy(METRICS)
            elif step == "optimize":
                if "readings" in system.lake.glue.tables:
                    system.optimize()
            else:
                system.compact(1 if step == "compact one by one" else 10**9)
        return system

    def _stamped(self, held: Sequence[Arrival], begin_ms: int) -> tuple[datetime, list[bytes]]:
        moments = list(accumulate((one.after_ms for one in held), initial=begin_ms))[1:]
        records = [encoded(one.at(moment)) for one, moment in zip(held, moments, strict=True)]
        return floor_hour(datetime.fromtimestamp(moments[0] / 1000, UTC)), records


def encoded(record: Record) -> bytes:
    return record if isinstance(record, bytes) else json.dumps(record).encode()


def measured(device: str, offset_ms: int, fields: dict[str, Any]) -> Record:
    """What a device sends, and what the topic rule adds but for the time."""
    return {"device_id": device, "topic_device_id": device, "timestamp": BEGIN_MS + offset_ms, **fields}


values = st.integers(0, 3).map(float)
fields = st.fixed_dictionaries(
    {"temperature": values},
    optional={"vibration": values, "flow": values, "location": st.sampled_from(["hall", "yard"]), "note": st.just("x")},
)
bad = st.sampled_from([b"garbage", measured("a", 0, {}), measured("bad id", 0, {"flow": 1}), {"device_id": "a"}])
records = st.one_of(
    *[st.builds(measured, st.sampled_from(["a", "ab", "b"]), st.sampled_from(MEASURED), fields)] * 4, bad
)
arrivals = st.builds(Arrival, st.sampled_from([0, 0, 1, SECOND, HOUR, 10 * HOUR]), records)


@st.composite
def histories(draw: st.DrawFn) -> History:
    objects = draw(st.lists(st.lists(arrivals, min_size=1, max_size=6), min_size=1, max_size=5))
    then = st.lists(st.sampled_from(["compact", "compact one by one", "optimize", "declare"]), max_size=2)
    last: st.SearchStrategy[list[int | str]] = st.sampled_from(
        [["compact"], ["compact one by one"], ["compact", "optimize"], []]
    )
    steps: list[int | str] = []
    for number in draw(st.permutations(range(len(objects)))):
        steps += [number, *draw(then)]
    return History(draw(st.sampled_from(["day", "hour"])), objects, steps + draw(last))


edges = st.sampled_from(
    [*(BEGIN_MS + offset for offset in MEASURED), MIDNIGHT_MS - DAY, MIDNIGHT_MS, MIDNIGHT_MS + DAY, BEGIN_MS + HOUR]
)
whole = st.builds(Scope, st.just(0), st.just(2 * AT * 1000), st.sampled_from([(), ("a*",)]))
scopes = whole | st.builds(
    lambda ends, devices: Scope(min(ends), max(ends), devices),
    st.tuples(edges, edges.map(lambda edge: edge + 1)),
    st.sampled_from([(), (), ("a",), ("a*",), ("b", "?b"), ("nobody",)]),
)
GIVEN = {"temperature": (Threshold("warning", above=0.5),)}
requests = st.builds(
    lambda scope, source, targets, mode: request(
        scope, source=source, targets=targets, mode=mode, alerts="send", rules=GIVEN if mode == "backtest" else None
    ),
    scopes,
    st.sampled_from(["archive", "archive", "quarantine"]),
    st.sampled_from([("table",), ("hot",), ("table", "hot")]),
    st.sampled_from(["apply", "apply", "dry_run", "backtest"]),
)


class State(NamedTuple):
    """What a system holds that people can see, the rows and the snapshot that the table has for it, and its files."""

    readings: dict[Key, Row]
    hot: dict[Any, Any]
    quarantined: set[tuple[str, str]]
    rows: list[Row]
    snapshot_id: int | None
    files: list[str]

    def of(self, scope: Scope) -> list[Row]:
        """The rows of a scope."""
        return [row for row in map(said, self.rows) if is_of(scope, (row["device_id"], row["measured_at"]))]


def state(system: System) -> State:
    lake = system.lake
    table = lake.table() if "readings" in lake.glue.tables else None
    return State(
        readings=readings(lake),
        hot=copy.deepcopy(system.hot_table.items),
        quarantined=quarantined(lake),
        rows=lake.rows() if table else [],
        snapshot_id=table.metadata.current_snapshot_id if table else None,
        files=list(lake.store.keys("warehouse/readings/data/")),
    )


def is_of(scope: Scope, key: Key) -> bool:
    return scope.start_ms <= key[1] < scope.end_ms and has_device(scope, key[0])


def check(asked: Request, report: Report, before: State, after: State) -> None:
    """What is there is the same, and the report says so."""
    assert (after.readings, after.hot, after.quarantined) == (before.readings, before.hot, before.quarantined)
    of_scope = {key for key in before.readings if is_of(asked.scope, key)}
    rewrites = report.snapshot_id is not None
    if rewrites and asked.source == "archive":  # rows that were there twice, and values of metrics declared since
        assert len(after.of(asked.scope)) == len(of_scope)
    else:
        assert after.rows == before.rows
    if not rewrites:
        assert (after.snapshot_id, after.files) == (before.snapshot_id, before.files)
    found = report.readings
    assert (report.records.balances, report.alerts.sent) == (True, 0)
    assert (found.vanished, found.vanished_by) == (0, {})
    if asked.source == "archive":
        assert (found.before, found.before_duplicates) == (len(of_scope), len(before.of(asked.scope)) - len(of_scope))
    if not (report.found.waiting and asked.mode == "backtest"):  # which is about what waits for compaction too
        assert (found.same, found.after, found.changed, found.added) == (found.before, found.before, 0, 0)
        assert (found.attributes_changed, report.metrics, report.series) == (0, {}, ())
        assert report.alarms_after == report.alarms_before
    if report.hot:
        assert report.hot.written == 0


@settings(deadline=None, max_examples=10)
@given(histories(), requests)
def test_by_unchanged_rules_nothing_changes_and_a_second_run_says_so_too(history: History, asked: Request) -> None:
    system = history.happen()
    before = state(system)

    first = system.execution(asked)
    check(asked, first.whole(), before, between := state(system))
    second = system.execution(asked)
    check(asked, second.whole(), between, after := state(system))

    assert after.rows == between.rows
    if asked.source == "archive":
        assert (after.snapshot_id, after.files) == (between.snapshot_id, between.files)
    assert (first.topic.messages, second.topic.messages) == ([], [])
