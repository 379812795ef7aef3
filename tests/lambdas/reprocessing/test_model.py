"""Any order of arrivals, compactions, upkeep, deployments, runs, crashes and undos, each step against what it is to do.

The model is short: a run that publishes takes out the rows of its scope whose objects it has decoded and puts in what
these objects say by its rules; one that drains puts in what the quarantine says; an undo brings the rows of the scope
back; nothing else changes what a reader finds.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from compaction import errors
from optimization.errors import FilesReplaced
from reprocessing.errors import CannotUndo, RangeHeld, RulesChanged
from reprocessing.request import Request, Scope
from reprocessing.snapshots import published
from sensors.settings import Decoding
from tests.faults import Died, dies_after, dies_before, loses_its_answer
from tests.lake import AT, HOUR, reading
from tests.lambdas.optimization.execution import Execution as UpkeepExecution
from tests.lambdas.optimization.upkeep import keep_time
from tests.lambdas.reprocessing.harness import request
from tests.lambdas.reprocessing.modelled import STEPS, Line, Run, decoded, is_of, once, rejected, row_of, unresolved
from tests.lambdas.reprocessing.system import METRICS, Row, System, quarantined, said

ENDED = (
    errors.FileMismatch,
    errors.InvalidInput,
    errors.ResultMismatch,
    errors.RunTooOld,
    FilesReplaced,
    RangeHeld,
    RulesChanged,
)
"""How a run ends that is overtaken by others, by a deployment or by time."""

records = st.lists(
    st.builds(
        reading,
        st.sampled_from(["a", "b"]),
        st.sampled_from([AT, AT + 1, AT + 3600, AT + 3601, AT - 90_000]),
        temperature=st.integers(1, 3),
        vibration=st.integers(1, 2),
        received_at=st.sampled_from([AT * 1000, AT * 1000 + 1]),
    )
    | st.just(b"garbage"),
    min_size=1,
    max_size=5,
)
hours = st.sampled_from([HOUR, HOUR + timedelta(hours=1), HOUR - timedelta(days=40)])
faults = st.sampled_from([dies_before, dies_after, loses_its_answer])
moments = st.sampled_from([0, AT - 86_400, AT, AT + 1, AT + 2, 2 * AT])
scopes = st.builds(
    lambda ends, devices: Scope(min(ends) * 1000, max(ends) * 1000 + 1, devices),
    st.tuples(moments, moments),
    st.sampled_from([(), (), ("a",), ("?",)]),
) | st.just(Scope(0, 2 * AT * 1000))
requests = st.builds(
    lambda scope, source, mode, allow_fewer: request(
        scope, source=source, mode=mode, allow_fewer=allow_fewer, fresh=False
    ),
    scopes,
    st.sampled_from(["archive", "quarantine"]),
    st.sampled_from([*["apply"] * 7, "dry_run"]),
    st.booleans(),
)
sizes = st.sampled_from([1, 10**9])
tolerances = st.sampled_from([7200, 7200, 300, -7200])
scales = st.sampled_from([1.0, 10.0])


class Range(RuleBasedStateMachine):
    """Every step leaves the table as the model says; in the end the quarantine has what is said to be set aside."""

    def __init__(self) -> None:
        super().__init__()
        self.system = System(metrics={"temperature": METRICS["temperature"]})
        self.lake = self.system.lake
        self.lines: dict[str, list[bytes]] = {}
        self.compacted: set[str] = set()
        self.aside: dict[str, set[str]] = {}
        self.runs: list[Run] = []
        self.drained: dict[str, list[Line]] = {}
        self.over: dict[str, tuple[Run, list[Row]]] = {}
        self.clock = pytest.MonkeyPatch()
        keep_time(self.lake, self.clock)

    # What happens

    @rule(content=records, hour=hours)
    def arrive(self, content: list[Any], hour: Any) -> None:
        key = self.system.archive(content, hour)
        self.lines[key] = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in content]

    @initialize(content=records, hour=hours, task_bytes=sizes)
    def begin_with(self, content: list[Any], hour: Any, task_bytes: int) -> None:
        self.arrive_and_compact(content, hour, task_bytes)

    @rule(content=records, hour=hours, task_bytes=sizes)
    def arrive_and_compact(self, content: list[Any], hour: Any, task_bytes: int) -> None:
        self.arrive(content, hour)
        before = self.rows()
        self.system.compact(task_bytes)
        new = self.lines.keys() - self.compacted
        self.compacted |= new
        self.aside[f"compact {len(self.aside)}"] = set(rejected(self.lines, new, self.system.settings))
        self.check([*before, *decoded(self.lines, new, self.system.settings)])

    @rule(tolerance_s=tolerances, scale=scales, declares=st.booleans(), asked=requests)
    def deploy_and_reprocess(self, tolerance_s: int, scale: float, declares: bool, asked: Request) -> None:
        metrics = METRICS if declares else {"temperature": METRICS["temperature"]}
        metrics = metrics | {"temperature": msgspec.structs.replace(METRICS["temperature"], scale=scale)}
        self.system.deploy(metrics, Decoding(future_tolerance_s=tolerance_s))
        self.begin(asked, len(STEPS))

    @rule(asked=requests, steps=st.integers(1, len(STEPS)))
    def begin(self, asked: Request, steps: int) -> None:
        self.runs.append(Run(self.system, asked, self.drained))
        self.drive(self.runs[-1], steps)

    @precondition(lambda self: self.unfinished)
    @rule(data=st.data(), steps=st.integers(1, 6))
    def go_on(self, data: st.DataObject, steps: int) -> None:
        self.drive(data.draw(st.sampled_from(self.unfinished)), steps)

    @precondition(lambda self: self.unfinished)
    @rule(data=st.data(), after=st.integers(0, 25), fault=faults)
    def crash(self, data: st.DataObject, after: int, fault: Any) -> None:
        """Whoever drives the run is gone at some side effect; another execution may carry it on, or a redrive."""
        run = data.draw(st.sampled_from(self.unfinished))
        effects = self.lake.s3.effects
        point = len(effects.names) + after
        effects.fault = lambda number, effect: fault(effect) if number == point else effect()
        try:
            self.drive(run)
        finally:
            effects.fault = None

    @precondition(lambda self: self.over)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        run, former = self.over[data.draw(st.sampled_from(sorted(self.over)))]
        before = self.rows()
        try:
            run.execution.undo(f"undo-{run.run_id}")
        except (CannotUndo, RangeHeld):
            self.check(before)
            return
        del self.over[run.run_id]
        for one in self.runs:
            if one.run_id == run.run_id:
                one.left.clear()
        self.aside.pop(run.run_id, None)
        scope = run.asked.scope
        self.check([*(row for row in before if not is_of(scope, row)), *(row for row in former if is_of(scope, row))])

    @rule(age=st.sampled_from([timedelta(0), timedelta(0), timedelta(days=8), timedelta(days=17)]))
    def keep_up(self, age: timedelta) -> None:
        """`optimize` with all its steps, perhaps after some days."""
        self.lake.s3.now += age
        before = self.rows()
        UpkeepExecution(self.lake, f"optimize-{len(self.lake.s3.effects.names)}").drive()
        self.check(before)

    # What should have come of it

    @property
    def unfinished(self) -> list[Run]:
        return [run for run in self.runs if run.left]

    def rows(self) -> list[Row]:
        return [said(row) for row in self.lake.rows()] if "readings" in self.lake.glue.tables else []

    def check(self, expected: Iterable[Row]) -> None:
        """The table holds these, of which each key counts once."""
        assert once(self.rows()) == once(expected)

    def drive(self, run: Run, steps: int = 2 * len(STEPS)) -> None:
        """Take steps of a run, each against the model."""
        self.system.states.set(run.execution.execution, "RUNNING")
        is_alive = True
        while is_alive and run.left and steps:
            before, steps = self.rows(), steps - 1
            try:
                run.take(self.lake)
            except ENDED:
                run.left.clear()
            except (Died, OSError, ReadTimeoutError):
                is_alive = False
            self.compare(run, before)
        if not is_alive or not run.left:
            self.system.states.set(run.execution.execution, "FAILED")

    def compare(self, run: Run, before: list[Row]) -> None:
        """What the table holds after a step; the one that has published its run is known by its snapshot."""
        if run.run_id in self.over or published(self.lake.table(), run.run_id) is None:
            self.check(before)
            return
        expected = list(self.becomes(run, before))
        self.over[run.run_id] = run, before
        was, comes = (sum(is_of(run.asked.scope, row) for row in once(held).values()) for held in (before, expected))
        assert comes >= was or run.asked.allow_fewer
        assert run.asked.mode == "apply"
        self.check(expected)

    def becomes(self, run: Run, before: list[Row]) -> Iterator[Row]:
        """The rows that a run makes of these."""
        scope = run.asked.scope
        if run.asked.source == "quarantine":
            yield from before
            for source, line in self.drained[run.run_id]:
                row = row_of(line, source, run.rules)
                if row and is_of(scope, row):
                    yield row
            return
        objects = set(run.objects(self.lake))
        self.aside[run.run_id] = set(rejected(self.lines, objects, run.rules))
        yield from (row for row in before if not (is_of(scope, row) and row["source_object"] in objects))
        yield from (row for row in decoded(self.lines, objects, run.rules) if is_of(scope, row))

    def nowhere(self) -> list[str]:
        """Records that were compacted and are neither in the table, be it as another one's duplicate, nor set aside."""
        aside = {line["position"] for line in unresolved(self.lake, list(self.lake.store.keys("quarantine/")))}
        rows = once(self.rows())
        taking_all = msgspec.structs.replace(self.system.settings, decoding=Decoding(future_tolerance_s=7200))

        def has_row(line: bytes) -> bool:
            row = row_of(line, "", taking_all)
            return row is not None and (row["device_id"], row["measured_at"]) in rows

        records = (
            (f"{key}:{number}", line) for key in self.compacted for number, line in enumerate(self.lines[key], 1)
        )
        return [position for position, line in records if position not in aside and not has_row(line)]

    def teardown(self) -> None:
        try:
            for run in self.unfinished:
                self.drive(run)
            assert {position for position, _ in quarantined(self.lake)} == set().union(*self.aside.values())
            assert self.nowhere() == []
        finally:
            self.clock.undo()


TestRange = Range.TestCase
TestRange.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
