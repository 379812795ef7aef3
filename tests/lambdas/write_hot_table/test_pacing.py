"""The cap on writes: no window has more than its share, whatever the work between takes and however long sleeps are."""

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from reprocessing.hot.table import Pace
from tests.lambdas.reprocessing.harness import Clock
from tests.lambdas.write_hot_table.conftest import Hot, reading

SECONDS = st.floats(0, 3, allow_subnormal=False)


class Machine:
    """A clock on which everything takes as long as a test says; a sleep may end early, as it may on a real one."""

    def __init__(self, sleeps: list[float]) -> None:
        self.now_s = 100.0
        self._sleeps = sleeps

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += max(1e-3, seconds * self._sleeps.pop()) if self._sleeps else seconds + 1e-9


@given(
    st.sampled_from([0.25, 1, 3, 7.5, 125, 2500]),
    st.lists(SECONDS, min_size=2, max_size=30),
    st.lists(st.floats(0.5, 2), max_size=30),
)
def test_no_window_has_more_turns_than_the_rate_allows(rate: float, works: list[float], sleeps: list[float]) -> None:
    machine = Machine(sleeps)
    begun = machine.now_s
    pace = Pace(rate, machine, machine.sleep)
    turns = []
    for work_s in works:
        assert pace.turn(lambda: 1e9)
        turns.append(machine.now_s)
        machine.now_s += work_s / rate

    for first, start in enumerate([begun, *turns]):
        for number, moment in enumerate(turns[first:], start=1):
            assert moment - start >= number / rate - 1e-6


def test_a_turn_that_would_come_too_late_is_not_waited_for() -> None:
    clock = Clock()
    pace = Pace(0.25, clock, clock.sleep)

    assert not pace.turn(lambda: 3.9)
    assert clock() == 1000.0
    assert pace.turn(lambda: 4.1)
    assert clock() == 1004.0


def test_threads_share_one_rate() -> None:
    clock = Clock()
    pace = Pace(10, clock, clock.sleep)
    turns, lock = [], threading.Lock()

    def work(_: int) -> None:
        pace.turn(lambda: 1e9)
        with lock:
            turns.append(clock())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))

    assert clock() >= 1000 + 40 / 10 - 1e-6


def test_a_task_writes_no_faster_than_its_share_from_its_first_second_on_and_over_invocations(hot: Hot) -> None:
    hot.stage(*[reading(ms=number) for number in range(60)])
    hot.plan(max_rate=40)  # ten a second for each of four writers
    moments: list[float] = []
    hot.dynamodb.before_put = lambda _item: moments.append(hot.clock())
    begun = hot.clock()

    while not hot.write(time_s=1.7).done:
        pass

    assert len(moments) == 60
    for window in (begun, *moments):
        assert sum(window < moment <= window + 1 for moment in moments) <= 11  # ten, and one for the clock's last digit
    assert moments[-1] - begun >= 6 - 1e-6
