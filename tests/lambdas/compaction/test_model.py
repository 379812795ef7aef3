"""Any order of arrivals, runs, upkeep, crashes and redrives against a short model of the right answer."""

import contextlib
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from compaction import errors
from compaction.hours import Window
from compaction.ledger import Ledger
from optimization.errors import FilesReplaced
from tests.faults import Died, dies_after, dies_before, loses_its_answer
from tests.lake import AT, HOUR, ORPHAN_DAYS, Lake, in_memory, reading
from tests.lambdas.compaction.test_crashes import quarantined
from tests.lambdas.optimization.execution import Execution
from tests.lambdas.optimization.upkeep import keep_time
from tests.memory_aws import Effects

COUNTS = ("objects", "records", "stored", "duplicate", "quarantined", "duplicates")
"""Of a snapshot: what a run has committed, and the rows that a run of `optimize` has left out."""

readings = st.builds(
    reading,
    st.sampled_from(["a", "b"]),
    st.sampled_from([AT, AT + 1, AT - 90_000]),
    temperature=st.integers(1, 3),
    received_at=st.sampled_from([AT * 1000, AT * 1000 + 1]),
)
records = st.lists(readings | st.just(b"garbage"), max_size=6)
hours = st.sampled_from([HOUR, HOUR + timedelta(hours=1), HOUR - timedelta(days=40)])
sizes = st.sampled_from([1, 10**9])
faults = st.sampled_from([dies_before, dies_after, loses_its_answer])
ages = st.sampled_from([timedelta(days=8), timedelta(days=ORPHAN_DAYS + 1)])

NAMED = (errors.ObjectsAlreadyCommitted, errors.RunTooOld, errors.FileMismatch, FilesReplaced)
"""How a run ends that others have overtaken, or that has waited until its files may be swept up."""


class Table(RuleBasedStateMachine):
    """What was archived must be in the table, in quarantine, or a counted duplicate, once, when all runs have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.lake = Lake(aws=in_memory(Effects()))
        self.archived: dict[str, list[Any]] = {}
        self.begun: list[str] = []
        self.executions: list[Execution] = []
        self.snapshots: dict[int, dict[str, str]] = {}
        self.clock = pytest.MonkeyPatch()
        keep_time(self.lake, self.clock)

    @rule(content=records, hour=hours)
    def arrive(self, content: list[Any], hour: Any) -> None:
        self.archived[self.lake.put(f"{len(self.archived):03}", content, hour)] = content

    @rule(task_bytes=sizes)
    def plan(self, task_bytes: int) -> None:
        self.begun.append(f"run-{len(self.begun)}")
        self.lake.plan(self.begun[-1], task_bytes)

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def drive(self, data: st.DataObject) -> None:
        """A new run, an unfinished one or one that has long ended is taken to its end."""
        self.finish(data.draw(st.sampled_from(self.begun)))

    @rule(content=records, hour=hours)
    def arrive_and_compact(self, content: list[Any], hour: Any) -> None:
        self.arrive(content, hour)
        self.plan(1)
        self.finish(self.begun[-1])

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), after=st.integers(0, 18), fault=faults)
    def crash(self, data: st.DataObject, after: int, fault: Any) -> None:
        self.fail_after(after, fault)
        with contextlib.suppress(Died, OSError):
            self.finish(data.draw(st.sampled_from(self.begun)))
        self.lake.s3.effects.fault = None

    @precondition(lambda self: self.has_table)
    @rule(data=st.data())
    def optimize(self, data: st.DataObject) -> None:
        """The steps of a new execution that come first, or what is left of another."""
        self.keep_up(data.draw(st.sampled_from(self.with_a_new_one())), data.draw(st.integers(1, 5)))

    @precondition(lambda self: self.has_table)
    @rule(data=st.data(), after=st.integers(0, 20), fault=faults)
    def crash_while_optimizing(self, data: st.DataObject, after: int, fault: Any) -> None:
        self.fail_after(after, fault)
        with contextlib.suppress(Died, OSError):
            self.keep_up(data.draw(st.sampled_from(self.with_a_new_one())))
        self.lake.s3.effects.fault = None

    @precondition(lambda self: self.has_table)
    @rule(age=ages)
    def grow_old(self, age: timedelta) -> None:
        """Snapshots are expired from now on, and in the end orphans swept up."""
        self.lake.s3.now += age

    @property
    def has_table(self) -> bool:
        return "readings" in self.lake.glue.tables

    def with_a_new_one(self) -> list[Execution]:
        self.executions.append(Execution(self.lake, f"optimize-{len(self.executions)}"))
        return self.executions

    def fail_after(self, effects: int, fault: Any) -> None:
        point = len(self.lake.s3.effects.names) + effects
        self.lake.s3.effects.fault = lambda number, effect: fault(effect) if number == point else effect()

    def finish(self, run_id: str) -> None:
        with contextlib.suppress(*NAMED):
            self.lake.run(run_id)

    def keep_up(self, execution: Execution, steps: int = 5) -> None:
        with contextlib.suppress(*NAMED):
            execution.drive(steps)

    @invariant()
    def what_the_table_holds_is_there_once(self) -> None:
        if not self.has_table:
            return
        rows = Counter((row["source_object"], row["device_id"], row["measured_at"]) for row in self.lake.rows())
        assert set(rows.values()) <= {1}
        for snapshot in self.lake.table().metadata.snapshots:  # before it is expired
            self.snapshots[snapshot.snapshot_id] = dict(
                snapshot.summary.additional_properties if snapshot.summary else {}
            )

    def teardown(self) -> None:
        try:
            self.finish("last")
            self.keep_up(Execution(self.lake, "optimize-last"))
            self.what_the_table_holds_is_there_once()
            self.check()
        finally:
            self.clock.undo()

    def check(self) -> None:
        assert self.lake.plan("afterwards")["tasks"] == 0
        held = [held.key for held in Ledger(self.lake.store).held(Window(None, HOUR + timedelta(days=1)))]
        assert held == sorted(self.archived)
        if not self.archived:
            return

        good = [record for content in self.archived.values() for record in content if isinstance(record, dict)]
        bad = [
            f"{key}:{n}" for key, content in self.archived.items() for n, r in enumerate(content, 1) if r == b"garbage"
        ]
        rows = {(row["device_id"], row["measured_at"].timestamp()): row for row in self.lake.rows()}
        assert rows.keys() == {(record["device_id"], record["timestamp"]) for record in good}
        assert len(rows) == len(self.lake.rows())
        for key, row in rows.items():
            same = [record for record in good if (record["device_id"], record["timestamp"]) == key]
            last = max(record["received_at"] for record in same)
            assert _ms(row["received_at"]) == last
            assert row["temperature"] in {record["temperature"] for record in same if record["received_at"] == last}
        assert sorted(quarantined(self.lake)) == sorted(bad)
        counts = {
            name: sum(int(snapshot.get(f"sensorkeep.{name}", 0)) for snapshot in self.snapshots.values())
            for name in COUNTS
        }
        removed = counts.pop("duplicates")
        assert counts == {
            "objects": len(self.archived),
            "records": len(good) + len(bad),
            "stored": len(rows) + removed,
            "duplicate": len(good) - len(rows) - removed,
            "quarantined": len(bad),
        }


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


TestTable = Table.TestCase
TestTable.settings = settings(max_examples=15, stateful_step_count=16, deadline=None)
