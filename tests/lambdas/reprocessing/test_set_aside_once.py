"""Runs over an archive with rejected records: each is set aside once, and none is ever in neither table nor quarantine.

A record of `early` came an hour before the time that it names: whether it is of the future is a matter of the settings.
"""

import base64
import gzip
import json
from collections import Counter

import pytest

from reprocessing.keys import RESOLVED_PREFIX
from sensors.settings import Decoding
from tests.faults import Died
from tests.lake import AT, reading
from tests.lambdas.reprocessing.harness import EVERYTHING, request
from tests.lambdas.reprocessing.modelled import unresolved
from tests.lambdas.reprocessing.system import Execution, System
from tests.memory_aws import Effect

STRICT, TOLERANT, NOTHING = (Decoding(future_tolerance_s=seconds) for seconds in (300, 7200, -7200))
"""Settings that take `now` alone, both, and none of them."""

APPLY = request(EVERYTHING, allow_fewer=True)
DRAIN = request(EVERYTHING, source="quarantine")
NOW, GARBAGE, EARLY = 1, 2, 3


@pytest.fixture
def system() -> System:
    """A reading, garbage and an early record, on these lines of an object that was compacted by strict rules."""
    made = System()
    early = reading("early", temperature=2.0, received_at=(AT - 3600) * 1000)
    made.archive([reading("now", temperature=1.0), b"garbage", early])
    made.deploy(decoding=STRICT)
    made.compact()
    return made


def run(system: System, decoding: Decoding, asked: object = APPLY) -> Execution:
    """A whole execution by these settings."""
    system.deploy(decoding=decoding)
    execution = system.execution(asked)
    execution.whole()
    return execution


def set_aside(system: System, writer: str = "") -> Counter[int]:
    """Lines of the archive's object by number: how often they are set aside and not resolved."""
    keys = [key for key in system.lake.store.keys("quarantine/") if key.rpartition("/")[2].startswith(writer)]
    return Counter(int(line["position"].rpartition(":")[2]) for line in unresolved(system.lake, keys))


def devices(system: System) -> list[str]:
    return [row["device_id"] for row in system.lake.rows()]


def test_what_the_compaction_has_set_aside_no_run_sets_aside_again(system: System) -> None:
    tolerant, strict = run(system, TOLERANT), run(system, STRICT)

    assert devices(system) == ["now"]
    assert set_aside(system) == {GARBAGE: 1, EARLY: 1}
    assert [one.report().records.quarantined for one in (tolerant, strict)] == [1, 2]


def test_what_is_newly_rejected_is_set_aside_by_the_run(system: System) -> None:
    run(system, NOTHING)

    assert devices(system) == []
    assert set_aside(system, "compact-") == {GARBAGE: 1, EARLY: 1}
    assert set_aside(system, "reprocess-") == {NOW: 1}


def test_what_was_drained_and_is_rejected_again_is_set_aside_again(system: System) -> None:
    run(system, TOLERANT, DRAIN)
    assert devices(system) == ["early", "now"]
    assert set_aside(system) == {GARBAGE: 1}

    run(system, STRICT)

    assert devices(system) == ["now"]
    assert set_aside(system, "reprocess-") == {EARLY: 1}
    assert set_aside(system) == {GARBAGE: 1, EARLY: 1}


def test_an_undo_withdraws_what_its_run_alone_has_set_aside(system: System) -> None:
    mistake = run(system, NOTHING)

    mistake.undo()

    assert devices(system) == ["now"]
    assert set_aside(system) == {GARBAGE: 1, EARLY: 1}


def test_what_another_run_has_set_aside_that_may_be_undone_does_not_count(system: System) -> None:
    first = run(system, NOTHING)
    run(system, STRICT)
    second = run(system, NOTHING)
    assert set_aside(system, "reprocess-") == {NOW: 2}

    second.undo()

    assert (devices(system), set_aside(system, "reprocess-")) == (["now"], {NOW: 1})
    assert first.run_id in next(key for key in system.lake.store.keys("quarantine/") if "/reprocess-" in key)


def test_what_a_run_drains_while_another_stands_still_is_set_aside_by_that_one(system: System) -> None:
    """It was looked up as set aside, was drained, and its reading is taken out again."""
    system.deploy(decoding=STRICT)
    slow = system.execution(APPLY)
    slow.plan()
    slow.decode()
    system.states.set(slow.execution, "FAILED")
    run(system, TOLERANT, DRAIN)
    assert devices(system) == ["early", "now"]

    system.deploy(decoding=STRICT)
    system.states.set(slow.execution, "RUNNING")
    slow.publish()

    assert devices(system) == ["now"]
    assert set_aside(system)[EARLY] == 1


def test_marks_that_come_late_leave_no_record_in_neither_table_nor_quarantine(system: System) -> None:
    """A run dies with its readings in the table and no line marked; another rejects them; the first is redriven."""

    def dies_before_marks(_: int, effect: Effect) -> object:
        if effects.names[-1].startswith(f"put {RESOLVED_PREFIX}"):
            raise Died
        return effect()

    effects = system.lake.s3.effects
    system.deploy(decoding=TOLERANT)
    drain = system.execution(DRAIN).prepare()
    effects.fault = dies_before_marks
    with pytest.raises(Died):
        drain.commit()
    effects.fault = None
    system.states.set(drain.execution, "FAILED")
    assert (devices(system), set_aside(system)[EARLY]) == (["early", "now"], 1)

    run(system, STRICT)
    drain.commit()

    assert devices(system) == ["now"]
    assert set_aside(system)[EARLY] == 1


def test_what_is_new_is_set_aside_by_a_run_that_changes_nothing_else(system: System) -> None:
    """An object was damaged when it was compacted, and is mended: the rest of it is a record, but no reading."""
    whole = gzip.compress(json.dumps(reading("late", temperature=3.0)).encode() + b"\nthe rest")
    key = system.lake.put_bytes("mended", whole[:-8])
    system.compact()
    before = set_aside(system, "compact-")

    system.lake.put_bytes("mended", whole)
    mended = run(system, STRICT)

    assert devices(system) == ["late", "now"]
    assert mended.commit().snapshot_id is None
    assert set_aside(system, "compact-") == before
    (line,) = unresolved(system.lake, [one for one in system.lake.store.keys("quarantine/") if "/reprocess-" in one])
    assert (line["position"], line["payload_b64"]) == (f"{key}:2", base64.b64encode(b"the rest").decode())


def test_once_the_marks_are_there_runs_look_up_again_what_stands(system: System) -> None:
    run(system, TOLERANT, DRAIN)

    run(system, STRICT)
    run(system, NOTHING)

    assert set_aside(system) == {NOW: 1, GARBAGE: 1, EARLY: 2}  # the compaction's line of it is resolved for good
