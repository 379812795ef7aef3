"""The crash matrix of the hot table: a failure at every write of a task, before it and after it; then the task goes on.

Whatever failed, the table ends as if nothing had, and every reading is counted once.
"""

import contextlib
import functools
import tempfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from reprocessing.errors import TableBusy
from reprocessing.merge_manifests import HotResult
from tests.faults import Died, Fault, dies_after, dies_before, is_refused_for_now, loses_its_answer, never_arrives
from tests.lambdas.write_hot_table.conftest import AT_MS, RUN_MS, Hot, in_memory, reading
from tests.memory_aws import Effect
from tests.memory_dynamodb import failure

FAULTS = (dies_before, dies_after, never_arrives, loses_its_answer, is_refused_for_now)


def begin(folder: Path) -> Hot:
    """Of nine readings three are as they should be, one is newer in the table, one expired, four are to be written."""
    hot = in_memory(folder)
    hot.stage(*[reading(f"pump-{number}") for number in range(8)], reading("pump-8", after_ms=-31 * 86_400_000))
    hot.real_time(*[reading(f"pump-{number}") for number in range(3)])
    hot.real_time(reading("pump-3", temperature=9.0), reading("pump-4", temperature=9.0, after_ms=60))
    hot.dynamodb.effects.names.clear()
    return hot


def drive(hot: Hot, times: int = 5) -> HotResult:
    """Call the function as the state machine does, which tries again what fails."""
    for _ in range(times):
        with contextlib.suppress(Died, ClientError, ReadTimeoutError, TableBusy):
            result = hot.write()
            if result.done:
                return result
    raise AssertionError("the task is never done")


@functools.cache
def undisturbed() -> tuple[HotResult, dict[Any, Any], int]:
    with tempfile.TemporaryDirectory() as folder:
        hot = begin(Path(folder))
        return hot.write(), hot.dynamodb.items, len(hot.dynamodb.effects.names)


POINTS = range(undisturbed()[2])


def test_the_matrix_has_a_point_for_each_write_and_for_the_result() -> None:
    result, _, points = undisturbed()

    assert (points, result.written, result.unchanged, result.newer, result.expired) == (5, 4, 3, 1, 1)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("point", POINTS)
def test_after_a_failure_anywhere_table_and_counts_are_those_of_an_undisturbed_task(
    tmp_path: Path, point: int, fault: Fault
) -> None:
    hot = begin(tmp_path)
    fallen = []

    def at_the_point(number: int, effect: Effect) -> Any:
        if number != point:
            return effect()
        fallen.append(number)
        return fault(effect)

    hot.dynamodb.effects.fault = at_the_point
    result = drive(hot)

    expected, items, _ = undisturbed()
    assert fallen == [point]
    assert (result, hot.dynamodb.items) == (expected, items)


def test_two_invocations_beside_each_other_leave_what_one_would(tmp_path: Path) -> None:
    hot = begin(tmp_path)
    others: list[HotResult] = []

    def meanwhile(_: object) -> None:
        hot.dynamodb.before_put = lambda _item: None
        hot.dynamodb._lock.release()
        others.append(hot.write())
        hot.dynamodb._lock.acquire()

    hot.dynamodb.before_put = meanwhile
    result = hot.write()

    expected, items, _ = undisturbed()
    assert ([result], hot.dynamodb.items) == ([expected], items)
    assert others == [expected]


def test_a_correction_after_a_crash_counts_as_newer_and_stays(tmp_path: Path) -> None:
    hot = begin(tmp_path)

    def die(number: int, effect: Effect) -> Any:
        return dies_before(effect) if number == 4 else effect()

    hot.dynamodb.effects.fault = die
    with pytest.raises(Died):
        hot.write()
    hot.dynamodb.effects.fault = None
    hot.real_time(reading("pump-7", temperature=77.0, after_ms=500), processed_ms=RUN_MS + 1000)

    result = drive(hot)

    assert (result.written, result.newer) == (3, 2)
    assert hot.held()["pump-7", str(AT_MS // 1000)]["temperature"] == {"N": "77"}


def test_throttles_all_along_only_cost_time(tmp_path: Path) -> None:
    hot = begin(tmp_path)
    tried: list[object] = []

    def two_of_three(item: object) -> None:
        tried.append(item)
        if len(tried) % 3:
            raise failure("ProvisionedThroughputExceededException")

    hot.dynamodb.before_put = two_of_three
    result = drive(hot, times=1)

    assert (result, hot.dynamodb.items) == undisturbed()[:2]
