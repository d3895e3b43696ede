"""Independent pieces of work, a thread for each, and their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from bayesdip.interruption import look

Result = TypeVar("Result")

# Seconds between two looks at the clock while a result is waited for.
PATIENCE = 0.02


def in_order(tasks: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """What the tasks return, in their order, as many at a time as there are threads.

    Each works on one thread alone: threads that share small operations wait for each other after every one. Twice as many as
    there are threads are under way, which bounds the memory.

    Parameters
    ----------
    tasks : iterable of callable

    Yields
    ------
    object
        The result of each.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) == 2 * threads:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(threads)  # a new worker has changed the setting of the whole process


def _first(waiting: deque[Future[Result]]) -> Result:
    """The result that is waited for longest; meanwhile the clock is looked at."""
    future = waiting.popleft()
    while True:
        try:
            return future.result(timeout=PATIENCE)
        except TimeoutError:
            look()
