"""A bound on how often something is done, by however many threads do it."""

import threading
import time
from collections.abc import Callable


class Pace:
    """Gives turns, each at least `1 / rate` seconds after the last, the first that long after the beginning.

    So that no window, not even the first second, has more than `rate` times its length, rounded up; and no more when
    another invocation goes on where this one ends.
    """

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._interval_s = 1 / rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = clock() + self._interval_s

    def turn(self, time_left_s: Callable[[], float]) -> bool:
        """Wait for the next turn; False, at once, when it would come after the time that is left."""
        with self._lock:
            wait_s = self._next - self._clock()
            if wait_s >= time_left_s():
                return False
            while wait_s > 0:  # a sleep may end a little early
                self._sleep(wait_s)
                wait_s = self._next - self._clock()
            self._next = self._clock() + self._interval_s
            return True
