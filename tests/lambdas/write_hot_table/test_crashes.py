"""The crash matrix of the hot table: a failure at every write of a task, before it and after it; then the task goes on.

Whatever failed, the table ends as if nothing had, and every reading is counted once.
"""

import contextlib
import functools
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from reprocessing.errors import TableBusy
from reprocessing.keys import hot_key
from reprocessing.merge_manifests import HotResult
from tests.faults import Died, Fault, dies_after, dies_before, is_refused_for_now, loses_its_answer, never_arrives
from tests.lambdas.write_hot_table.conftest import AT_MS, RUN_MS, Hot, in_memory, reading
from tests.memory_aws import Effect
from tests.memory_dynamodb import failure


def is_repeated(effect: Effect) -> Any:
    """The client has had no answer, and asks again by itself: a condition that held does so no more."""
    effect()
    return effect()


FAULTS = (dies_before, dies_after, never_arrives, loses_its_answer, is_refused_for_now, is_repeated)


def begin(folder: Path) -> Hot:
    """Of nine readings three are as they should be, one is newer in the table, one expired, four are to be written."""
    hot = in_memory(folder)
    hot.stage(*[reading(f"pump-{number}") for number in range(8)], reading("pump-8", after_ms=-31 * 86_400_000))
    hot.real_time(*[reading(f"pump-{number}") for number in range(3)])
    hot.real_time(reading("pump-3", temperature=9.0), reading("pump-4", temperature=9.0, after_ms=60))
    hot.dynamodb.effects.names.clear()
    return hot


def drive(hot: Hot, times: int = 5, time_s: float = 600) -> HotResult:
    """Call the function as the state machine does, which tries again what fails."""
    for _ in range(times):
        with contextlib.suppress(Died, ClientError, ReadTimeoutError, TableBusy):
            result = hot.write(time_s=time_s)
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


@pytest.mark.parametrize("is_after", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("second_s", [0.015, 0.035, 600], ids=["one write", "three writes", "all"])
@pytest.mark.parametrize("first_s", [0.025, 600], ids=["two writes", "all"])
@pytest.mark.parametrize("point", POINTS)
def test_two_invocations_at_once_count_each_reading_once_and_no_count_goes_back(
    tmp_path: Path, point: int, first_s: float, second_s: float, is_after: bool
) -> None:
    """The second has time for so many writes, and comes at a write of the first, which has time for so many itself."""
    hot, counted = begin(tmp_path), [0]

    def beside(number: int, effect: Effect) -> Any:
        name = hot.dynamodb.effects.names[number]
        if number == point and not is_after:
            come_in_between(hot, name, second_s)
        answer = effect()
        if number == point and is_after:
            come_in_between(hot, name, second_s)
        counted.append(settled(hot))
        return answer

    hot.dynamodb.effects.fault = beside
    result = drive(hot, time_s=first_s)

    expected, items, _ = undisturbed()
    assert (result, hot.dynamodb.items) == (expected, items)
    assert counted == sorted(counted)


def come_in_between(hot: Hot, name: str, time_s: float) -> None:
    """A second invocation while the first is about to write, or has written, and holds the table's lock if need be."""
    is_item = name.startswith("put item ")
    if is_item:
        hot.dynamodb._lock.release()
    with contextlib.suppress(TableBusy):
        hot.write(time_s=time_s)
    if is_item:
        hot.dynamodb._lock.acquire()


def settled(hot: Hot) -> int:
    """How many readings the task's result counts."""
    body = hot.store.read(hot_key("run", "0", "00000-000"))
    if body is None:
        return 0
    result = msgspec.json.decode(body, type=HotResult)
    return result.written + result.unchanged + result.newer + result.expired + result.refused


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
