"""Any order of arrivals, runs, crashes and redrives against a short model of the right answer."""

import contextlib
from collections import Counter
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from compaction import errors
from compaction.hours import Window
from compaction.ledger import Ledger
from tests.faults import Died, dies_after, dies_before, loses_its_answer
from tests.lake import AT, HOUR, Lake, in_memory, reading
from tests.lambdas.compaction.test_crashes import quarantined
from tests.memory_aws import Effects

readings = st.builds(reading, st.sampled_from(["a", "b"]), st.sampled_from([AT, AT + 1, AT - 90_000]))
records = st.lists(readings | st.just(b"garbage"), max_size=6)
hours = st.sampled_from([HOUR, HOUR + timedelta(hours=1), HOUR - timedelta(days=40)])
sizes = st.sampled_from([1, 10**9])


class Compaction(RuleBasedStateMachine):
    """What was archived must be in the table, in quarantine, or a counted duplicate, once, when all runs have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.lake = Lake(aws=in_memory(Effects()))
        self.archived: dict[str, list[Any]] = {}
        self.begun: list[str] = []

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

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), after=st.integers(0, 18), fault=st.sampled_from([dies_before, dies_after, loses_its_answer]))
    def crash(self, data: st.DataObject, after: int, fault: Any) -> None:
        effects = self.lake.s3.effects
        point = len(effects.names) + after
        effects.fault = lambda number, effect: fault(effect) if number == point else effect()
        with contextlib.suppress(Died, OSError):
            self.finish(data.draw(st.sampled_from(self.begun)))
        effects.fault = None

    def finish(self, run_id: str) -> None:
        with contextlib.suppress(errors.ObjectsAlreadyCommitted):
            self.lake.run(run_id)

    @invariant()
    def what_the_table_holds_is_there_once(self) -> None:
        if "readings" in self.lake.glue.tables:
            rows = Counter((row["source_object"], row["device_id"], row["measured_at"]) for row in self.lake.rows())
            assert set(rows.values()) <= {1}

    def teardown(self) -> None:
        self.finish("last")
        assert self.lake.plan("afterwards")["tasks"] == 0
        held = [held.key for held in Ledger(self.lake.store).held(Window(None, HOUR + timedelta(days=1)))]
        assert held == sorted(self.archived)
        if not self.archived:
            return

        good = [record for content in self.archived.values() for record in content if isinstance(record, dict)]
        bad = [
            f"{key}:{n}" for key, content in self.archived.items() for n, r in enumerate(content, 1) if r == b"garbage"
        ]
        rows = self.lake.rows()
        counts = Counter[str]()
        for snapshot in self.lake.table().metadata.snapshots:
            for name in ("objects", "records", "stored", "duplicate", "quarantined"):
                counts[name] += int(snapshot.summary[f"sensorkeep.{name}"] or 0)  # type: ignore[index]

        assert {(row["device_id"], row["measured_at"].timestamp()) for row in rows} == {
            (record["device_id"], record["timestamp"]) for record in good
        }
        assert sorted(quarantined(self.lake)) == sorted(bad)
        assert counts == Counter(
            objects=len(self.archived),
            records=len(good) + len(bad),
            stored=len(rows),
            duplicate=len(good) - len(rows),
            quarantined=len(bad),
        )


TestCompaction = Compaction.TestCase
TestCompaction.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
