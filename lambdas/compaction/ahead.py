"""Working ahead of whoever waits: slow calls side by side, their answers in order, a bounded number held."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

WIDTH = 16
"""Calls under way: S3 answers in tens of milliseconds, and this many connections are nothing to it."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def ahead(work: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
    """Each item with what `work` answers for it; takes items only as far ahead as WIDTH."""
    with ThreadPoolExecutor(WIDTH) as pool:
        under_way: deque[tuple[Item, Future[Answer]]] = deque()
        for item in items:
            under_way.append((item, pool.submit(work, item)))
            if len(under_way) == WIDTH:
                first, answer = under_way.popleft()
                yield first, answer.result()
        for first, answer in under_way:
            yield first, answer.result()
